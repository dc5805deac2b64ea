"""TFC-TDF-U-Net v2, the network of KUIELab-MDX-Net (Kim et al. 2021), one model per source. 7.4 M parameters.

A U-Net on complex spectrograms: each block is three 3x3 convolutions (TFC), then a residual bottleneck of two linear
layers over frequency (TDF). Width grows by 32 at each halving; skips are multiplied in. The estimate's spectrogram is
the output itself, not a mask.
"""

from collections.abc import Sequence
from typing import Annotated

from torch import Tensor, nn

from remix_miner.config import Bounds
from remix_miner.errors import UsageError
from remix_miner.separators.base import Seconds, Transform, Width
from remix_miner.separators.spectrogram import Spectrogram
from remix_miner.separators.tfc_tdf.v1 import TfcTdfUnet, normalized

N_FFT = {"vocals": 6144, "drums": 4096, "bass": 16384, "other": 8192}
"""The paper's transform sizes: the less treble a source has, the larger."""


class TfcTdfV2(TfcTdfUnet):
    """The defaults are the paper's. ``n_fft`` None: the paper's for a single known source, else 8192.

    ``growth``: channels of the first level, and how many each level adds. ``levels``: halvings of both axes.
    ``segment_seconds`` None: the length of 256 columns, as in the paper.
    """

    def __init__(
        self,
        sources: Sequence[str] = ("vocals",),
        audio_channels: Annotated[int, Bounds(1, 64)] = 2,
        sample_rate: Annotated[int, Bounds(1, 10**6)] = 44100,
        segment_seconds: Seconds | None = None,
        n_fft: Transform | None = None,
        hop_frames: Transform = 1024,
        bins: Transform = 2048,
        growth: Width = 32,
        levels: Annotated[int, Bounds(1, 12)] = 5,
        convolutions: Annotated[int, Bounds(1, 32)] = 3,
        bottleneck: Width = 8,
    ) -> None:
        if bins % 2**levels or bins // 2**levels < bottleneck:
            raise UsageError(
                f"bins {bins} must be a multiple of 2^levels ({2**levels}) and leave {bottleneck} bins below"
            )
        n_fft = n_fft or (N_FFT.get(sources[0], 8192) if len(sources) == 1 else 8192)
        seconds = segment_seconds or (255 * hop_frames - n_fft) / sample_rate
        super().__init__(sources, audio_channels, sample_rate, seconds, normalize=False)
        self.levels = levels
        self.spectrogram = Spectrogram(n_fft, hop_frames, bins)
        sizes = [(growth * (level + 1), bins // 2**level) for level in range(levels + 1)]

        def block(level: int) -> nn.Module:
            return TfcTdf(*sizes[level], convolutions, bottleneck)

        self.first = normalized(nn.Conv2d(2 * audio_channels, growth, 1), growth)
        self.encoder = nn.ModuleList(block(level) for level in range(levels))
        self.down = nn.ModuleList(
            normalized(nn.Conv2d(sizes[level][0], sizes[level + 1][0], 2, 2), sizes[level + 1][0])
            for level in range(levels)
        )
        self.middle = block(levels)
        self.up = nn.ModuleList(
            normalized(nn.ConvTranspose2d(sizes[level + 1][0], sizes[level][0], 2, 2), sizes[level][0])
            for level in range(levels)
        )
        self.decoder = nn.ModuleList(block(level) for level in range(levels))
        self.last = nn.Conv2d(growth, len(self.sources) * 2 * audio_channels, 1)

    def join(self, x: Tensor, skip: Tensor) -> Tensor:
        """Multiply by the skip."""
        return x * skip


class TfcTdf(nn.Module):
    """Convolutions over time and frequency, then x + TDF(x)."""

    def __init__(self, channels: int, bins: int, convolutions: int, bottleneck: int) -> None:
        super().__init__()
        self.tfc = nn.Sequential(
            *(normalized(nn.Conv2d(channels, channels, 3, padding=1), channels) for _ in range(convolutions))
        )
        self.tdf = nn.Sequential(
            normalized(nn.Linear(bins, bins // bottleneck, bias=False), channels),
            normalized(nn.Linear(bins // bottleneck, bins, bias=False), channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.tfc(x)
        frequencies: Tensor = self.tdf(x)
        return x + frequencies
