"""Hybrid Transformer Demucs (Rouard et al. 2023), as the demucs package builds it. Extra ``demucs``."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from jaxtyping import Float
from torch import Tensor

from remix_miner.config import Bounds
from remix_miner.errors import UsageError
from remix_miner.separators.base import Seconds
from remix_miner.separators.external.module import ModuleSeparator, build_module
from remix_miner.sources import SOURCES

TARGET = "demucs.htdemucs.HTDemucs"


class HTDemucs(ModuleSeparator):
    """``options``: further arguments of the package's class. Segments may not exceed ``segment_seconds``.

    The network pads shorter mixtures to that length itself in evaluation, as its position codes were trained; while
    it trains, it takes the length that it is given.
    """

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: Annotated[int, Bounds(1, 8)] = 2,
        sample_rate: Annotated[int, Bounds(1, 10**6)] = 44100,
        segment_seconds: Seconds = 7.8,
        channels: Annotated[int, Bounds(1, 4096)] = 48,
        depth: Annotated[int, Bounds(1, 16)] = 4,
        t_layers: Annotated[int, Bounds(0, 64)] = 5,
        nfft: Annotated[int, Bounds(16, 2**16)] = 4096,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        arguments = {
            "sources": list(sources),
            "audio_channels": audio_channels,
            "samplerate": sample_rate,
            "segment": segment_seconds,
            "channels": channels,
            "depth": depth,
            "t_layers": t_layers,
            "nfft": nfft,
            **(options or {}),
        }
        try:
            network = build_module(TARGET, arguments, tuples=False)
        except UsageError as error:
            if isinstance(error.__cause__, ImportError):
                raise UsageError("htdemucs needs an extra: pip install 'remix-miner[demucs]'") from error
            raise
        super().__init__(network, sources, audio_channels, sample_rate, segment_seconds, least_frames=nfft)
        self.longest = int(segment_seconds * sample_rate)

    def estimate(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C V"]:
        """Apply the network; raise `UsageError` for a segment beyond the longest."""
        if not self.training and mixture.shape[-1] > self.longest:
            raise UsageError(
                f"htdemucs takes segments of at most {self.longest / self.sample_rate:g} s, got "
                f"{mixture.shape[-1] / self.sample_rate:g} s; leave --segment-seconds out"
            )
        return super().estimate(mixture)
