"""Labels of silence, labels mixed with a teacher's probabilities, and the loss on them."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from remix_miner.detector.networks import SilentSourceDetector


def silence_labels(volumes_db: Float[Tensor, "*B S W"], silent_db: float) -> Float[Tensor, "*B S W"]:
    """Return 1 where V_i <= ``silent_db``, 0 above, nan where the mixture is silent and no label exists."""
    return torch.where(volumes_db.isnan(), torch.nan, (volumes_db <= silent_db).float())


@torch.no_grad()
def distillation_targets(
    labels: Float[Tensor, "B S W"], audio: Float[Tensor, "B T"], teacher: SilentSourceDetector, share: float
) -> Float[Tensor, "B S W"]:
    """Return labels mixed with the teacher's probabilities, which have the weight ``share``, or 1 without a label.

    Windows in which no source has a label keep none, because the mixture may be silent there.
    """
    probabilities = torch.sigmoid(teacher(audio))
    mixed = torch.where(labels.isnan(), probabilities, (1 - share) * labels + share * probabilities)
    return mixed.masked_fill(labels.isnan().all(dim=1, keepdim=True), torch.nan)


def masked_bce(logits: Float[Tensor, "B S W"], labels: Float[Tensor, "B S W"]) -> Float[Tensor, ""]:
    """Sum over sources of the mean binary cross-entropy over labelled windows; windows with label nan are left out.

    Défossez et al. 2019, section 4.1.
    """
    known = ~labels.isnan()
    losses = F.binary_cross_entropy_with_logits(logits, labels.nan_to_num(0.0), reduction="none") * known
    result: Tensor = (losses.sum(dim=(0, 2)) / known.sum(dim=(0, 2)).clamp_min(1)).sum()
    return result
