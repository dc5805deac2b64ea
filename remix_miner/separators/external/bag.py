"""Bag of separators, one per source: the k-th model estimates the k-th source (htdemucs_ft)."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.errors import DataError


class Bag(nn.Module):
    """Models of equal sources, channels, rate and segment, of which each contributes one source."""

    def __init__(self, models: Sequence[Any]) -> None:
        super().__init__()
        first = models[0]
        for model in models:
            if (model.sources, model.sample_rate, model.audio_channels) != (
                first.sources,
                first.sample_rate,
                first.audio_channels,
            ):
                raise DataError("the models of a bag must have the same sources, sample rate and channels")
        if len(models) != len(first.sources):
            raise DataError(f"a bag of {', '.join(first.sources)} needs as many models, got {len(models)}")
        self.models = nn.ModuleList(models)
        self.sources = first.sources
        self.sample_rate = first.sample_rate
        self.audio_channels = first.audio_channels
        self.segment_seconds = first.segment_seconds
        self.settings: dict[str, Any] = {}

    def valid_length(self, frames: int) -> int:
        """Return the longest of the models' valid lengths."""
        return max(int(model.valid_length(frames)) for model in self.models)  # type: ignore[operator]

    def forward(self, mixture: Float[Tensor, "B C T"], frames: int | None = None) -> Float[Tensor, "B S C frames"]:
        """Return the k-th source of the k-th model."""
        parts = [model(mixture, frames)[:, index] for index, model in enumerate(self.models)]
        return torch.stack(parts, dim=1)
