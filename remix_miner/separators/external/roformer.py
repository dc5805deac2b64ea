"""BS-RoFormer and Mel-Band RoFormer (Lu et al. 2023, Wang et al. 2023), as PyPI's bs-roformer builds them.

Extra ``roformer``. One residual stream by default, as in the checkpoints of the community; the library's own default of
four (hyper-connections) cannot read them.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from remix_miner.config import Bounds
from remix_miner.errors import UsageError
from remix_miner.separators.base import Seconds
from remix_miner.separators.external.module import ModuleSeparator, build_module
from remix_miner.sources import SOURCES

Width = Annotated[int, Bounds(1, 4096)]
Depth = Annotated[int, Bounds(1, 64)]


class BsRoformer(ModuleSeparator):
    """Band-split RoFormer. ``options``: further arguments of the library's class, such as freqs_per_bands."""

    target = "bs_roformer.BSRoformer"

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: Annotated[int, Bounds(1, 2)] = 2,
        sample_rate: Annotated[int, Bounds(1, 10**6)] = 44100,
        segment_seconds: Seconds = 8.0,
        dim: Width = 192,
        depth: Depth = 6,
        time_transformer_depth: Depth = 1,
        freq_transformer_depth: Depth = 1,
        residual_streams: Annotated[int, Bounds(1, 16)] = 1,
        stft_n_fft: Annotated[int, Bounds(16, 2**16)] = 2048,
        stft_hop_length: Annotated[int, Bounds(1, 2**16)] = 512,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if audio_channels not in (1, 2):
            raise UsageError(f"audio_channels is 1 or 2, got {audio_channels}")
        arguments = {
            "dim": dim,
            "depth": depth,
            "stereo": audio_channels == 2,
            "num_stems": len(sources),
            "time_transformer_depth": time_transformer_depth,
            "freq_transformer_depth": freq_transformer_depth,
            "num_residual_streams": residual_streams,
            "stft_n_fft": stft_n_fft,
            "stft_win_length": stft_n_fft,
            "stft_hop_length": stft_hop_length,
            **self.own_arguments(sample_rate, stft_n_fft),
            **(options or {}),
        }
        try:
            with warnings.catch_warnings():  # the library counts its bins with a transform without a window
                warnings.filterwarnings("ignore", "A window was not provided")
                network = build_module(self.target, arguments)
        except UsageError as error:
            if isinstance(error.__cause__, ImportError):
                raise UsageError(f"{self.target} needs an extra: pip install 'remix-miner[roformer]'") from error
            raise
        super().__init__(
            network,
            sources,
            audio_channels,
            sample_rate,
            segment_seconds,
            multiple=stft_hop_length,
            least_frames=stft_n_fft,
        )

    def own_arguments(self, sample_rate: int, n_fft: int) -> dict[str, Any]:
        """Return the arguments that only this class of the library has."""
        return {"dim_freqs_in": n_fft // 2 + 1}


class MelBandRoformer(BsRoformer):
    """RoFormer with overlapping mel bands: its masks are averaged where bands overlap."""

    target = "bs_roformer.MelBandRoformer"

    def own_arguments(self, sample_rate: int, n_fft: int) -> dict[str, Any]:
        """Return the bins of the transform, and the rate that the mel scale needs."""
        return {"dim_freqs_in": n_fft // 2 + 1, "sample_rate": sample_rate}
