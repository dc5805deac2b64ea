"""Sums of a separator's estimates under new names, as a separator: six sources scored or used as four."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.errors import UsageError


class StemSums(nn.Module):
    """``sums``: new name -> the model's sources whose estimates are added up, in the order of the new source axis.

    Raises `UsageError` for sources that the model does not separate.
    """

    def __init__(self, model: Any, sums: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        unknown = sorted({part for parts in sums.values() for part in parts} - set(model.sources))
        if unknown or not sums:
            raise UsageError(f"the model separates {', '.join(model.sources)}, not {', '.join(unknown) or 'nothing'}")
        self.model = model
        self.rows = [[list(model.sources).index(part) for part in parts] for parts in sums.values()]
        self.sources = tuple(sums)
        self.sample_rate: int = model.sample_rate
        self.audio_channels: int = model.audio_channels
        self.segment_seconds = getattr(model, "segment_seconds", None)

    def valid_length(self, frames: int) -> int:
        """Return the model's own valid length."""
        length: int = self.model.valid_length(frames)
        return length

    def forward(self, mixture: Float[Tensor, "B C T"], frames: int | None = None) -> Float[Tensor, "B S C frames"]:
        """Return the summed estimates of the ``frames`` in the centre of the mixture (default: all T)."""
        estimates = self.model(mixture, frames)
        return torch.stack([estimates[:, rows].sum(dim=1) for rows in self.rows], dim=1)


def four_of_more(sources: Sequence[str], four: Sequence[str]) -> dict[str, list[str]] | None:
    """Return sums that make ``four`` of a model of more sources: 'other' takes the rest. None for other models.

    >>> four_of_more(("drums", "bass", "other", "vocals", "guitar"), ("drums", "bass", "other", "vocals"))["other"]
    ['other', 'guitar']
    """
    rest = [source for source in sources if source not in four]
    if not rest or not set(four) <= set(sources):
        return None
    return {source: ["other", *rest] if source == "other" else [source] for source in four}
