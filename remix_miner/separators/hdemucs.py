"""Hybrid Demucs (Défossez 2021), as torchaudio builds and publishes it (`torchaudio.models.hdemucs_high`).

The network normalises its input itself. 83.6 M parameters with the default settings.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from remix_miner.config import Bounds
from remix_miner.errors import DataError
from remix_miner.separators.base import Seconds, Separator, Transform, Width
from remix_miner.separators.torchaudio_loader import load_torchaudio
from remix_miner.sources import SOURCES


class HDemucs(Separator):
    """torchaudio's HDemucs. ``channels`` is the width of the first layer; ``nfft`` 4096 suits 44.1 kHz."""

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: Annotated[int, Bounds(1, 64)] = 2,
        sample_rate: Annotated[int, Bounds(1, 10**6)] = 44100,
        segment_seconds: Seconds = 10.0,
        channels: Width = 48,
        growth: Annotated[int, Bounds(1, 8)] = 2,
        nfft: Transform = 4096,
        depth: Annotated[int, Bounds(1, 16)] = 6,
    ) -> None:
        super().__init__(sources, audio_channels, sample_rate, segment_seconds, normalize=False)
        self.nfft = nfft
        self.network = load_torchaudio().models.HDemucs(
            list(self.sources), audio_channels=audio_channels, channels=channels, growth=growth, nfft=nfft, depth=depth
        )
        # The innermost layer of the waveform branch skips its norm: without a gradient, it would stop DDP.
        self.network.time_encoder[-1].norm1.requires_grad_(False)

    def valid_length(self, frames: int) -> int:
        return max(frames, self.nfft)  # torchaudio's reflection fails on less than a window

    def estimate(self, mixture: Float[Tensor, "B C T"]) -> Float[Tensor, "B S C T"]:
        estimates: Tensor = self.network(mixture)
        return estimates


def load_published(path: Path) -> Separator:
    """Load the published four-source model from a local copy of torchaudio's file.

    Raises `DataError` if the file is missing or of another model.
    """
    from remix_miner.separators import build

    model = build("hdemucs")
    assert isinstance(model, HDemucs)
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    try:
        model.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises many kinds for a file that is not its own
        raise DataError(f"{path} does not hold torchaudio's hdemucs_high: {str(error)[:300]}") from error
    return model
