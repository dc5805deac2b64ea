"""The silent-source detector: mono audio at 16 kHz -> for each source and window, the logit of 'it is silent'.

Networks behind one interface. ``paper``: Défossez et al. 2019, appendix A, 55,296,914 parameters; 'same' convolutions
and pools padded by 2 take 54 frequencies to 27 and 14, the paper's final kernel. ``small``: the same plan at a fortieth
of the size, with strided convolutions instead of pools, for scanning on a CPU. ``light``: ``small`` with each square
convolution after the first in two, along frequency and then along time, with a third as many channels between them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.detector.features import Features, Level
from remix_miner.detector.filters import CHANNELS, FIRST_ORDER
from remix_miner.detector.geometry import HOP_SECONDS, SAMPLE_RATE, WINDOW_SECONDS
from remix_miner.device import Precision
from remix_miner.sources import SOURCES

Network = Literal["paper", "small", "light"]
NAME = "silent-source-detector"
POOLED_FREQUENCIES = 14


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
        convolutions, default_width, default_hidden = NETWORKS[network]
        width, hidden = width or default_width, hidden or default_hidden
        self.settings: dict[str, Any] = {
            "network": network,
            "width": width,
            "hidden": hidden,
            "dropout": dropout,
            "level": level,
            "level_frames": level_frames,
            "floor": floor,
        }
        self.features = Features(level, level_frames, floor)
        self.convolutions, features = convolutions(width, hidden)
        self.recurrent = nn.LSTM(features, hidden, num_layers=2, dropout=dropout, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(
            nn.Conv1d(2 * hidden, hidden, 1), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Conv1d(hidden, len(SOURCES), 1)
        )

    def forward(self, audio: Float[Tensor, "B T"]) -> Float[Tensor, "B S W"]:
        return self.logits(self.features(audio))

    def logits(self, features: Float[Tensor, "B 7 54 frames"]) -> Float[Tensor, "B S W"]:
        """The same from features, for training on stored ones."""
        return self.sequence(self.windows(features))

    def windows(self, features: Float[Tensor, "B 7 54 frames"]) -> Float[Tensor, "B hidden W"]:
        """What the convolutions make of features. Window w reads features 4 w - 18 to 4 w + 18 and nothing else."""
        normalised = self.convolutions[0](features)
        windows: Tensor = self.convolutions[1:](normalised.to(self.convolutions[1].weight.dtype)).squeeze(2)
        return windows.to(features.dtype)

    def compute_in(self, precision: Precision) -> None:
        """From now on, compute convolutions and recurrence in this type. For evaluation: weights are rounded to it.

        What comes before them (logarithms, whose differences a bfloat16 would lose) and after them stays float32.
        """
        for part in (self.convolutions[1:], self.recurrent):
            part.to(dtype=getattr(torch, precision))

    def sequence(self, windows: Float[Tensor, "B hidden W"]) -> Float[Tensor, "B S W"]:
        """Logits from the convolutions' windows; the recurrence sees all that it is given."""
        states, _ = self.recurrent(windows.transpose(1, 2).to(self.recurrent.get_parameter("weight_hh_l0").dtype))
        result: Tensor = self.head(states.transpose(1, 2).to(windows.dtype))
        return result


def build_detector(settings: Mapping[str, Any]) -> SilentSourceDetector:
    """The network that ``settings`` describe, with random weights."""
    return SilentSourceDetector(**settings)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2), nn.ReLU()]


def _paper(width: int, hidden: int) -> tuple[nn.Sequential, int]:
    layers = [
        nn.BatchNorm2d(CHANNELS),
        *_convolution(CHANNELS, width, 5),
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
    return nn.Sequential(*layers), hidden


class CellNorm(nn.Module):
    """Batch normalisation of each of the 7 x 54 cells on its own: absent cells become zero, spectra lose their tilt."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(CHANNELS * FIRST_ORDER)

    def forward(self, features: Float[Tensor, "B 7 54 frames"]) -> Float[Tensor, "B 7 54 frames"]:
        normalised: Tensor = self.norm(features.flatten(1, 2)).unflatten(1, (CHANNELS, FIRST_ORDER))
        return normalised


def _separable(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    rank = max(outputs // 3, 1)
    return [
        nn.Conv2d(inputs, rank, (kernel, 1), (stride, 1), padding=(kernel // 2, 0), bias=False),
        nn.Conv2d(rank, outputs, (1, kernel), (1, stride), padding=(0, kernel // 2)),
        nn.ReLU(),
    ]


def _small(
    width: int, hidden: int, convolution: Callable[..., list[nn.Module]] = _convolution
) -> tuple[nn.Sequential, int]:
    layers: list[nn.Module] = [
        CellNorm(),
        *_convolution(CHANNELS, width, 5, stride=2),
        nn.BatchNorm2d(width),
        *convolution(width, width, 3),
        nn.BatchNorm2d(width),
        *convolution(width, 2 * width, 5, stride=2),
        nn.BatchNorm2d(2 * width),
        *convolution(2 * width, 2 * width, 3),
        nn.BatchNorm2d(2 * width),
        nn.Conv2d(2 * width, 2 * hidden, (POOLED_FREQUENCIES, 1)),
        nn.ReLU(),
        nn.BatchNorm2d(2 * hidden),
        nn.Dropout(0.1),
    ]
    return nn.Sequential(*layers), 2 * hidden


def _light(width: int, hidden: int) -> tuple[nn.Sequential, int]:
    return _small(width, hidden, _separable)


# name: (convolutions, default width, default hidden size)
NETWORKS = {"paper": (_paper, 128, 1024), "small": (_small, 48, 128), "light": (_light, 48, 128)}
