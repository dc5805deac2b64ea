"""Demucs of the first release (November 2019), also used in the simplified report.

It differs from the paper (`remix_miner.separators.demucs`): skips are added, not concatenated, before the decoder's
convolution, which has the GLU; a linear layer without ReLU follows the LSTM; weights and biases are divided by
sqrt(alpha) and the output is not multiplied back. 648.6 M parameters at 100 channels, 265.7 M at 64, the width of the
simplified report (section 2). Both normalise whole songs; here a model with ``normalize`` does it to each segment,
since a random mix has no song. Written from the descriptions; the released code has another licence.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.config import Bounds
from remix_miner.separators.base import Seconds, Separator, Width, centre_fit
from remix_miner.separators.demucs import check_unet, unet_valid_length
from remix_miner.sources import SOURCES


class DemucsV1(Separator):
    """The released variant. Settings as in `remix_miner.separators.demucs.Demucs`."""

    def __init__(
        self,
        sources: Sequence[str] = SOURCES,
        audio_channels: Annotated[int, Bounds(1, 64)] = 2,
        sample_rate: Annotated[int, Bounds(1, 10**6)] = 44100,
        segment_seconds: Seconds = 10.0,
        normalize: bool = True,
        channels: Width = 100,
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
                    nn.Conv1d(narrow, wide, kernel_size, stride),
                    nn.ReLU(),
                    nn.Conv1d(wide, 2 * wide if glu else wide, 1),
                    nn.GLU(dim=1) if glu else nn.ReLU(),
                )
            )
            out = len(self.sources) * audio_channels if layer == 1 else narrow
            synthesis = nn.ConvTranspose1d(wide, out, kernel_size, stride)
            self.decoder.insert(
                0,
                nn.Sequential(
                    nn.Conv1d(wide, 2 * wide if glu else wide, context),
                    nn.GLU(dim=1) if glu else nn.ReLU(),
                    synthesis,
                    nn.Identity() if layer == 1 else nn.ReLU(),
                ),
            )
        if lstm_layers:
            self.lstm = nn.LSTM(widths[-1], widths[-1], lstm_layers, bidirectional=True)
            self.linear = nn.Linear(2 * widths[-1], widths[-1])
        self.lstm_layers = lstm_layers
        if rescale is not None:
            rescale_convolutions(self, rescale)

    def valid_length(self, frames: int) -> int:
        return unet_valid_length(frames, self.depth, self.kernel_size, self.stride, self.context)

    def estimate(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C U"]:
        x, skips = mixture, []
        for encode in self.encoder:
            x = encode(x)
            skips.append(x)
        if self.lstm_layers:
            x = self.linear(self.lstm(x.permute(2, 0, 1))[0]).permute(1, 2, 0)
        for decode in self.decoder:
            x = decode(x + centre_fit(skips.pop(), x.shape[-1]))
        return self.by_source(x)


@torch.no_grad()
def rescale_convolutions(module: nn.Module, reference: float) -> None:
    """Divide weights and biases of all convolutions by sqrt(std(w) / reference), in place. The LSTM is not touched."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
            factor = (layer.weight.std() / reference).sqrt()
            layer.weight /= factor
            if layer.bias is not None:
                layer.bias /= factor
