"""Networks of the silent-source detector: mono audio at 16 kHz to a logit of silence for each source and window.

Three networks share one interface. ``paper``: Défossez et al. 2019, appendix A, with 55,296,914 parameters; 'same'
convolutions and pools padded by 2 lead from 54 frequencies to 27 and 14, the size of the paper's final kernel.
``small``: the same structure with a fortieth of the parameters and strided convolutions instead of pools, for scans on
a CPU. ``light``: a quarter of the operations of ``small``. Its square kernels after the first are separable
(frequency, then time) with few channels in between, its final kernel has fewer channels, and its recurrence takes two
windows a step. It does not use modulations around 350 Hz and faster (channels 1 and 2 of the transform), which are
then not computed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from remix_miner.detector.features import Features, Level
from remix_miner.detector.scattering.filters import ALL_CHANNELS, FIRST_ORDER
from remix_miner.detector.windows import HOP_SECONDS, SAMPLE_RATE, WINDOW_SECONDS
from remix_miner.device import Precision
from remix_miner.sources import SOURCES

Network = Literal["paper", "small", "light"]
POOLED_FREQUENCIES = 14
RANK = 16
"""Channels between the two halves of a separable kernel; fewer do not fill the vector registers of a CPU."""


class SilentSourceDetector(nn.Module):
    """Audio (B, T) at 16 kHz -> logits (B, 4, windows) of P_i, the probability that source i is silent.

    Window w is ``window_seconds`` long and centred at w * ``hop_seconds``; `windows.window_count` gives their
    number. `build_detector` makes the same network from ``settings``. Défossez et al. 2019, section 4.1 and appendix A.
    """

    sources = SOURCES
    sample_rate = SAMPLE_RATE
    window_seconds = WINDOW_SECONDS
    hop_seconds = HOP_SECONDS

    def __init__(
        self,
        network: Network = "small",
        width: int | None = None,
        hidden: int | None = None,
        dropout: float = 0.18,
        level: Level = "local",
        level_frames: int = 255,
        floor: float = 3e-5,
    ) -> None:
        super().__init__()
        if network not in NETWORKS:
            raise ValueError(f"network is one of {', '.join(NETWORKS)}, got {network!r}")
        plan = NETWORKS[network]
        width, hidden = width or plan.width, hidden or plan.hidden
        self.settings: dict[str, Any] = {
            "network": network,
            "width": width,
            "hidden": hidden,
            "dropout": dropout,
            "level": level,
            "level_frames": level_frames,
            "floor": floor,
        }
        self.features = Features(level, level_frames, floor, plan.channels)
        self.convolutions, self.steps, features = plan.build(len(plan.channels), width, hidden)
        self.windows_per_step = plan.windows_per_step
        self.recurrent = nn.LSTM(features, hidden, num_layers=2, dropout=dropout, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(
            nn.Conv1d(2 * hidden, hidden, 1),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Conv1d(hidden, len(SOURCES) * plan.windows_per_step, 1),
        )

    def forward(self, audio: Float[Tensor, "B T"]) -> Float[Tensor, "B S W"]:
        return self.logits(self.features(audio))

    def logits(self, features: Float[Tensor, "B C 54 frames"]) -> Float[Tensor, "B S W"]:
        """Return the logits of features."""
        return self.sequence(self.windows(features))

    def windows(self, features: Float[Tensor, "B C 54 frames"]) -> Float[Tensor, "B features W"]:
        """Return the output of the convolutions. Window w depends on feature frames 4 w - 18 to 4 w + 18 only."""
        normalised = self.convolutions[0](features)
        windows: Tensor = self.convolutions[1:](normalised.to(self.convolutions[1].weight.dtype)).squeeze(2)
        return windows.to(features.dtype)

    def compute_in(self, precision: Precision) -> None:
        """Convert convolutions and recurrence to this type, for evaluation: their weights are rounded to it.

        The features before them and the head after them stay float32; bfloat16 is too coarse for the logarithms.
        """
        for part in (self.convolutions[1:], self.steps, self.recurrent):
            part.to(dtype=getattr(torch, precision))

    def sequence(self, windows: Float[Tensor, "B features W"]) -> Float[Tensor, "B S W"]:
        """Return the logits of the convolutions' windows; each depends on all of ``windows``.

        Where a step has two windows, a part of a track must begin at an even window to equal the whole.
        """
        count = windows.shape[-1]
        whole = F.pad(windows, (0, -count % self.windows_per_step), mode="replicate")
        steps = self.steps(whole.to(self.recurrent.get_parameter("weight_hh_l0").dtype))
        states, _ = self.recurrent(steps.transpose(1, 2))
        logits: Tensor = self.head(states.transpose(1, 2).to(windows.dtype))
        by_step = logits.view(len(logits), len(SOURCES), self.windows_per_step, -1)
        return by_step.transpose(2, 3).flatten(2)[..., :count]


def build_detector(settings: Mapping[str, Any]) -> SilentSourceDetector:
    """Return the network of ``settings``, with random weights."""
    return SilentSourceDetector(**settings)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2), nn.ReLU()]


def _paper(channels: int, width: int, hidden: int) -> tuple[nn.Sequential, nn.Module, int]:
    layers = [
        nn.BatchNorm2d(channels),
        *_convolution(channels, width, 5),
        *_convolution(width, width, 5),
        *_convolution(width, 2 * width, 1),
        nn.MaxPool2d(5, 2, padding=2),
        nn.BatchNorm2d(2 * width),
        *_convolution(2 * width, 2 * width, 5),
        *_convolution(2 * width, 2 * width, 5),
        *_convolution(2 * width, 4 * width, 1),
        nn.MaxPool2d(5, 2, padding=2),
        nn.BatchNorm2d(4 * width),
        nn.Conv2d(4 * width, hidden, (POOLED_FREQUENCIES, 1)),
    ]
    return nn.Sequential(*layers), nn.Identity(), hidden


class CellNorm(nn.Module):
    """Batch normalisation of each of the C x 54 cells; cells without a path become zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels * FIRST_ORDER)

    def forward(self, features: Float[Tensor, "B C 54 frames"]) -> Float[Tensor, "B C 54 frames"]:
        normalised: Tensor = self.norm(features.flatten(1, 2)).unflatten(1, (-1, FIRST_ORDER))
        return normalised


def _separable(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, RANK, (kernel, 1), (stride, 1), padding=(kernel // 2, 0), bias=False),
        nn.Conv2d(RANK, outputs, (1, kernel), (1, stride), padding=(0, kernel // 2)),
        nn.ReLU(),
    ]


def _normalised(channels: int, width: int, convolution: Callable[..., list[nn.Module]]) -> list[nn.Module]:
    """Return the layers of ``small`` up to its final kernel: (B, channels, 54, frames) to (B, 2 width, 14, windows)."""
    return [
        CellNorm(channels),
        *_convolution(channels, width, 5, stride=2),
        nn.BatchNorm2d(width),
        *convolution(width, width, 3),
        nn.BatchNorm2d(width),
        *convolution(width, 2 * width, 5, stride=2),
        nn.BatchNorm2d(2 * width),
        *convolution(2 * width, 2 * width, 3),
        nn.BatchNorm2d(2 * width),
    ]


def _small(channels: int, width: int, hidden: int) -> tuple[nn.Sequential, nn.Module, int]:
    layers = [
        *_normalised(channels, width, _convolution),
        nn.Conv2d(2 * width, 2 * hidden, (POOLED_FREQUENCIES, 1)),
        nn.ReLU(),
        nn.BatchNorm2d(2 * hidden),
        nn.Dropout(0.1),
    ]
    return nn.Sequential(*layers), nn.Identity(), 2 * hidden


def _light(channels: int, width: int, hidden: int) -> tuple[nn.Sequential, nn.Module, int]:
    between = hidden // 2
    layers = [
        *_normalised(channels, width, _separable),
        nn.Conv2d(2 * width, between, (POOLED_FREQUENCIES, 1), bias=False),
    ]
    by_two = [nn.Conv1d(between, 2 * hidden, 2, stride=2), nn.ReLU(), nn.BatchNorm1d(2 * hidden), nn.Dropout(0.1)]
    return nn.Sequential(*layers), nn.Sequential(*by_two), 2 * hidden


@dataclass(frozen=True)
class Plan:
    """Builder of a network, its default size, the channels that it uses, and the windows in a step of its recurrence.

    ``build(channels, width, hidden)`` returns the convolutions, the layers from windows to steps of the recurrence, and
    the number of features of a step.
    """

    build: Callable[[int, int, int], tuple[nn.Sequential, nn.Module, int]]
    width: int
    hidden: int
    channels: tuple[int, ...] = ALL_CHANNELS
    windows_per_step: int = 1


NETWORKS = {
    "paper": Plan(_paper, 128, 1024),
    "small": Plan(_small, 48, 128),
    "light": Plan(_light, 48, 128, channels=(0, 3, 4, 5, 6), windows_per_step=2),
}
