"""Demucs-v2 (released April 2021; Défossez et al. 2021, 'in the waveform domain'): v1 at twice the sample rate inside.

The mixture is resampled by 2 before the first layer and back after the last one. Layers and weight rescaling are those
of `remix_miner.separators.demucs_v1`, at 64 channels: 265.7 M parameters, the release's 1 GB. KUIELab blends its
MDX-Net with this model. The interpolation is the release's: a sinc of 24 zero crossings under a Hann window, cut off at
0.945 of the lower rate.
"""

from collections.abc import Sequence
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from remix_miner.config import Bounds
from remix_miner.separators.base import Seconds, Width
from remix_miner.separators.demucs import unet_valid_length
from remix_miner.separators.demucs_v1 import DemucsV1
from remix_miner.separators.torchaudio_loader import load_torchaudio
from remix_miner.sources import SOURCES

ZERO_CROSSINGS, ROLL_OFF = 24, 0.945


class DemucsV2(DemucsV1):
    """The release's defaults. ``resample`` False leaves the resampling out; other settings as in `DemucsV1`."""

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: Annotated[int, Bounds(1, 64)] = 2,
        sample_rate: Annotated[int, Bounds(1, 10**6)] = 44100,
        segment_seconds: Seconds = 10.0,
        normalize: bool = True,
        channels: Width = 64,
        growth: Annotated[int, Bounds(1, 8)] = 2,
        depth: Annotated[int, Bounds(1, 16)] = 6,
        kernel_size: Width = 8,
        stride: Width = 4,
        context: Width = 3,
        lstm_layers: Annotated[int, Bounds(0, 16)] = 2,
        rescale: Annotated[float, Bounds(above=0, most=1000)] | None = 0.1,
        glu: bool = True,
        resample: bool = True,
    ) -> None:
        super().__init__(
            sources,
            audio_channels,
            sample_rate,
            segment_seconds,
            normalize,
            channels,
            growth,
            depth,
            kernel_size,
            stride,
            context,
            lstm_layers,
            rescale,
            glu,
        )
        self.resample = resample

    def valid_length(self, frames: int) -> int:
        if not self.resample:
            return super().valid_length(frames)
        inside = unet_valid_length(2 * frames, self.depth, self.kernel_size, self.stride, self.context)
        return -(-inside // 2)

    def estimate(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C U"]:
        if not self.resample:
            return super().estimate(mixture)
        estimates = super().estimate(_resampled(mixture, 1, 2))
        return _resampled(estimates, 2, 1)


def _resampled(signal: Float[Tensor, "*B T"], before: int, after: int) -> Float[Tensor, "*B U"]:
    """Return the signal at ``after / before`` times its rate, in float32 under any autocast."""
    resample = load_torchaudio().functional.resample
    resampled: Tensor = resample(signal.float(), before, after, lowpass_filter_width=ZERO_CROSSINGS, rolloff=ROLL_OFF)
    return resampled
