"""Rules that turn probabilities into harvested spans; `yields` measures what each gives.

A `HarvestRule` with neither smoothing nor hysteresis is the paper's run rule (`spans.silent_spans`).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import uniform_filter1d
from scipy.special import expit, logit

from remix_miner.detector.spans import Span, spans_of_windows
from remix_miner.errors import UsageError

LOGIT_LIMIT = 16.0


@dataclass(frozen=True)
class HarvestRule:
    """``threshold``: windows that start a span; ``stay``: in logits, how far P may drop below it within the span
    (hysteresis); ``smoothing``: windows (odd) over which the logits are averaged first; ``min_seconds`` of a span.
    """

    threshold: float
    min_seconds: float = 5.0
    stay: float = 0.0
    smoothing: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise UsageError(f"a threshold is a probability, got {self.threshold}")
        if self.min_seconds < 0 or self.stay < 0:
            raise UsageError(f"min_seconds and stay cannot be negative, got {self.min_seconds} and {self.stay}")
        if self.smoothing < 1 or self.smoothing % 2 == 0:
            raise UsageError(f"smoothing is an odd number of windows, got {self.smoothing}")

    @property
    def family(self) -> str:
        """Name of the rule, whatever its threshold.

        >>> HarvestRule(0.9, min_seconds=8, stay=2, smoothing=9).family
        '8 s, hysteresis 2, smoothed 9'
        """
        parts = [f"{self.min_seconds:g} s"]
        if self.stay:
            parts.append(f"hysteresis {self.stay:g}")
        if self.smoothing > 1:
            parts.append(f"smoothed {self.smoothing}")
        return ", ".join(parts)


def smoothed(probabilities: Float[np.ndarray, "*S W"], windows: int) -> Float[np.ndarray, "*S W"]:
    """Logits averaged over ``windows`` windows around each; at the ends the first and last are repeated.

    >>> smoothed(np.array([0.9, 0.9, 0.1, 0.9, 0.9]), 3).round(2).tolist()
    [0.9, 0.68, 0.68, 0.68, 0.9]
    """
    if windows == 1:
        return probabilities
    logits = np.clip(logit(np.asarray(probabilities, dtype=np.float64)), -LOGIT_LIMIT, LOGIT_LIMIT)
    averaged: np.ndarray = expit(uniform_filter1d(logits, windows, axis=-1, mode="nearest"))
    return averaged


def hysteresis(probabilities: Float[np.ndarray, " W"], enter: float, stay: float) -> Bool[np.ndarray, " W"]:
    """Windows of runs with P >= ``stay`` in which at least one window has P >= ``enter``; NaN fails.

    >>> hysteresis(np.array([0.6, 0.9, 0.7, 0.2, 0.7]), enter=0.8, stay=0.5).tolist()
    [True, True, True, False, False]
    """
    passed = np.asarray(probabilities) >= min(enter, stay)
    starts = np.diff(np.concatenate(([False], passed)).astype(np.int8)) == 1
    run = np.cumsum(starts) * passed
    anchored = np.zeros(int(run.max(initial=0)) + 1, dtype=bool)
    anchored[run[np.asarray(probabilities) >= enter]] = True
    result: np.ndarray = anchored[run]
    return result


def harvest(
    probabilities: Float[np.ndarray, " W"],
    rule: HarvestRule,
    track_seconds: float,
    valid: Bool[np.ndarray, " W"] | None = None,
) -> list[Span]:
    """The spans that ``rule`` keeps of a track; with the plain rule those of `spans.silent_spans`."""
    seen = smoothed(probabilities, rule.smoothing)
    passed = np.asarray(seen) >= rule.threshold
    if rule.stay:
        stay = float(expit(np.clip(logit(rule.threshold), -LOGIT_LIMIT, LOGIT_LIMIT) - rule.stay))
        passed = hysteresis(seen, rule.threshold, stay)
    if valid is not None:
        passed = passed & valid
    return spans_of_windows(passed, np.asarray(probabilities), track_seconds, rule.min_seconds)
