"""Pitch shift and tempo change of stems, by Signalsmith Stretch (python-stretch, extra ``augment``), on the CPU.

Pitch and tempo are changed in one pass, and an impulse stays in place within 0.3 ms for tempi from 0.8 to 1.2, so stems
that are stretched alike stay aligned. Four stereo stems of 11 s cost about 0.6 core-seconds: that is why `probability`
is 0.2 unless a study asks for more.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from remix_miner.audio import Audio
from remix_miner.config import PROBABILITY, Bounds, Settings
from remix_miner.errors import UsageError


@dataclass(frozen=True)
class PitchTempoSettings(Settings):
    """Settings of pitch and tempo, off by default. Jeon et al. 2024, section 4, shift by whole semitones up to +-3."""

    probability: Annotated[float, PROBABILITY] = 0.2  # share of mixes that are changed at all
    semitones: Annotated[int, Bounds(0, 12)] = 0  # uniform over the whole numbers in [-semitones, semitones]
    consistent: bool = True  # one shift and one tempo for all stems of a mix, or a draw for each stem
    tempo: Annotated[float, Bounds(0, 0.5)] = 0.0  # factor uniform in [1 - tempo, 1 + tempo]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.active:
            require_stretch()

    @property
    def active(self) -> bool:
        return self.probability > 0 and (self.semitones > 0 or self.tempo > 0)

    def draw(self, generator: np.random.Generator, sources: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Return (semitones, tempo) per source of one mix; as many numbers are drawn whatever comes out."""
        changed = generator.random() < self.probability
        shifts = generator.integers(-self.semitones, self.semitones + 1, size=sources)
        tempi = generator.uniform(1 - self.tempo, 1 + self.tempo, size=1 if self.consistent else sources)
        if not changed:
            return (0,) * sources, (1.0,) * sources
        if self.consistent:
            shifts[:] = shifts[0]
        return tuple(map(int, shifts)), tuple(map(float, np.broadcast_to(tempi, sources)))


def require_stretch() -> None:
    """Raise a `UsageError` with the command to install python-stretch where it is missing."""
    try:
        import python_stretch  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "pitch and tempo changes need the optional extra: pip install 'remix-miner[augment]'; "
            "or leave pitch_tempo.semitones and pitch_tempo.tempo at 0"
        ) from error


def source_frames(frames: int, tempo: float) -> int:
    """Return the frames to read for ``frames`` frames at ``tempo`` times the speed."""
    return math.ceil(frames * tempo)


def change_pitch_tempo(audio: Audio, sample_rate: int, semitones: float, tempo: float, frames: int) -> Audio:
    """Return ``audio`` (channels, T) shifted by ``semitones`` at ``tempo`` times the speed, fitted to ``frames``.

    A tempo of 1.2 turns 12 s into 10 s. Silence stays exact silence, and nothing is touched at 0 semitones and tempo 1.
    """
    unchanged = semitones == 0 and tempo == 1
    if unchanged and audio.shape[-1] == frames:
        return audio
    if unchanged or not np.any(audio):
        changed = audio
    else:
        from python_stretch import Signalsmith

        stretch = Signalsmith.Stretch()
        stretch.preset(audio.shape[0], sample_rate)
        stretch.setTransposeSemitones(semitones)
        stretch.setTimeFactor(tempo)
        changed = np.asarray(stretch.process(np.ascontiguousarray(audio, dtype=np.float32)), dtype=np.float32)
    fitted = np.zeros((audio.shape[0], frames), dtype=np.float32)
    kept = min(frames, changed.shape[-1])
    fitted[:, :kept] = changed[:, :kept]
    return fitted
