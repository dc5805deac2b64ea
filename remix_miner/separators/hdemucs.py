"""Hybrid Demucs (Défossez 2021), as torchaudio builds it: `torchaudio.models.hdemucs_high` and its published weights.

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
from remix_miner.sources import SOURCES
from remix_miner.torchaudio_loader import load_torchaudio

PUBLISHED_URL = "https://download.pytorch.org/torchaudio/models/hdemucs_high_trained.pt"
"""Trained on MUSDB18-HQ and 150 further songs; ``hdemucs_high_musdbhq_only.pt`` beside it, on MUSDB18-HQ alone."""


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


def load_published(path: Path | None = None) -> Separator:
    """Load the published four-source model from a local copy of torchaudio's file.

    ``path`` None: the download folders of torchaudio's pipeline and of torch.hub. Raises `DataError` if the file is
    missing or of another model.
    """
    from remix_miner.separators import build

    model = build("hdemucs")
    assert isinstance(model, HDemucs)
    found = path if path is not None else next((place for place in download_places() if place.is_file()), None)
    if found is None or not found.is_file():
        raise DataError(
            f"the published Hybrid Demucs is not at {path or download_places()[0]}; download {PUBLISHED_URL} and put "
            "it there, or pass the file's path"
        )
    try:
        model.network.load_state_dict(torch.load(found, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises many kinds for a file that is not its own
        raise DataError(f"{found} does not hold torchaudio's hdemucs_high: {str(error)[:300]}") from error
    return model


def download_places() -> list[Path]:
    """Return where torchaudio and torch.hub keep the published file, the usual place first."""
    hub = Path(torch.hub.get_dir())
    name = PUBLISHED_URL.rpartition("/")[2]
    return [hub / "torchaudio" / "models" / name, hub / "checkpoints" / name]
