"""TFC-TDF-U-Net v3 (KUIELab's network in the Sound Demixing Challenge 2023), all sources in one model.

A U-Net on complex spectrograms whose frequencies are folded into ``subbands`` channels; pre-activation blocks (instance
norm, GELU) with residual linear layers over frequency; skips are concatenated. The output is multiplied by the first
convolution's output and concatenated with the mixture. The configuration behind the published MUSDB figures is not
public. The defaults are chosen to fit what is known (8192-point transforms every 2048 frames, 6 s, about 70 M
parameters).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.config import Bounds
from remix_miner.errors import UsageError
from remix_miner.separators.base import Seconds, Separator, Transform, Width
from remix_miner.separators.spectrogram import Spectrogram
from remix_miner.sources import SOURCES


class TfcTdfV3(Separator):
    """``channels``: width of the first level; each of the ``levels`` halvings adds ``growth``. 69.6 M parameters."""

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: Annotated[int, Bounds(1, 64)] = 2,
        sample_rate: Annotated[int, Bounds(1, 10**6)] = 44100,
        segment_seconds: Seconds = 6.0,
        n_fft: Transform = 8192,
        hop_frames: Transform = 2048,
        bins: Transform = 4096,
        subbands: Width = 4,
        channels: Width = 64,
        growth: Width = 128,
        levels: Annotated[int, Bounds(1, 12)] = 4,
        blocks: Annotated[int, Bounds(1, 32)] = 3,
        bottleneck: Width = 4,
    ) -> None:
        super().__init__(sources, audio_channels, sample_rate, segment_seconds, normalize=False)
        if bins % (subbands * 2**levels) or bins // (subbands * 2**levels) < bottleneck:
            raise UsageError(
                f"bins {bins} must be a multiple of subbands x 2^levels ({subbands * 2**levels}) and leave at least "
                f"{bottleneck} below"
            )
        self.levels, self.subbands = levels, subbands
        self.spectrogram = Spectrogram(n_fft, hop_frames, bins)
        folded = 2 * audio_channels * subbands
        sizes = [(channels + growth * level, bins // subbands // 2**level) for level in range(levels + 1)]
        self.first = nn.Conv2d(folded, channels, 1, bias=False)
        self.encoder, self.down = nn.ModuleList(), nn.ModuleList()
        self.up, self.decoder = nn.ModuleList(), nn.ModuleList()
        for (width, height), (wider, _) in pairwise(sizes):
            self.encoder.append(BlockStack(width, width, height, blocks, bottleneck))
            self.down.append(_activated(width, nn.Conv2d(width, wider, 2, 2, bias=False)))
            self.up.append(_activated(wider, nn.ConvTranspose2d(wider, width, 2, 2, bias=False)))
            self.decoder.append(BlockStack(2 * width, width, height, blocks, bottleneck))
        self.middle = BlockStack(sizes[-1][0], *sizes[-1], blocks, bottleneck)
        self.last = nn.Sequential(
            nn.Conv2d(channels + folded, channels, 1, bias=False),
            nn.GELU(),
            nn.Conv2d(channels, len(self.sources) * folded, 1, bias=False),
        )

    def valid_length(self, frames: int) -> int:
        return self.spectrogram.valid_length(frames, 2**self.levels)

    def estimate(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C V"]:
        folded = self._fold(self.spectrogram(mixture))
        first = x = self.first(folded).transpose(-1, -2)  # time before frequency: linear layers act on the last axis
        skips: list[Tensor] = []
        for block, down in zip(self.encoder, self.down, strict=True):
            skips.append(block(x))
            x = down(skips[-1])
        x = self.middle(x)
        for block, up in zip(reversed(self.decoder), reversed(self.up), strict=True):
            x = block(torch.cat([up(x), skips.pop()], dim=1))
        x = (x * first).transpose(-1, -2)
        spectra = self._unfold(self.last(torch.cat([folded, x], dim=1)))
        return self.by_source(self.spectrogram.inverse(spectra))

    def _fold(self, x: Float[Tensor, "B C F N"]) -> Float[Tensor, "B C*k F/k N"]:
        batch, channels, bins, columns = x.shape
        return x.reshape(batch, channels * self.subbands, bins // self.subbands, columns)

    def _unfold(self, x: Float[Tensor, "B C*k F/k N"]) -> Float[Tensor, "B C F N"]:
        batch, channels, bins, columns = x.shape
        return x.reshape(batch, channels // self.subbands, bins * self.subbands, columns)


class BlockStack(nn.Module):
    """``blocks`` times: convolution, residual TDF, convolution, and a shortcut around all three."""

    def __init__(self, inputs: int, channels: int, bins: int, blocks: int, bottleneck: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(inputs if number == 0 else channels, channels, bins, bottleneck) for number in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class Block(nn.Module):
    """1x1(x) + TFC(y + TDF(y)) with y = TFC(x)."""

    def __init__(self, inputs: int, channels: int, bins: int, bottleneck: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(inputs, channels, 1, bias=False)
        self.tfc1 = _activated(inputs, nn.Conv2d(inputs, channels, 3, padding=1, bias=False))
        self.tdf = nn.Sequential(
            _activated(channels, nn.Linear(bins, bins // bottleneck, bias=False)),
            _activated(channels, nn.Linear(bins // bottleneck, bins, bias=False)),
        )
        self.tfc2 = _activated(channels, nn.Conv2d(channels, channels, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        y = self.tfc1(x)
        result: Tensor = self.shortcut(x) + self.tfc2(y + self.tdf(y))
        return result


def _activated(channels: int, layer: nn.Module) -> nn.Sequential:
    """Apply instance norm, GELU and ``layer``."""
    return nn.Sequential(nn.InstanceNorm2d(channels, affine=True), nn.GELU(), layer)
