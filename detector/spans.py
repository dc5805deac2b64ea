"""Spans of audio in which a source is silent, from probabilities per window.

A run is a maximal sequence of windows with P >= threshold. Its span is the audio that lies in no window below the
threshold. Windows overlap (0.64 s every 64 ms), so audio near the ends of a run also lies in windows below it and
may hold the source; this audio is cut. At a track's ends nothing is cut. Défossez et al. 2019, section 4.2: "audio
extracts where P_i >= p_i for at least 5 seconds".
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from remix_miner.detector.windows import HOP_SECONDS, WINDOW_SECONDS


@dataclass(frozen=True)
class Span:
    """Audio from ``start_seconds`` to ``end_seconds``; windows ``first_window`` to ``last_window`` passed."""

    start_seconds: float
    end_seconds: float
    probability_mean: float
    probability_min: float
    first_window: int
    last_window: int

    @property
    def seconds(self) -> float:
        return self.end_seconds - self.start_seconds


def silent_spans(
    probabilities: Float[np.ndarray, " W"],
    threshold: float,
    track_seconds: float,
    min_seconds: float = 5.0,
    valid: Bool[np.ndarray, " W"] | None = None,
) -> list[Span]:
    """Return the spans of at least ``min_seconds`` in which every window has P >= ``threshold`` and is ``valid``.

    ``min_seconds`` is the length of the span, not of the run. Windows with P = NaN fail.

    >>> silent_spans(np.ones(157), threshold=0.9, track_seconds=10.0)[0].seconds
    10.0
    """
    passed = np.asarray(probabilities) >= threshold
    if valid is not None:
        passed &= valid
    return spans_of_windows(passed, np.asarray(probabilities), track_seconds, min_seconds)


def spans_of_windows(
    passed: Bool[np.ndarray, " W"],
    probabilities: Float[np.ndarray, " W"],
    track_seconds: float,
    min_seconds: float,
) -> list[Span]:
    """Return the spans of at least ``min_seconds`` of the windows that ``passed`` a rule, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], passed, [False])).astype(np.int8)))
    spans = []
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        start, end = kept_seconds(int(first), int(after) - 1, len(passed), track_seconds)
        if end - start >= min_seconds - 1e-9:
            inside = probabilities[first:after]
            spans.append(Span(start, end, float(inside.mean()), float(inside.min()), int(first), int(after) - 1))
    return spans


def kept_seconds(first_window: int, last_window: int, windows: int, track_seconds: float) -> tuple[float, float]:
    """Return start and end of the audio that lies in windows ``first_window``..``last_window`` and in no other."""
    half = WINDOW_SECONDS / 2
    start = 0.0 if first_window == 0 else (first_window - 1) * HOP_SECONDS + half
    end = track_seconds if last_window == windows - 1 else (last_window + 1) * HOP_SECONDS - half
    return max(start, 0.0), min(end, track_seconds)
