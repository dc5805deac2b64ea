"""Remix loss: strong supervision of the isolated source, weak supervision of the others through their sum.

Défossez et al. 2019, sections 4 and 5.2, eq. (3), for a mix of an isolated source s_i with an excerpt m_i in which
source i is silent:

    || s_i_hat - s_i ||_1  +  lambda || sum_{j != i} s_j_hat - m_i ||_1
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from remix_miner.config import PROBABILITY, Bounds, Settings


@dataclass(frozen=True)
class RemixStepSettings(Settings):
    """Settings of the remix step. The defaults are the paper's; the options after ``norm`` are not in it, and off."""

    probability: Annotated[float, PROBABILITY] = 0.25  # of a remix step after each main step
    rest_weight: Annotated[float, Bounds(0, 1000)] = 1e-6  # lambda of eq. (3)
    learning_rate_ratio: Annotated[float, Bounds(above=0, most=100)] = (
        0.1  # of the remix step's optimiser to the main one
    )
    norm: Literal["mean", "sum"] = "mean"  # over channels and time, which the paper leaves open
    consistency_weight: Annotated[float, Bounds(0, 1000)] = 0.0  # of || sum of all estimates - mixture ||_1
    teacher_weight: Annotated[float, Bounds(0, 1000)] = 0.0  # of the L1 distance to the averaged model's estimates
    quantile: Annotated[float, Bounds(above=0, most=1)] = 1.0  # per batch, leave out the items above it


def remix_loss(
    estimates: Float[Tensor, "B S C T"],
    isolated: Float[Tensor, "B C T"],
    rest: Float[Tensor, "B C T"],
    index: int,
    valid: Bool[Tensor, "B T"],
    weight: Float[Tensor, " B"],
    settings: RemixStepSettings,
    pseudo: Float[Tensor, "B S C T"] | None = None,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Return eq. (3), with the optional terms, and all terms without their weights, for the log.

    ``index``: place of the isolated source among the estimates. ``valid``: frames that count. ``weight``: of each item.
    ``pseudo``: see `pseudo_labels`. For a model of one source the loss is the first term alone.
    """
    estimates = estimates.float()
    others = estimates.sum(dim=1) - estimates[:, index]
    terms = {"isolated": _l1(estimates[:, index] - isolated, valid, settings.norm)}
    weights = {"isolated": 1.0}
    if estimates.shape[1] > 1:
        terms["rest"] = _l1(others - rest, valid, settings.norm)
        weights["rest"] = settings.rest_weight
        terms["consistency"] = _l1(estimates.sum(dim=1) - isolated - rest, valid, settings.norm)
        weights["consistency"] = settings.consistency_weight
    if pseudo is not None:
        errors = _l1(estimates - pseudo, valid[:, None], settings.norm)
        terms["teacher"] = (errors.sum(dim=1) - errors[:, index]) / max(estimates.shape[1] - 1, 1)
        weights["teacher"] = settings.teacher_weight
    used = [name for name in terms if weights[name] > 0]
    items = weight * torch.stack([weights[name] * terms[name] for name in used]).sum(dim=0)
    if settings.quantile < 1:  # by the first term, which is large where source i sounds in the excerpt
        first = terms["isolated"].detach()
        items = items[first <= torch.quantile(first, settings.quantile)]
    return items.mean(), {name: terms[name].detach().mean() for name in used}


def pseudo_labels(
    estimates: Float[Tensor, "B S C T"], rest: Float[Tensor, "B C T"], index: int
) -> Float[Tensor, "B S C T"]:
    """Return a teacher's ``estimates`` of the excerpt ``rest``, corrected: source ``index`` is silent in it.

    That source becomes zero. The difference between the excerpt and the sum of the others is spread evenly over them,
    so that they add up to it. For a model of one source the label is silence.
    """
    known = estimates.clone()
    known[:, index] = 0
    others = estimates.shape[1] - 1
    if others:
        known += (rest - known.sum(dim=1))[:, None] / others
        known[:, index] = 0
    return known


def _l1(error: Float[Tensor, "*B C T"], valid: Bool[Tensor, "*B T"], norm: str) -> Float[Tensor, "*B"]:
    total = torch.where(valid[..., None, :], error.abs(), 0).sum(dim=(-2, -1))
    if norm == "sum":
        return total
    return total / (valid.sum(dim=-1) * error.shape[-2]).clamp(min=1)
