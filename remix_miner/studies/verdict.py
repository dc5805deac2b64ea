"""Verdicts on a paper's claims: paired differences with bootstrap intervals over songs and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from remix_miner.errors import DataError
from remix_miner.studies.plan import Claim
from remix_miner.studies.runner import Run

Outcome = Literal["agrees", "disagrees", "undecided"]
DRAWS = 4000
CONFIDENCE = 0.95
LEAST_ARTISTS = 6
"""Fewer artists decide nothing: that five differ in one direction by chance has a probability of 1 in 16."""


@dataclass(frozen=True)
class Interval:
    """A mean in dB with its 95% percentile bootstrap interval; None where nothing was measured."""

    mean_db: float | None
    low_db: float | None
    high_db: float | None

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low_db is not None and self.low_db > 0

    @property
    def below_zero(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.high_db is not None and self.high_db < 0


@dataclass(frozen=True)
class Verdict:
    """What the runs show about a claim. ``songs``, ``seeds``: number of each behind the difference.

    ``reason``: why an interval that excludes 0 still decides nothing, or ''.
    """

    claim: Claim
    difference: Interval
    outcome: Outcome
    songs: int
    seeds: int
    reason: str = ""


def judge(
    claim: Claim, runs: Sequence[Run], artists: Mapping[str, str], seed: int = 0, floor: str | None = None
) -> Verdict:
    """Compare the two sides of a claim, paired by song and seed.

    The difference of a song and seed is the mean over the sources that both sides have a score of. Songs of one artist
    are drawn together. 'agrees' and 'disagrees' need an interval that excludes 0 and at least `LEAST_ARTISTS` artists,
    all else is 'undecided'. With
    ``floor``, the arm of the mixture taken as every estimate, one of the two arms must also separate: its interval
    above the better of mixture and silence (0 dB) excludes 0.
    """
    table, songs, seeds = _paired(claim, runs)
    if not songs:
        return Verdict(claim, Interval(None, None, None), "undecided", 0, seeds, "no test song has a score")
    interval = bootstrap(table, [artists.get(song, song) for song in songs], seed)
    outcome: Outcome = "undecided"
    if interval.above_zero:
        outcome = "agrees"
    elif interval.below_zero:
        outcome = "disagrees"
    reason, count = "", len({artists.get(song, song) for song in songs})
    if outcome != "undecided" and count < LEAST_ARTISTS:
        outcome, reason = "undecided", f"{count} artists"
    if floor is not None and outcome != "undecided":
        sides = ((claim.better, claim.better_set), (claim.worse, claim.worse_set))
        if not any(separates(runs, arm, test_set, floor, artists, seed) for arm, test_set in sides):
            outcome, reason = "undecided", "neither arm separates"
    return Verdict(claim, interval, outcome, len(songs), seeds, reason)


def separates(
    runs: Sequence[Run], arm: str, test_set: str, floor: str, artists: Mapping[str, str], seed: int = 0
) -> bool:
    """Return whether an arm's scores are above those of mixture and silence, by the lower end of the interval."""
    scored = {run.seed: run.scores[test_set] for run in runs if run.arm == arm}
    mixture = {run.seed: run.scores[test_set] for run in runs if run.arm == floor}
    seeds = sorted(scored.keys() & mixture.keys())
    songs = sorted({song for seed in seeds for song in scored[seed]})
    table = np.full((len(seeds), len(songs)), np.nan)
    for row, seed in enumerate(seeds):
        for song, by_source in scored[seed].items():
            table[row, songs.index(song)] = song_mean(by_source) - max(song_mean(mixture[seed][song]), 0.0)
    known = ~np.isnan(table).all(axis=0)
    names = [artists.get(song, song) for song, ok in zip(songs, known, strict=True) if ok]
    return bootstrap(table[:, known], names, seed).above_zero


def _paired(claim: Claim, runs: Sequence[Run]) -> tuple[Float[np.ndarray, "R N"], list[str], int]:
    """Return the differences of a claim by seed and song (nan where a seed does not test a song), the songs, seeds."""
    first, second = ({run.seed: run for run in runs if run.arm == arm} for arm in (claim.better, claim.worse))
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        raise DataError(f"no seed has runs of both {claim.better!r} and {claim.worse!r}")
    songs = sorted({song for seed in seeds for song in first[seed].scores[claim.better_set]})
    table = np.full((len(seeds), len(songs)), np.nan)
    for row, seed in enumerate(seeds):
        better, worse = first[seed].scores[claim.better_set], second[seed].scores[claim.worse_set]
        for song in better.keys() & worse.keys():
            difference = song_mean(better[song], claim.source) - song_mean(worse[song], claim.source)
            table[row, songs.index(song)] = difference
    known = ~np.isnan(table).all(axis=0)
    return table[:, known], [song for song, ok in zip(songs, known, strict=True) if ok], len(seeds)


def bootstrap(table: Float[np.ndarray, "R N"], artists: Sequence[str], seed: int = 0) -> Interval:
    """Return the mean of values by run and song, with an interval over artists and runs drawn with replacement.

    nan marks a song that a run does not test. Raises `DataError` for an empty table.

    >>> bootstrap(np.array([[1.0, 1.0, 1.0]]), ["a", "b", "c"])
    Interval(mean_db=1.0, low_db=1.0, high_db=1.0)
    """
    if not table.size or np.isnan(table).all():
        raise DataError("no test song has a score in both arms: every reference is silent")
    names = sorted(set(artists))
    rng = np.random.default_rng(seed)
    rows = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=DRAWS)
    columns = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
    weights = columns[:, [names.index(artist) for artist in artists]]
    known = ~np.isnan(table)
    sums = np.einsum("dr,rn,dn->d", rows, np.where(known, table, 0.0), weights)
    counts = np.einsum("dr,rn,dn->d", rows, known.astype(float), weights)
    means = sums[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(np.nanmean(table)), float(low), float(high))


def arm_mean(runs: Sequence[Run], arm: str, test_set: str) -> dict[str, float | None]:
    """Return an arm's mean uSDR of each source over songs, draws and seeds, and the mean of the sources as 'mean'.

    A source that is silent in every test song has no score: None.
    """
    chosen = [run.scores[test_set] for run in runs if run.arm == arm]
    sources = list(next(iter(chosen[0].values()))) if chosen and chosen[0] else []
    means = {
        source: _mean([value for scores in chosen for song in scores.values() for value in song[source]])
        for source in sources
    }
    means["mean"] = _mean([mean for mean in means.values() if mean is not None])
    return means


def song_mean(by_source: Mapping[str, Sequence[float]], source: str | None = None) -> float:
    """Return the mean over a song's sources and draws, or of one source; nan where every reference is silent."""
    chosen = by_source.values() if source is None else [by_source.get(source, [])]
    mean = _mean([value for values in chosen for value in values])
    return float("nan") if mean is None else mean


def _mean(values: Sequence[float]) -> float | None:
    """Return the mean of the values that are not nan; None where there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else None
