"""Estimates with percentile bootstrap intervals over groups (artists or songs)."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float

from remix_miner.config import SHARE, Bounds, Seed, Settings


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval; None where it is undefined (no such windows, or a single group)."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class BootstrapSettings(Settings):
    """Bootstrap of ``draws`` with replacement; the interval holds the share ``confidence`` of them."""

    confidence: Annotated[float, SHARE] = 0.95
    draws: Annotated[int, Bounds(1, 1_000_000)] = 1000
    seed: Seed = 0


def resampled(groups: int, settings: BootstrapSettings) -> Float[np.ndarray, "D G"]:
    """Return how often each group is drawn: once in the first row (the data), at random in the others."""
    rng = np.random.default_rng(settings.seed)
    drawn = rng.multinomial(groups, np.full(groups, 1 / max(groups, 1)), size=settings.draws)
    return np.vstack([np.ones(groups), drawn])


def estimate(values: Float[np.ndarray, " D"], groups: int, settings: BootstrapSettings) -> Estimate:
    """Return the first of ``values`` (one for each row of `resampled`) with the percentile interval of the others.

    Undefined values (nan) of draws are left out; a single group gives no interval.
    """
    value = float(values[0])
    if np.isnan(value):
        return Estimate(None)
    if groups < 2:
        return Estimate(value)
    tail = (1 - settings.confidence) / 2
    low, high = np.quantile(values[np.isfinite(values)], [tail, 1 - tail])
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return ``part / whole``; nan where ``whole`` is 0."""
    shares: np.ndarray = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
    return shares
