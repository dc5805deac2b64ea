"""Perturbation of a song: each stem shifted in time and pitch by itself (Jeon et al. 2024, section 4, figure 4)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from remix_miner.errors import UsageError
from remix_miner.training.batches.pitch_tempo import change_pitch_tempo, require_stretch

Stems = Float32[np.ndarray, "S C T"]


@dataclass(frozen=True)
class Perturbation:
    """Largest shifts: ``time_shift_seconds`` t_s, uniform in [-t_s, t_s]; ``semitones`` n, whole ones in [-n, n].

    ``draws``: versions of the test set, each with a seed of its own (the paper takes three).
    """

    time_shift_seconds: float = 0.0
    semitones: int = 0
    draws: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.time_shift_seconds <= 60:
            raise UsageError(f"a time shift is 0 to 60 s, got {self.time_shift_seconds:g}")
        if not 0 <= self.semitones <= 12:
            raise UsageError(f"a pitch shift is 0 to 12 semitones, got {self.semitones}")

    def require_extra(self) -> None:
        """Raise a `UsageError` where the extra for changes of pitch is needed and missing."""
        if self.semitones:
            require_stretch()


def perturb(stems: Stems, sample_rate: int, perturbation: Perturbation, rng: np.random.Generator) -> Stems:
    """Return the stems, each shifted by its own draw; a copy of the same shape.

    A stem that is shifted in time leaves silence behind; what passes an end of the song is cut. Two numbers are drawn
    for every stem whatever the perturbation, so that a larger shift of the same seed is the same shift, enlarged.
    """
    shifted = np.zeros_like(stems)
    for number, stem in enumerate(stems):
        share, step = rng.uniform(-1, 1), rng.random()
        semitones = int(step * (2 * perturbation.semitones + 1)) - perturbation.semitones
        stem = change_pitch_tempo(stem, sample_rate, semitones, 1.0, stems.shape[-1])
        frames = round(share * perturbation.time_shift_seconds * sample_rate)
        shifted[number] = _moved(stem, frames)
    return shifted


def _moved(stem: Float32[np.ndarray, "C T"], frames: int) -> Float32[np.ndarray, "C T"]:
    """Return ``stem`` moved later by ``frames`` (earlier where negative), with silence in the gap."""
    moved = np.zeros_like(stem)
    length = stem.shape[-1] - abs(frames)
    if length > 0:
        source, target = max(-frames, 0), max(frames, 0)
        moved[:, target : target + length] = stem[:, source : source + length]
    return moved
