"""Muting of sources in random spans, for labelled silence in songs that have little of it."""

import numpy as np
from jaxtyping import Float32

MUTED_SECONDS = (5.0, 15.0)
SOUNDING_SECONDS = (5.0, 25.0)
FADE_SECONDS = 0.02


def muted(stems: Float32[np.ndarray, "S T"], sample_rate: int, rng: np.random.Generator) -> Float32[np.ndarray, "S T"]:
    """Return a copy in which each source is muted in random spans, independently, with short fades.

    About 40% of each source is muted. Where all would be muted the last source is not, because a mixture of digital
    silence has no label. The last source of a pair is its accompaniment.
    """
    gains = np.stack([_gain(stems.shape[-1], sample_rate, rng) for _ in stems])
    gains[-1] = np.maximum(gains[-1], 1 - gains[:-1].max(axis=0, initial=0.0))
    quieter: np.ndarray = stems * gains
    return quieter


def _gain(frames: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return a gain (T,) between 0 and 1 with a random first state."""
    times, levels = [0.0], [float(rng.random() < 0.5)]
    while times[-1] * sample_rate < frames:
        shortest, longest = SOUNDING_SECONDS if levels[-1] else MUTED_SECONDS
        change = times[-1] + rng.uniform(shortest, longest)
        times += [change - FADE_SECONDS, change]
        levels += [levels[-1], 1 - levels[-1]]
    return np.interp(np.arange(frames) / sample_rate, times, levels).astype(np.float32)
