"""Averages of scores over tracks, each kind by its name, with bootstrap intervals over tracks.

Papers differ in how they average, and the difference is tenths of a dB: SiSEC takes medians over frames, then over
tracks; the challenges take means over tracks, then over sources; Défossez et al. 2019 report 'All' as the median of
all sources' track scores pooled, later papers as the mean of the four medians. Here each is computed under its name.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

Matrix = Float64[np.ndarray, "*R N S"]
"""Scores of N tracks and S sources, nan where excluded."""

RESAMPLES = 2000
MIN_TRACKS = 5
"""Smallest number of tracks for an interval: a bootstrap over fewer is meaningless."""
LEVEL = 0.95


@dataclass(frozen=True)
class Aggregate:
    """A way to average a column of the tracks' scores."""

    metric: str
    name: str
    column: str
    over_tracks: str

    def statistics(self, matrix: Matrix) -> Float64[np.ndarray, "*R S2"]:
        """Return the figures per source, then their mean ('average'), then all scores pooled ('all_pooled')."""
        reduce = _MEDIAN if self.over_tracks == "median" else _MEAN
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # columns without a single score are nan
            per_source = reduce(matrix, axis=-2)
            average = np.nanmean(per_source, axis=-1)
            pooled = reduce(matrix.reshape(*matrix.shape[:-2], -1), axis=-1)
        return np.concatenate([per_source, average[..., None], pooled[..., None]], axis=-1)


_MEDIAN: Callable[..., Any] = np.nanmedian
_MEAN: Callable[..., Any] = np.nanmean

AGGREGATES = (
    Aggregate("usdr", "mean_over_tracks", "usdr", "mean"),
    Aggregate("usdr", "median_over_tracks", "usdr", "median"),
    Aggregate("csdr", "median_of_medians", "csdr", "median"),
    Aggregate("csdr", "mean_of_medians", "csdr", "mean"),
    Aggregate("csdr", "mean_of_means", "csdr_mean", "mean"),
    Aggregate("si_sdr", "mean_over_tracks", "si_sdr", "mean"),
    Aggregate("isr", "median_of_medians", "isr", "median"),
    Aggregate("sir", "median_of_medians", "sir", "median"),
    Aggregate("sar", "median_of_medians", "sar", "median"),
)
"""The first of each metric is its headline: what the challenges (uSDR) and SiSEC (cSDR) report."""

EXTRA_COLUMNS = ("average", "all_pooled")


def headline(metric: str) -> Aggregate:
    """Return the aggregate by which a metric is usually quoted."""
    return next(aggregate for aggregate in AGGREGATES if aggregate.metric == metric)


def score_matrix(tracks: Sequence[dict[str, Any]], sources: Sequence[str], column: str) -> Float64[np.ndarray, "N S"]:
    """Return the column of every track's scores, nan where it is None or missing."""
    values = [[track["sources"].get(source, {}).get(column) for source in sources] for track in tracks]
    matrix = np.array([[np.nan if value is None else value for value in row] for row in values], dtype=np.float64)
    return matrix.reshape(len(tracks), len(sources))


def aggregate_tracks(tracks: Sequence[dict[str, Any]], sources: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Return ``{metric: {aggregate: {column: {value, low, high, tracks}}}}`` for every aggregate that has scores.

    Columns are the sources, 'average' and 'all_pooled'; ``tracks`` counts the scores behind a value (for the last
    two: over all sources); ``low`` and ``high`` bound the 95% percentile interval over resampled tracks.
    """
    found: dict[str, Any] = {}
    for aggregate in AGGREGATES:
        matrix = score_matrix(tracks, sources, aggregate.column)
        counts = np.isfinite(matrix).sum(axis=0)
        if not counts.sum():
            continue
        values = aggregate.statistics(matrix)
        low, high = bootstrap(aggregate, seed, matrix)
        found.setdefault(aggregate.metric, {})[aggregate.name] = {
            column: {"value": number(value), "low": number(at_least), "high": number(at_most), "tracks": int(count)}
            for column, value, at_least, at_most, count in zip(
                (*sources, *EXTRA_COLUMNS), values, low, high, (*counts, counts.sum(), counts.sum()), strict=True
            )
        }
    return found


def bootstrap(
    aggregate: Aggregate, seed: int, matrix: Matrix, other: Matrix | None = None
) -> Float64[np.ndarray, "2 S2"]:
    """Return the percentile interval at `LEVEL` of an aggregate over resampled tracks, or of a difference of two.

    The same tracks are drawn for both. nan for columns with fewer than `MIN_TRACKS` tracks.
    """
    tracks = len(matrix)
    drawn = np.random.default_rng(seed).integers(0, tracks, size=(RESAMPLES, tracks))
    samples = aggregate.statistics(matrix[drawn])
    if other is not None:
        samples = samples - aggregate.statistics(other[drawn])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        bounds: Float64[np.ndarray, "2 S2"] = np.nanquantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    scored = np.isfinite(matrix)
    counts = np.append(scored.sum(axis=0), [scored.any(axis=1).sum()] * len(EXTRA_COLUMNS))
    bounds[:, counts < MIN_TRACKS] = np.nan
    return bounds


def number(value: float) -> float | None:
    """Return a value for JSON: None for nan and infinity."""
    return float(value) if np.isfinite(value) else None
