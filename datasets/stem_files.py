"""Files of stems: partial reads, also conformed to another sample rate and channel count."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from remix_miner.audio import Audio, audio_info, display_name, read_audio, resample, to_channels
from remix_miner.errors import AudioError

RESAMPLING_MARGIN_SECONDS = 0.05
"""Longer than the response of soxr's HQ filter, so that a part equals the same part of the whole file resampled."""


class StemFile(Protocol):
    """A stem: its header, and parts of its audio as (channels, frames) float32."""

    @property
    def path(self) -> Path: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def frames(self) -> int: ...

    def read(self, start_frame: int, frames: int) -> Audio:
        """Return (C, frames) from ``start_frame``; both lie inside the file."""
        ...


@dataclass(frozen=True)
class PlainFile:
    """A lossless file; a header that contradicts the file is an `AudioError`."""

    path: Path
    sample_rate: int
    channels: int
    frames: int

    @classmethod
    def open(cls, path: Path) -> "PlainFile":
        info = audio_info(path)
        if info.problem:
            raise AudioError(f"{display_name(path)}: {info.problem}; replace the file")
        return cls(path, info.sample_rate, info.channels, info.frames)

    def read(self, start_frame: int, frames: int) -> Audio:
        return read_audio(self.path, start_frame, frames)[0]


@dataclass(frozen=True)
class ConformedFile:
    """A file read as if it had ``sample_rate`` and ``channels``: resampled band-limited, mono repeated.

    Any part equals the same part of the whole conformed file (up to the resampler's -100 dB): the part read from the
    file starts where both rates have a sample at the same instant.
    """

    file: StemFile
    sample_rate: int
    channels: int

    @property
    def path(self) -> Path:
        return self.file.path

    @property
    def frames(self) -> int:
        return math.ceil(self.file.frames * self.sample_rate / self.file.sample_rate)

    def read(self, start_frame: int, frames: int) -> Audio:
        audio = self.file.read(start_frame, frames) if self._same_rate else self._resampled(start_frame, frames)
        return to_channels(audio, self.channels)

    @property
    def _same_rate(self) -> bool:
        return self.sample_rate == self.file.sample_rate

    def _resampled(self, start_frame: int, frames: int) -> Audio:
        common = math.gcd(self.sample_rate, self.file.sample_rate)
        step, file_step = self.sample_rate // common, self.file.sample_rate // common
        margin = math.ceil(RESAMPLING_MARGIN_SECONDS * self.sample_rate / step)
        first = max(start_frame // step - margin, 0)
        last = math.ceil((start_frame + frames) / step) + margin
        file_start = first * file_step
        audio = self.file.read(file_start, min(last * file_step, self.file.frames) - file_start)
        lead = start_frame - first * step
        return resample(audio, self.file.sample_rate, self.sample_rate)[:, lead : lead + frames]


def read_padded(file: StemFile, start_frame: int, frames: int) -> Audio:
    """Return (C, frames) from ``start_frame``, with zeros after the end of the file."""
    held = min(max(file.frames - start_frame, 0), frames)
    if held == frames:
        return file.read(start_frame, frames)
    audio = np.zeros((file.channels, frames), dtype=np.float32)
    if held:
        audio[:, :held] = file.read(start_frame, held)
    return audio
