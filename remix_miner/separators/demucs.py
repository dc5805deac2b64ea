"""Demucs of the first paper (Défossez et al. 2019, 'extra unlabeled data remixed', section 3).

Encoder: ``depth`` times conv (kernel 8, stride 4) + ReLU, 1x1 conv + GLU. Two bidirectional LSTM layers, 1x1 conv +
ReLU. Decoder: conv (kernel 3) + ReLU, concatenation with the encoder's output, 1x1 conv + GLU, transposed conv + ReLU
(none at the end). No convolution is padded, so estimates are shorter than the mixture: see `unet_valid_length`.
152.6 M parameters at 48 channels.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from remix_miner.config import Bounds
from remix_miner.errors import UsageError
from remix_miner.separators.base import Seconds, Separator, Width, centre_fit
from remix_miner.sources import SOURCES


class Demucs(Separator):
    """The model of the 2019 paper.

    ``channels``: C_1, the width of the first layer (the number of audio channels is ``audio_channels``); each layer has
    ``growth`` times as many as the one before. ``context``: kernel of the decoder's first convolution. ``rescale``:
    the reference level a of the weight rescaling, or None for none. ``glu`` False puts ReLU in the place of the GLUs
    and ``lstm_layers`` 0 leaves the LSTM out: two rows of the ablation (table 2).
    """

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: Annotated[int, Bounds(1, 64)] = 2,
        sample_rate: Annotated[int, Bounds(1, 10**6)] = 44100,
        segment_seconds: Seconds = 5.0,
        normalize: bool = False,
        channels: Width = 48,
        growth: Annotated[int, Bounds(1, 8)] = 2,
        depth: Annotated[int, Bounds(1, 16)] = 6,
        kernel_size: Width = 8,
        stride: Width = 4,
        context: Width = 3,
        lstm_layers: Annotated[int, Bounds(0, 16)] = 2,
        rescale: Annotated[float, Bounds(above=0, most=1000)] | None = 0.1,
        glu: bool = True,
    ) -> None:
        super().__init__(sources, audio_channels, sample_rate, segment_seconds, normalize)
        check_unet(channels, growth, depth, kernel_size, stride, context, lstm_layers)
        self.depth, self.kernel_size, self.stride, self.context = depth, kernel_size, stride, context
        widths = [audio_channels, *(channels * growth**layer for layer in range(depth))]
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for layer in range(1, depth + 1):
            narrow, wide = widths[layer - 1], widths[layer]
            self.encoder.append(
                nn.Sequential(
                    RescaledConv1d(narrow, wide, kernel_size, stride, rescale=rescale),
                    nn.ReLU(),
                    RescaledConv1d(wide, 2 * wide if glu else wide, 1, rescale=rescale),
                    nn.GLU(dim=1) if glu else nn.ReLU(),
                )
            )
            out = len(self.sources) * audio_channels if layer == 1 else narrow
            self.decoder.insert(0, DecoderLayer(wide, out, kernel_size, stride, context, rescale, layer == 1, glu))
        if lstm_layers:
            self.lstm = nn.LSTM(widths[-1], widths[-1], lstm_layers, bidirectional=True)
            self.lstm_out = nn.Sequential(RescaledConv1d(2 * widths[-1], widths[-1], 1, rescale=rescale), nn.ReLU())
        self.lstm_layers = lstm_layers

    def valid_length(self, frames: int) -> int:
        return unet_valid_length(frames, self.depth, self.kernel_size, self.stride, self.context)

    def estimate(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C U"]:
        x, skips = mixture, []
        for encode in self.encoder:
            x = encode(x)
            skips.append(x)
        if self.lstm_layers:
            x = self.lstm_out(self.lstm(x.permute(2, 0, 1))[0].permute(1, 2, 0))
        for decode in self.decoder:
            x = decode(x, skips.pop())
        return self.by_source(x)


class DecoderLayer(nn.Module):
    """Conv + ReLU, concatenation with the encoder's output, 1x1 conv + GLU, transposed conv (+ ReLU)."""

    def __init__(
        self,
        wide: int,
        narrow: int,
        kernel_size: int,
        stride: int,
        context: int,
        rescale: float | None,
        last: bool,
        glu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = RescaledConv1d(wide, wide, context, rescale=rescale)
        self.join = RescaledConv1d(2 * wide, 2 * wide if glu else wide, 1, rescale=rescale)
        self.synthesis = RescaledConvTranspose1d(wide, narrow, kernel_size, stride, rescale=rescale)
        self.last, self.glu = last, glu

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        x = self.join(torch.cat([x, centre_fit(skip, x.shape[-1])], dim=1))
        x = F.glu(x, dim=1) if self.glu else F.relu(x)
        x = self.synthesis(x)
        return x if self.last else F.relu(x)


class RescaledConv1d(nn.Conv1d):
    """A convolution by sqrt(alpha) w', where w' = w / sqrt(alpha) and alpha = std(w) / ``rescale`` at the start.

    The output is that of the plain layer. Only the step of Adam relative to the weights changes, which is 'equivalent
    to using specific learning rates per layer' (section 3, 'Weights rescaling'). The factor is applied to the weights,
    which are smaller than the output.
    """

    scale: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, stride: int = 1, *, rescale: float | None = None
    ) -> None:
        super().__init__(inputs, outputs, kernel_size, stride)
        _rescale(self, rescale)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv1d(input, self.weight * self.scale, self.bias, self.stride)


class RescaledConvTranspose1d(nn.ConvTranspose1d):
    """`RescaledConv1d`'s transpose."""

    scale: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, stride: int = 1, *, rescale: float | None = None
    ) -> None:
        super().__init__(inputs, outputs, kernel_size, stride)
        _rescale(self, rescale)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        return F.conv_transpose1d(input, self.weight * self.scale, self.bias, self.stride)


def _rescale(layer: nn.Conv1d | nn.ConvTranspose1d, reference: float | None) -> None:
    weight = layer.weight.detach()
    scale = torch.ones_like(weight[0, 0, 0]) if reference is None else (weight.std() / reference).sqrt()
    layer.register_buffer("scale", scale)
    with torch.no_grad():
        layer.weight /= scale


def unet_valid_length(frames: int, depth: int, kernel_size: int, stride: int, context: int) -> int:
    """Return the shortest mixture that fits every layer's stride and yields at least ``frames`` of estimates.

    >>> unet_valid_length(441000, depth=6, kernel_size=8, stride=4, context=3)
    451924
    """
    length = frames
    for _ in range(depth):
        length = max(1, math.ceil((length - kernel_size) / stride) + 1) + context - 1
    for _ in range(depth):
        length = (length - 1) * stride + kernel_size
    return length


def check_unet(
    channels: int, growth: int, depth: int, kernel_size: int, stride: int, context: int, lstm_layers: int
) -> None:
    """Raise `UsageError` for sizes that the convolutions cannot have."""
    for name, value in (
        ("channels", channels),
        ("growth", growth),
        ("depth", depth),
        ("stride", stride),
    ):
        if value < 1:
            raise UsageError(f"{name} must be at least 1, got {value}")
    if lstm_layers < 0:
        raise UsageError(f"lstm_layers must be at least 0, got {lstm_layers}")
    if kernel_size < stride:
        raise UsageError(
            f"kernel_size must be at least the stride ({stride}), or frames are skipped; got {kernel_size}"
        )
    if context < 1 or context % 2 == 0:
        raise UsageError(f"context must be odd, so that estimates stay centred; got {context}")
