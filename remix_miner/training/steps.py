"""Training steps: supervised on mixes of stems, and the remix step on mined excerpts."""

from collections.abc import Iterator

import torch
from torch import Tensor

from remix_miner.separators.base import centre_fit
from remix_miner.sources import SOURCES
from remix_miner.training.batches.samplers import RemixBatch, StemBatch
from remix_miner.training.batches.target_batches import TargetBatch
from remix_miner.training.learner import Learner
from remix_miner.training.losses import loss_function, truncated_mean
from remix_miner.training.remix import pseudo_labels, remix_loss

SupervisedBatch = StemBatch | TargetBatch
TrainingBatch = SupervisedBatch | RemixBatch


class NonFiniteLoss(Exception):
    """A loss that is nan or infinite on this or another rank. ``batch`` is this rank's, on the CPU."""

    def __init__(self, loss: float, batch: TrainingBatch) -> None:
        super().__init__(f"the loss is {loss}")
        self.loss = loss
        self.batch = batch.to("cpu")


def main_step(learner: Learner, batches: Iterator[SupervisedBatch]) -> float:
    """Make an optimiser step on mixes with all sources known; return the mean loss over the parts of the step."""
    settings = learner.settings
    loss_of = loss_function(settings.loss)
    total = 0.0
    for part in range(settings.accumulate):
        batch = next(batches)
        with learner.part(last=part == settings.accumulate - 1):
            estimates = learner.estimate(batch.mixture)
            target = centre_fit(batch.references(learner.model.sources), learner.frames)
            loss = truncated_mean(loss_of(estimates, target), settings.loss_quantile) / settings.accumulate
            total += _finite(loss, batch, learner)
            learner.backward(loss)
    learner.update(learner.optimizer)
    return total


def remix_step(learner: Learner, batches: Iterator[RemixBatch]) -> dict[str, float]:
    """Make a step of the remix optimiser on eq. (3) of Défossez et al. 2019; return the terms of the loss."""
    batch = next(batches)
    index = learner.model.sources.index(SOURCES[batch.source])
    isolated, rest, valid = (centre_fit(part, learner.frames) for part in (batch.isolated, batch.rest, batch.valid))
    pseudo = (
        pseudo_labels(_teacher_estimates(learner, batch.rest), rest, index)
        if learner.settings.remix.teacher_weight
        else None
    )
    estimates = learner.estimate(batch.mixture)
    loss, terms = remix_loss(estimates, isolated, rest, index, valid, batch.weight, learner.settings.remix, pseudo)
    total = _finite(loss, batch, learner)
    learner.backward(loss)
    learner.update(learner.remix_optimizer)
    return {"remix_loss": total, **{f"remix_{name}": float(term) for name, term in terms.items()}}


@torch.no_grad()
def _teacher_estimates(learner: Learner, mixture: Tensor) -> Tensor:
    assert learner.ema is not None  # the settings ask for it
    return learner.estimate(mixture, learner.ema.model)


def _finite(loss: Tensor, batch: TrainingBatch, learner: Learner) -> float:
    """Return the loss as a number; raise `NonFiniteLoss` on all ranks when it is not finite on any of them."""
    value = float(loss.detach())
    if learner.ranks.any(not abs(value) < float("inf"))[0]:
        raise NonFiniteLoss(value, batch)
    return value
