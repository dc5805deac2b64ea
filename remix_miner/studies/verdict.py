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


@dataclass(frozen=True)
class Interval:
    """A mean in dB with its 95% percentile bootstrap interval."""

    mean_db: float
    low_db: float
    high_db: float


@dataclass(frozen=True)
class Verdict:
    """What the runs say of a claim. ``songs``, ``seeds``: number of each behind the difference."""

    claim: Claim
    difference: Interval
    outcome: Outcome
    songs: int
    seeds: int


def judge(claim: Claim, runs: Sequence[Run], artists: Mapping[str, str], seed: int = 0) -> Verdict:
    """Compare the two sides of a claim, paired by song and seed.

    The difference of a song and seed is the mean over the sources that both sides have a score of. Songs of one artist
    are drawn together. 'agrees' and 'disagrees' need an interval that excludes 0, all else is 'undecided'.
    """
    first, second = (
        {run.seed: run for run in runs if run.arm == arm} for arm in (claim.better, claim.worse)
    )  # fmt: skip
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        raise DataError(f"no seed has runs of both {claim.better!r} and {claim.worse!r}")
    songs = sorted(first[seeds[0]].scores[claim.better_set])
    table = np.array(
        [
            [_song_mean(first[one], claim.better_set, song) - _song_mean(second[one], claim.worse_set, song)
             for song in songs]
            for one in seeds
        ]
    )  # fmt: skip
    known = ~np.isnan(table).any(axis=0)
    interval = bootstrap(table[:, known], [artists.get(song, song) for song, ok in zip(songs, known) if ok], seed)
    outcome: Outcome = "undecided"
    if interval.low_db > 0:
        outcome = "agrees"
    elif interval.high_db < 0:
        outcome = "disagrees"
    return Verdict(claim, interval, outcome, int(known.sum()), len(seeds))


def bootstrap(table: Float[np.ndarray, "R N"], artists: Sequence[str], seed: int = 0) -> Interval:
    """Return the mean of values by run and song, with an interval over artists and runs drawn with replacement.

    Raises `DataError` for an empty table.

    >>> bootstrap(np.array([[1.0, 1.0, 1.0]]), ["a", "b", "c"])
    Interval(mean_db=1.0, low_db=1.0, high_db=1.0)
    """
    if not table.size:
        raise DataError("no test song has a score in both arms: every reference is silent")
    names = sorted(set(artists))
    rng = np.random.default_rng(seed)
    rows = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=DRAWS)
    columns = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
    weights = columns[:, [names.index(artist) for artist in artists]]
    sums = np.einsum("dr,rn,dn->d", rows, table, weights)
    means = sums / (rows.sum(axis=1) * weights.sum(axis=1))
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(table.mean()), float(low), float(high))


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


def _song_mean(run: Run, test_set: str, song: str) -> float:
    mean = _mean([value for values in run.scores[test_set][song].values() for value in values])
    return float("nan") if mean is None else mean


def _mean(values: Sequence[float]) -> float | None:
    """The mean of the values that are not nan; None where there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else None
