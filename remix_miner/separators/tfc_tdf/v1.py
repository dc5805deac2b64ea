"""TFC-TDF-U-Net v1 (Choi et al. 2020), the predecessor of KUIELab-MDX-Net's v2. 2.2 M parameters, one model per source.

A U-Net on complex spectrograms: 9 blocks, each of 5 densely connected 3x3 convolutions, then a residual bottleneck of
two linear layers over frequency. The width is the same at every level; skips are concatenated (Kim et al. 2021, the
table 'Configurations and Training').
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.config import Bounds
from remix_miner.errors import UsageError
from remix_miner.separators.base import Seconds, Separator
from remix_miner.separators.spectrogram import Spectrogram

COLUMNS = 128


class TfcTdfUnet(Separator):
    """U-Net on complex spectrograms, as v1 and v2 share it: halved on both axes, then doubled, with skips.

    A subclass sets ``levels``, the modules below, and `join`. Blocks take (B, channels, N, F).
    """

    levels: int
    spectrogram: Spectrogram
    first: nn.Module
    encoder: nn.ModuleList
    down: nn.ModuleList
    middle: nn.Module
    up: nn.ModuleList
    decoder: nn.ModuleList
    last: nn.Module

    def join(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return the input of a decoder block."""
        raise NotImplementedError

    def valid_length(self, frames: int) -> int:
        """Return the frames whose spectrogram can be halved at every level, with context."""
        return self.spectrogram.valid_length(frames, 2**self.levels)

    def estimate(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C V"]:
        """Map the mixture's spectrogram to the sources'."""
        # Time before frequency, since linear layers act on the last axis.
        x = self.first(self.spectrogram(mixture).transpose(-1, -2))
        skips: list[Tensor] = []
        for block, down in zip(self.encoder, self.down, strict=True):
            skips.append(block(x))
            x = down(skips[-1])
        x = self.middle(x)
        for block, up in zip(reversed(self.decoder), reversed(self.up), strict=True):
            x = block(self.join(up(x), skips.pop()))
        return self.by_source(self.spectrogram.inverse(self.last(x).transpose(-1, -2)))


def normalized(layer: nn.Module, channels: int) -> nn.Sequential:
    """Return ``layer``, batch norm of its ``channels``, ReLU."""
    return nn.Sequential(layer, nn.BatchNorm2d(channels), nn.ReLU())


class TfcTdfV1(TfcTdfUnet):
    """The defaults are the paper's. ``growth``: channels of every convolution; ``levels``: halvings of both axes.

    ``segment_seconds`` None: the length of 128 columns, less half a window at each end.
    """

    def __init__(
        self,
        sources: Sequence[str] = ("vocals",),
        audio_channels: Annotated[int, Bounds(1, 8)] = 2,
        sample_rate: Annotated[int, Bounds(1, 10**6)] = 44100,
        segment_seconds: Seconds | None = None,
        n_fft: Annotated[int, Bounds(16, 2**17)] = 4096,
        hop_frames: Annotated[int, Bounds(1, 2**16)] = 1024,
        bins: Annotated[int, Bounds(1, 2**16)] = 2048,
        growth: Annotated[int, Bounds(1, 1024)] = 24,
        levels: Annotated[int, Bounds(1, 12)] = 4,
        convolutions: Annotated[int, Bounds(1, 32)] = 5,
        bottleneck: Annotated[int, Bounds(1, 1024)] = 16,
    ) -> None:
        if bins % 2**levels or bins // 2**levels < bottleneck:
            raise UsageError(
                f"bins {bins} must be a multiple of 2^levels ({2**levels}) and leave {bottleneck} bins below"
            )
        seconds = segment_seconds or ((COLUMNS - 1) * hop_frames - n_fft) / sample_rate
        super().__init__(sources, audio_channels, sample_rate, seconds, normalize=False)
        self.levels = levels
        self.spectrogram = Spectrogram(n_fft, hop_frames, bins)
        self.first = normalized(nn.Conv2d(2 * audio_channels, growth, (1, 2), padding="same"), growth)
        self.encoder, self.down = nn.ModuleList(), nn.ModuleList()
        self.up, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level in range(levels):
            self.encoder.append(DenseTfcTdf(growth, growth, bins // 2**level, convolutions, bottleneck))
            self.down.append(normalized(nn.Conv2d(growth, growth, 2, 2), growth))
            self.up.append(normalized(nn.ConvTranspose2d(growth, growth, 2, 2), growth))
            self.decoder.append(DenseTfcTdf(2 * growth, growth, bins // 2**level, convolutions, bottleneck))
        self.middle = DenseTfcTdf(growth, growth, bins // 2**levels, convolutions, bottleneck)
        self.last = nn.Conv2d(growth, len(self.sources) * 2 * audio_channels, 1)

    def join(self, x: Tensor, skip: Tensor) -> Tensor:
        """Concatenate the skip."""
        return torch.cat([x, skip], dim=1)


class DenseTfcTdf(nn.Module):
    """Densely connected convolutions over time and frequency, then x + TDF(x)."""

    def __init__(self, inputs: int, growth: int, bins: int, convolutions: int, bottleneck: int) -> None:
        super().__init__()
        self.tfc = nn.ModuleList(
            normalized(nn.Conv2d(inputs + growth * number, growth, 3, padding=1), growth)
            for number in range(convolutions)
        )
        self.tdf = nn.Sequential(
            nn.Linear(bins, bins // bottleneck),
            nn.BatchNorm2d(growth),
            nn.ReLU(),
            nn.Linear(bins // bottleneck, bins),
            nn.BatchNorm2d(growth),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, growth, N, F) of (B, inputs, N, F)."""
        outputs = x
        for convolution in self.tfc:
            x = convolution(outputs)
            outputs = torch.cat([outputs, x], dim=1)
        frequencies: Tensor = self.tdf(x)
        return x + frequencies
