"""Coverage of the rules for choosing thresholds: rate of false promises on simulated artists with known truth.

    python benchmarks/bound_coverage.py [--trials 400] [--artists 6 12 30 60 100]
    python benchmarks/bound_coverage.py --measured [--trials 300] [--artists 12 30 60]

The table has one row for each scenario and number of calibration artists, over many draws of artists: how often a
threshold was chosen, how often it was a false promise (the true share of silent windows above it is below 95%), the
mean true share, and the mean share of silent windows found. As in use, the threshold is chosen and scored on the same
windows. The bound should keep the rate of false promises within 5%.

With ``--measured``, the populations of artists resemble the measured ones; each artist has one share of silent seconds
in its harvest. The table has, for each bound and confidence: how often the bound is at or below the population's share
(nominally the confidence), its median, and how often it would promise 95%. It also has a hierarchical model of the
shares (beta-binomial), which misses its nominal rate in all of these populations and is therefore not in use.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, expit

from remix_miner.calibration.bounds import Acceptance, count_accepted, lower_bound
from remix_miner.calibration.thresholds import Threshold, bounded_threshold, cross_validated_threshold, plain_of_table

TARGET, CONFIDENCE = 0.95, 0.95
THRESHOLDS = expit(np.linspace(-3, 9, 60))
WINDOWS_PER_RUN = 15
POPULATION = 8000


@dataclass(frozen=True)
class Scenario:
    """Differences between artists: ``spread`` of the logits of sounding windows; ``misjudged`` artists, for whose
    sounding windows the detector's logits of silence are higher by ``shift``.
    """

    spread: float
    misjudged: float = 0.0
    shift: float = 0.0


SCENARIOS = {
    "alike": Scenario(spread=0.3),
    "diverse": Scenario(spread=1.2),
    "12% misjudged": Scenario(spread=0.4, misjudged=0.12, shift=3.0),
    "6% wholly misjudged": Scenario(spread=0.4, misjudged=0.06, shift=4.5),
}


def simulate(rng: np.random.Generator, artists: int, scenario: Scenario) -> Acceptance:
    """Return window counts of ``artists`` songs of unequal length, silence rate and difficulty, in correlated runs."""
    probabilities, silent, owners = [], [], []
    for artist in range(artists):
        runs = max(4, int(rng.lognormal(3.0, 0.6)))
        shift = rng.normal(0, scenario.spread) + scenario.shift * (rng.random() < scenario.misjudged)
        quiet = rng.random(runs) < rng.beta(1, 3)
        level = np.where(quiet, rng.normal(4, 1.8, runs), rng.normal(-3, 1.8, runs) + shift)
        logits = np.repeat(level, WINDOWS_PER_RUN) + rng.normal(0, 0.5, runs * WINDOWS_PER_RUN)
        probabilities.append(expit(logits))
        silent.append(np.repeat(quiet, WINDOWS_PER_RUN))
        owners.append(np.full(len(logits), artist))
    return count_accepted(np.concatenate(probabilities), np.concatenate(silent), np.concatenate(owners), THRESHOLDS)


def rules(draws: int = 1500) -> dict[str, Callable[[Acceptance], Threshold]]:
    """Return the rules to compare, each Acceptance -> Threshold."""
    return {
        "none": lambda table: plain_of_table(table, TARGET),
        "crossval": lambda table: cross_validated_threshold(table, TARGET),
        "bootstrap, worst artist 0.5": lambda table: bounded_threshold(table, TARGET, CONFIDENCE, 0.5, draws=draws),
        "bootstrap, worst artist 0": lambda table: bounded_threshold(table, TARGET, CONFIDENCE, 0.0, draws=draws),
    }


@dataclass
class Tally:
    """Results of one rule over draws of calibration artists."""

    given: int = 0
    false: int = 0
    share: float = 0.0
    recall: float = 0.0


def coverage(scenario: Scenario, artists: int, trials: int, seed: int = 0, draws: int = 1500) -> dict[str, Tally]:
    """Return the tally of each rule over ``trials`` draws of calibration artists."""
    truth = simulate(np.random.default_rng([seed, 0]), POPULATION, scenario)
    true_share, recall = truth.share, truth.silent.sum(0) / truth.silent.sum(0)[0]
    tallies = {name: Tally() for name in rules()}
    rng = np.random.default_rng([seed, 1])
    for _ in range(trials):
        table = simulate(rng, artists, scenario)
        for name, rule in rules(draws).items():
            chosen = rule(table)
            if chosen.value is None:
                continue
            column = int(np.searchsorted(THRESHOLDS, chosen.value))
            tallies[name].given += 1
            tallies[name].false += bool(true_share[column] < TARGET)
            tallies[name].share += true_share[column]
            tallies[name].recall += recall[column]
    return tallies


@dataclass(frozen=True)
class Population:
    """Artists' shares: uniform in ``bad_shares`` for the proportion ``bad`` of the artists, else Beta(``good``).

    ``bad_size``: factor by which the harvest of a bad artist is larger, as for a source that sounds throughout and is
    not detected.
    """

    bad: float = 0.0
    bad_shares: tuple[float, float] = (0.6, 0.8)
    bad_size: float = 1.0
    good: tuple[float, float] = (150.0, 1.5)


POPULATIONS = {
    "1 in 30 at .6 to .8": Population(bad=1 / 30),
    "1 in 30, four times as long": Population(bad=1 / 30, bad_size=4.0),
    "1 in 6 at .6 to .8": Population(bad=1 / 6, good=(150.0, 1.0)),
    "1 in 10 at .45": Population(bad=0.1, bad_shares=(0.45, 0.45), good=(150.0, 1.0)),
    "Beta(18.9, 1.1)": Population(good=(18.9, 1.1)),
    "Beta(4.7, 0.3)": Population(good=(4.725, 0.275)),
}
PIECE_WINDOWS = 78
"""Five seconds: what counts as one independent piece of an artist's harvest."""


def draw_artists(rng: np.random.Generator, population: Population, artists: int) -> Acceptance:
    """Return harvested windows and the silent ones among them, at one threshold, with lengths as of songs' harvests."""
    accepted = rng.lognormal(0, 1, artists) * 150
    pieces = np.maximum(1, np.round(accepted / PIECE_WINDOWS))
    bad = rng.random(artists) < population.bad
    share = np.where(bad, rng.uniform(*population.bad_shares, artists), rng.beta(*population.good, artists))
    accepted = np.where(bad, population.bad_size, 1.0) * accepted
    # What few pieces show of an artist's share.
    seen = rng.beta(np.maximum(3 * share * pieces, 1e-3), np.maximum(3 * (1 - share) * pieces, 1e-3))
    names = tuple(map(str, range(artists)))
    return Acceptance(np.array([0.5]), accepted[:, None], (accepted * seen)[:, None], names)


def beta_binomial_draws(table: Acceptance, draws: int, seed: int) -> np.ndarray:
    """Return posterior draws of the pooled share; the artists' shares are Beta(mean, concentration), both unknown.

    The priors are uniform in log(1 - mean) and in log(concentration). The Bayesian bootstrap also weights one unseen
    artist, with a share from the posterior and the length of a seen one.
    """
    rng = np.random.default_rng(seed)
    accepted, silent = table.accepted[:, 0], table.silent[:, 0]
    mean, concentration = (
        grid.ravel() for grid in np.meshgrid(1 - np.geomspace(0.002, 0.5, 24), np.geomspace(1, 100, 10))
    )
    a, b = mean * concentration, (1 - mean) * concentration
    pieces = np.maximum(accepted / PIECE_WINDOWS, 0.5)
    wrong = pieces * (1 - silent / accepted)
    likelihood = (betaln(a[:, None] + pieces - wrong, b[:, None] + wrong) - betaln(a, b)[:, None]).sum(1)
    posterior = np.exp(likelihood - likelihood.max())
    picked = rng.choice(len(mean), draws, p=posterior / posterior.sum())
    unseen_share, unseen_length = rng.beta(a[picked], b[picked]), rng.choice(accepted, draws)
    weights, unseen = rng.exponential(size=(draws, len(accepted))), rng.exponential(size=draws)
    total = weights @ accepted + unseen * unseen_length
    pooled: np.ndarray = (weights @ silent + unseen * unseen_length * unseen_share) / total
    return pooled


def measured_coverage(
    population: Population, artists: int, trials: int, seed: int = 0, draws: int = 600
) -> dict[tuple[str, float], np.ndarray]:
    """Return the bounds over ``trials`` draws of artists, per (name, confidence)."""
    rng = np.random.default_rng([seed, 2])
    bounds: dict[tuple[str, float], list[float]] = {}
    for trial in range(trials):
        table = draw_artists(rng, population, artists)
        pooled = beta_binomial_draws(table, draws, trial)
        for confidence in (0.8, 0.9, 0.95):
            for worst in (0.5, 0.75):
                bound = lower_bound(table, TARGET, confidence, worst, draws=draws)[0]
                bounds.setdefault((f"worst artist {worst}", confidence), []).append(float(bound))
            quantile = float(np.quantile(pooled, 1 - confidence))
            bounds.setdefault(("beta-binomial", confidence), []).append(quantile)
    return {name: np.array(values) for name, values in bounds.items()}


def print_measured(trials: int, artists: list[int]) -> None:
    print(f"{'population':28} {'share':>6} {'artists':>7}  {'bound':18} {'stated':>6} {'kept':>6} {'median':>7}   95%")
    for name, population in POPULATIONS.items():
        true_share = float(draw_artists(np.random.default_rng(0), population, 200_000).share[0])
        for count in artists:
            for (bound, confidence), values in measured_coverage(population, count, trials).items():
                print(
                    f"{name:28} {true_share:6.1%} {count:7}  {bound:18} {confidence:6.0%} "
                    f"{(values <= true_share).mean():6.0%} {np.median(values):7.1%} {(values >= TARGET).mean():5.0%}",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--artists", type=int, nargs="+", default=[6, 12, 30, 60, 100])
    parser.add_argument("--measured", action="store_true", help="populations like those that were measured")
    arguments = parser.parse_args()
    if arguments.measured:
        print_measured(arguments.trials, arguments.artists)
        return
    error = 2 * math.sqrt(0.05 * 0.95 / arguments.trials)
    print(f"{arguments.trials} draws each; 5% is measured to within {error:.1%}")
    print(f"{'scenario':20} {'artists':>7}  {'rule':28} {'given':>6} {'false':>6} {'share':>7} {'found':>6}")
    for name, scenario in SCENARIOS.items():
        for artists in arguments.artists:
            for rule, tally in coverage(scenario, artists, arguments.trials).items():
                given = max(tally.given, 1)
                figures = "" if not tally.given else f" {tally.share / given:7.1%} {tally.recall / given:6.0%}"
                print(
                    f"{name:20} {artists:7}  {rule:28} {tally.given / arguments.trials:6.0%} "
                    f"{tally.false / arguments.trials:6.1%}{figures}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
