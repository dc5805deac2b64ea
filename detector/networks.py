"""The silent-source detector: mono audio at 16 kHz -> for each source and window, the logit of 'it is silent'.

Networks behind one interface. ``paper``: Défossez et al. 2019, appendix A, 55,296,914 parameters; 'same' convolutions
and pools padded by 2 take 54 frequencies to 27 and 14, the paper's final kernel. ``small``: the same plan at a fortieth
of the size, with strided convolutions instead of pools, for scanning on a CPU. ``light``: ``small`` at a quarter of its
arithmetic. Square kernels after the first are pairs, along frequency and then along time, with few channels between
them; the final kernel goes through fewer channels too; the recurrence takes windows by two; and modulations around
350 Hz and faster (channels 1 and 2 of the transform) are not read, so that nobody needs to compute them.
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
NAME = "silent-source-detector"
POOLED_FREQUENCIES = 14
RANK = 16
"""Channels between the two halves of a square kernel; with fewer, a CPU's vectors are not full."""


class SilentSourceDetector(nn.Module):
    """Audio (B, T) at 16 kHz -> logits (B, 4, windows) of P_i, the probability that source i is silent.

    Window w is ``window_seconds`` long and centred at w * ``hop_seconds``; `geometry.window_count` gives their
    number. ``settings`` builds the same network again. Défossez et al. 2019, section 4.1 and appendix A.
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
        """The same from features, for training on stored ones."""
        return self.sequence(self.windows(features))

    def windows(self, features: Float[Tensor, "B C 54 frames"]) -> Float[Tensor, "B features W"]:
        """What the convolutions make of features. Window w reads features 4 w - 18 to 4 w + 18 and nothing else."""
        normalised = self.convolutions[0](features)
        windows: Tensor = self.convolutions[1:](normalised.to(self.convolutions[1].weight.dtype)).squeeze(2)
        return windows.to(features.dtype)

    def compute_in(self, precision: Precision) -> None:
        """From now on, compute convolutions and recurrence in this type. For evaluation: weights are rounded to it.

        What comes before them (logarithms, whose differences a bfloat16 would lose) and after them stays float32.
        """
        for part in (self.convolutions[1:], self.steps, self.recurrent):
            part.to(dtype=getattr(torch, precision))

    def sequence(self, windows: Float[Tensor, "B features W"]) -> Float[Tensor, "B S W"]:
        """Logits from the convolutions' windows; the recurrence sees all that it is given.

        Where it takes windows by two, a part of a track has to begin at an even window to be heard as in the whole.
        """
        count = windows.shape[-1]
        whole = F.pad(windows, (0, -count % self.windows_per_step), mode="replicate")
        steps = self.steps(whole.to(self.recurrent.get_parameter("weight_hh_l0").dtype))
        states, _ = self.recurrent(steps.transpose(1, 2))
        logits: Tensor = self.head(states.transpose(1, 2).to(windows.dtype))
        by_step = logits.view(len(logits), len(SOURCES), self.windows_per_step, -1)
        return by_step.transpose(2, 3).flatten(2)[..., :count]


def build_detector(settings: Mapping[str, Any]) -> SilentSourceDetector:
    """The network that ``settings`` describe, with random weights."""
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
    """Batch normalisation of each of the C x 54 cells on its own: absent cells become zero, spectra lose their tilt."""

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
    """``small`` up to its final kernel: (B, channels, 54, frames) to (B, 2 width, 14, windows)."""
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
    """How a network is built, its usual size, the channels that it reads, and how many windows its recurrence takes.

    ``build(channels, width, hidden)``: the convolutions, what makes the recurrence's steps of their windows, and how
    many features a step has.
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
