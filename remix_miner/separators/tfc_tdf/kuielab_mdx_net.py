"""KUIELab-MDX-Net (Kim et al. 2021): a TFC-TDF-U-Net for each source, and a Mixer of all their estimates.

The Mixer is one linear map per sample, without bias, from the estimates and the mixture to better estimates. It is
trained with the separators frozen. Here it starts as the map that changes nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.config import Bounds
from remix_miner.errors import DataError, UsageError
from remix_miner.separators.base import Seconds, Separator
from remix_miner.separators.tfc_tdf.v2 import TfcTdfV2
from remix_miner.sources import SOURCES


class KuielabMdxNet(Separator):
    """``part``: settings of the separators beyond their defaults. Load trained ones with `load_parts`.

    Settings under the name of a source, as in ``{"growth": 16, "bass": {"n_fft": 8192}}``, are of that source alone.
    """

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: Annotated[int, Bounds(1, 64)] = 2,
        sample_rate: Annotated[int, Bounds(1, 10**6)] = 44100,
        segment_seconds: Seconds = 5.0,
        part: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(sources, audio_channels, sample_rate, segment_seconds, normalize=False)
        own = {source: (part or {}).get(source, {}) for source in sources}
        shared = {name: value for name, value in (part or {}).items() if name not in own}
        shared = {"audio_channels": audio_channels, "sample_rate": sample_rate, **shared}
        self.parts = nn.ModuleDict({source: TfcTdfV2(sources=(source,), **shared, **own[source]) for source in sources})
        self.parts.requires_grad_(False)
        signals = len(self.sources) * audio_channels
        self.mixer = nn.Linear(signals + audio_channels, signals, bias=False)
        with torch.no_grad():
            self.mixer.weight.copy_(torch.eye(signals, signals + audio_channels))

    def load_parts(self, models: Mapping[str, str | Path]) -> None:
        """Load the weights of trained `tfc_tdf_v2` models, one for each source.

        Raises `UsageError` when a source lacks a model, `DataError` when a model is of another source or size.
        """
        from remix_miner.separators.loading import load_separator

        if set(models) != set(self.sources):
            raise UsageError(
                f"a model is needed for each of {', '.join(self.sources)}; given: {', '.join(models) or 'none'}"
            )
        for source, path in models.items():
            trained = load_separator(path)
            if trained.sources != (source,):
                raise DataError(f"{path} separates {', '.join(trained.sources)}, not {source} alone")
            try:
                self.parts[source].load_state_dict(trained.state_dict())
            except RuntimeError as error:
                raise DataError(f"{path} does not fit: {error}") from error

    def train(self, mode: bool = True) -> Self:
        """Set training mode for the Mixer; the separators, which are frozen, stay in evaluation mode."""
        super().train(mode)
        self.parts.eval()
        return self

    def valid_length(self, frames: int) -> int:
        return max(part.valid_length(frames) for part in self._separators())

    def estimate(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C U"]:
        frames = mixture.shape[-1] - max(part.spectrogram.n_fft for part in self._separators())
        with torch.no_grad():
            estimates = [part(mixture, frames).flatten(1, 2) for part in self._separators()]
        trim = (mixture.shape[-1] - frames) // 2
        signals = torch.cat([*estimates, mixture[..., trim : trim + frames]], dim=1)
        return self.by_source(self.mixer(signals.transpose(1, 2)).transpose(1, 2))

    def _separators(self) -> list[TfcTdfV2]:
        return [part for part in self.parts.values() if isinstance(part, TfcTdfV2)]
