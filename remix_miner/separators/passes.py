"""Passes of overlap-add over a track: their delays, the weights of a segment, and the weighted sums."""

import math
import random

import torch
from jaxtyping import Float
from torch import Tensor

from remix_miner.errors import UsageError


class Pass:
    """A pass over the track: a sign, a grid of segments, and the weighted sum of estimates not yet returned."""

    def __init__(self, sign: float, start: int, sources: int, channels: int) -> None:
        self.sign = sign
        self.start = self.next_start = start
        self._sum = torch.zeros(sources, channels, 0)
        self._weight = torch.zeros(0)

    def last_start(self, frames: int, segment: int, stride: int) -> int:
        """Return the start of the segment that reaches the end of a track of ``frames`` frames."""
        return self.start + max(0, math.ceil((frames - self.start - segment) / stride)) * stride

    def add(self, position: int, estimate: Tensor, window: Tensor) -> None:
        """Add a windowed segment that begins ``position`` frames after the first frame still held (or before it)."""
        if position < 0:
            estimate, window, position = estimate[..., -position:], window[-position:], 0
        end = position + window.shape[-1]
        missing = end - self._weight.shape[-1]
        if missing > 0:
            self._sum = torch.cat([self._sum, self._sum.new_zeros(*self._sum.shape[:-1], missing)], dim=-1)
            self._weight = torch.cat([self._weight, self._weight.new_zeros(missing)])
        self._sum[..., position:end] += estimate * window
        self._weight[position:end] += window

    def take(self, frames: int) -> Tensor:
        """Return the estimate of the first ``frames`` frames held, and drop them."""
        estimate = self._sum[..., :frames] / self._weight[:frames]
        self._sum, self._weight = self._sum[..., frames:].clone(), self._weight[frames:].clone()
        return estimate


def offsets(shifts: int, longest_frames: int, seed: int) -> list[int]:
    """Return the delay of each pass in frames: 0 alone, or ``shifts`` distinct random ones below ``longest_frames``."""
    if shifts == 0:
        return [0]
    choices = max(1, longest_frames)
    if shifts > choices:
        raise UsageError(f"{shifts} distinct shifts do not fit in {choices} frames; ask for fewer")
    return random.Random(seed).sample(range(choices), shifts)


def triangle(frames: int) -> Float[Tensor, " T"]:
    """Return weights that rise linearly to the middle and fall again, above 0 everywhere, largest 1."""
    ramp = torch.arange(1, frames + 1, dtype=torch.float32)
    window = torch.minimum(ramp, ramp.flip(0))
    return window / window.max()
