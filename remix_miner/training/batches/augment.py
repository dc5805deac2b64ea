"""Augmentations of stems before they are summed: gain, channel swap, sign flip, time shift, remix within the batch.

Each is a small module on (batch, source, channel, time) with the generator passed in. Numbers are drawn on the CPU and
only then moved to the stems' device, so CPU and GPU make the same batch; the work is batched and runs where the stems
are. Inputs are never changed.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from remix_miner.config import PROBABILITY, Bounds, SettingError, Settings
from remix_miner.errors import UsageError

Stems = Float[Tensor, "B S C T"]


@dataclass(frozen=True)
class AugmentSettings(Settings):
    """Défossez et al. 2019, section 5.2: shift, swap, sign per channel. Gain and groups are later Demucs' additions."""

    shift_seconds: Annotated[float, Bounds(0, 3600)] = 0.0  # delay each source by up to so much
    swap_probability: Annotated[float, PROBABILITY] = 0.5
    flip_probability: Annotated[float, PROBABILITY] = 0.5
    flip_per_channel: bool = True
    consistent: bool = False  # the same swap and signs for all sources of a mix: the mixture stays that of a song
    gain_min: Annotated[float, Bounds(above=0, most=1000)] = 1.0
    gain_max: Annotated[float, Bounds(above=0, most=1000)] = 1.0
    remix_group: Annotated[int, Bounds(0, 65536)] = (
        0  # shuffle sources within groups of so many items; 0: mixes come from MixingSettings alone
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gain_min > self.gain_max:
            raise SettingError("gain_min", f"must be at most gain_max, got {self.gain_min} and {self.gain_max}")
        if self.remix_group == 1:
            raise SettingError("remix_group", f"is 0 (off) or at least 2, got {self.remix_group}")


class Shift(nn.Module):
    """Cut T - ``frames`` frames out of each source, from a start of its own: the same for all its channels."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, stems: Stems, generator: Generator) -> Stems:
        if not self.frames:
            return stems
        batch, sources, channels, frames = stems.shape
        length = frames - self.frames
        starts = torch.randint(self.frames + 1, (batch, sources, 1, 1), generator=generator).to(stems.device)
        index = starts + torch.arange(length, device=stems.device)
        return stems.gather(-1, index.expand(batch, sources, channels, length))


class ChannelSwap(nn.Module):
    """Reverse the order of a source's channels with probability p; mono stays as it is."""

    def __init__(self, probability: float = 0.5, consistent: bool = False) -> None:
        super().__init__()
        self.probability = probability
        self.consistent = consistent

    def forward(self, stems: Stems, generator: Generator) -> Stems:
        batch, sources, channels, _ = stems.shape
        drawn = torch.rand((batch, 1 if self.consistent else sources, 1), generator=generator)
        swapped = drawn.expand(batch, sources, 1) < self.probability
        if channels == 1:
            return stems
        order = torch.arange(channels)
        order = torch.where(swapped, order.flip(0), order).to(stems.device)
        items = torch.arange(batch, device=stems.device)[:, None, None]
        return stems[items, torch.arange(sources, device=stems.device)[:, None], order]


class SignFlip(nn.Module):
    """Multiply by -1 with probability p, per source or, as the 2019 paper, per channel of each source."""

    def __init__(self, probability: float = 0.5, per_channel: bool = True, consistent: bool = False) -> None:
        super().__init__()
        self.probability = probability
        self.per_channel = per_channel
        self.consistent = consistent

    def forward(self, stems: Stems, generator: Generator) -> Stems:
        batch, sources, channels, _ = stems.shape
        shape = (batch, 1 if self.consistent else sources, channels if self.per_channel else 1, 1)
        signs = 1 - 2 * (torch.rand(shape, generator=generator) < self.probability).to(stems.dtype)
        return stems * signs.to(stems.device)


class Gain(nn.Module):
    """Multiply each source by a factor uniform in [minimum, maximum]."""

    def __init__(self, minimum: float = 0.25, maximum: float = 1.25) -> None:
        super().__init__()
        self.minimum = minimum
        self.maximum = maximum

    def forward(self, stems: Stems, generator: Generator) -> Stems:
        factors = torch.rand((*stems.shape[:2], 1, 1), generator=generator)
        return stems * (self.minimum + (self.maximum - self.minimum) * factors).to(stems)


class Remix(nn.Module):
    """Shuffle each source on its own within groups of ``group`` items of the batch, which must divide the batch."""

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, stems: Stems, generator: Generator) -> Stems:
        batch, sources = stems.shape[:2]
        if batch % self.group:
            raise UsageError(
                f"a batch of {batch} cannot be split into groups of {self.group}: set remix_group to a divisor"
            )
        order = torch.rand((batch // self.group, self.group, sources), generator=generator).argsort(dim=1)
        rows = order + torch.arange(0, batch, self.group)[:, None, None]
        return stems[rows.reshape(batch, sources).to(stems.device), torch.arange(sources, device=stems.device)]


class Augmentation(nn.Module):
    """The augmentations of ``settings``, in the order shift, swap, sign, gain, remix. Takes `margin_frames` more."""

    def __init__(self, settings: AugmentSettings, sample_rate: int) -> None:
        super().__init__()
        self.margin_frames = round(settings.shift_seconds * sample_rate)
        self.steps = nn.ModuleList([Shift(self.margin_frames)] if self.margin_frames else [])
        if settings.swap_probability:
            self.steps.append(ChannelSwap(settings.swap_probability, settings.consistent))
        if settings.flip_probability:
            self.steps.append(SignFlip(settings.flip_probability, settings.flip_per_channel, settings.consistent))
        if (settings.gain_min, settings.gain_max) != (1.0, 1.0):
            self.steps.append(Gain(settings.gain_min, settings.gain_max))
        if settings.remix_group:
            self.steps.append(Remix(settings.remix_group))

    def forward(self, stems: Stems, generator: Generator) -> Stems:
        for step in self.steps:
            stems = step(stems, generator)
        return stems
