"""Left-out estimate of a calibration on simulated artists with known truth: its bias and spread.

    python benchmarks/left_out_estimate.py [--trials 100] [--artists 18 40] [--target 0.95] [--confidence 0.8]

Each trial draws artists from a population, chooses a threshold as `calibrate` does (bound 'harvest', worst artist
0.75), and compares three figures of the harvest there: the truth (the share of the population's harvested
seconds that is silent, and the found share of its silence), the figure on the artists that chose the threshold, and
the pooled figure on artists left out of the choice (`calibration.promise.left_out`).

The populations are those of `bound_coverage.py --measured`: most artists have a purity of .98 to 1 at P = 0.65, some
one of .6 to .8. Silent pieces of 5 s have normal logits. The logits of false pieces fall off exponentially, so that a
higher threshold is purer also for a bad artist.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bound_coverage import PIECE_WINDOWS, POPULATIONS, Population
from jaxtyping import Float
from scipy.special import logit
from scipy.stats import norm

from remix_miner.calibration.promise.curve import THRESHOLDS, bound_of
from remix_miner.calibration.promise.left_out import left_out
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.detector.artist_counts import ArtistCounts

CHOSEN = ("1 in 30 at .6 to .8", "1 in 30, four times as long", "1 in 6 at .6 to .8")
AT = float(logit(0.65))
"""Logit of the threshold at which an artist has its purity."""
MEAN, SPREAD, DECAY = 2.5, 1.8, 1.5
"""Of the logits of silent pieces, and of the fall of false ones."""
PIECE_SECONDS = 5.0
LOGITS = logit(np.array(THRESHOLDS))


@dataclass(frozen=True)
class Artists:
    """Expected numbers of pieces per artist: silent ones, and false ones with a logit of `AT` or more."""

    silent: Float[np.ndarray, " A"]
    false: Float[np.ndarray, " A"]


def draw_artists(rng: np.random.Generator, population: Population, count: int) -> Artists:
    """Return artists of unequal length. ``bad_size`` multiplies all that a bad artist has."""
    bad = rng.random(count) < population.bad
    share = np.where(bad, rng.uniform(*population.bad_shares, count), rng.beta(*population.good, count))
    silent = rng.lognormal(0, 1, count) * 10 * np.where(bad, population.bad_size, 1.0)
    return Artists(silent, silent * norm.sf(AT, MEAN, SPREAD) * (1 - share) / share)


def truth(artists: Artists) -> tuple[Float[np.ndarray, " J"], Float[np.ndarray, " J"]]:
    """Return the expected purity and found share of all artists together, per threshold."""
    found = norm.sf(LOGITS, MEAN, SPREAD)
    pure, false = artists.silent.sum() * found, artists.false.sum() * np.exp(-(LOGITS - AT) / DECAY)
    return pure / (pure + false), found


def observe(rng: np.random.Generator, artists: Artists) -> ArtistCounts:
    """Return the counts of pieces that the artists' songs happen to have."""
    count = len(artists.silent)
    kept = np.zeros((2, count, len(THRESHOLDS)), dtype=np.int64)
    silent = np.maximum(1, rng.poisson(artists.silent))
    lowest = LOGITS[0]  # false pieces below the lowest threshold do not matter
    false = rng.poisson(artists.false * np.exp(-(lowest - AT) / DECAY))
    for row in range(count):
        pure = _from_above(rng.normal(MEAN, SPREAD, silent[row]))
        wrong = _from_above(lowest + rng.exponential(DECAY, false[row]))
        kept[:, row] = pure + wrong, pure
    windows = np.stack((silent + false, silent)) * PIECE_WINDOWS
    names = [f"{row}" for row in range(count)]
    spans = silent * PIECE_WINDOWS, kept[1] * PIECE_WINDOWS
    return ArtistCounts.of(names, count * [False], windows, kept * PIECE_WINDOWS, kept[0] * PIECE_SECONDS, spans)


def _from_above(logits: Float[np.ndarray, " N"]) -> Float[np.ndarray, " J"]:
    """Return how many are at or above each threshold."""
    return len(logits) - np.searchsorted(np.sort(logits), LOGITS, side="left")


@dataclass(frozen=True)
class Trial:
    """Purity and found share at the chosen threshold: the truth, on the artists that chose it, and left out."""

    purity: tuple[float, float, float]
    found: tuple[float, float, float]


def run_trial(
    rng: np.random.Generator,
    population: Population,
    count: int,
    settings: CalibrationSettings,
    draws: int = 600,
) -> Trial | None:
    """Return the figures of one draw of artists; None where no threshold is chosen."""
    counts = observe(rng, draw_artists(rng, population, count))
    threshold = bound_of(counts, settings, None, draws).threshold_for(settings.precision)
    if threshold is None:
        return None
    column = THRESHOLDS.index(threshold)
    true_purity, true_found = TRUTHS[population]
    (kept, pure), _ = counts.arrays()
    (row,) = left_out(counts, settings, None, (), draws)
    assert row.found is not None
    own = pure[:, column].sum() / kept[:, column].sum(), pure[:, column].sum() / sum(counts.silent_windows)
    left = float("nan") if row.purity is None else row.purity, row.found
    return Trial((true_purity[column], own[0], left[0]), (true_found[column], own[1], left[1]))


TRUTHS = {
    POPULATIONS[name]: truth(draw_artists(np.random.default_rng(0), POPULATIONS[name], 400_000)) for name in CHOSEN
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--artists", type=int, nargs="+", default=[18, 40])
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--confidence", type=float, default=0.8)
    arguments = parser.parse_args()
    settings = CalibrationSettings(confidence=arguments.confidence, worst_artist=0.75, precision=arguments.target)
    print(f"{arguments.trials} trials each. Mean purity and found share: truth, on the songs that chose, left out")
    print(
        "error: left out minus truth, 5% and 95% quantiles over trials; kept: how often the truth reaches the target;"
    )
    print(
        "truth | low, high: mean true purity of the trials whose left-out purity is below the target, and of the others"
    )
    for name in CHOSEN:
        for count in arguments.artists:
            rng = np.random.default_rng([count, 3])
            found = [run_trial(rng, POPULATIONS[name], count, settings) for _ in range(arguments.trials)]
            trials = [trial for trial in found if trial is not None]
            share_given = len(trials) / arguments.trials
            print(
                f"{name:28} {count:3} artists: given {share_given:4.0%}, {_text(trials, settings.precision)}",
                flush=True,
            )


def _text(trials: Sequence[Trial], target: float) -> str:
    """Return the figures of the trials with a threshold in one line."""
    if not trials:
        return "nothing to compare"
    parts = []
    for field in ("purity", "found"):
        values = np.array([getattr(trial, field) for trial in trials])  # (trials, 3)
        low, high = np.nanquantile(values[:, 2] - values[:, 0], (0.05, 0.95))
        means = ", ".join(f"{value:.1%}" for value in np.nanmean(values, axis=0))
        parts.append(f"{field} {means}, error [{low:+.1%}, {high:+.1%}]")
    true, left = (np.array([trial.purity[column] for trial in trials]) for column in (0, 2))
    groups = " and ".join(
        f"{true[mask].mean():.1%} ({mask.sum()})" if mask.any() else "none" for mask in (left < target, left >= target)
    )
    return f"kept {(true >= target).mean():4.0%}; {'; '.join(parts)}; truth | low, high: {groups}"


if __name__ == "__main__":
    main()
