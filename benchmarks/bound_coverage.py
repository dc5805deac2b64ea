"""Does each rule for choosing thresholds keep its promise? Simulated artists, for which the truth is known.

    python benchmarks/bound_coverage.py [--trials 400] [--artists 6 12 30 60 100]

For each scenario and number of calibration artists, and over many draws of those: how often a threshold was given,
how often it was a false promise (of all draws: the true share of silent windows above it is below 95%), the mean true
share, and the mean share of silent windows found. The threshold is chosen on the very windows that judge it, as in
use. The bound is to keep false promises within 5%.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from remix_miner.calibration.bounds import Acceptance, count_accepted
from remix_miner.calibration.thresholds import Threshold, bounded_threshold, cross_validated_threshold, plain_of_table

TARGET, CONFIDENCE = 0.95, 0.95
THRESHOLDS = expit(np.linspace(-3, 9, 60))
WINDOWS_PER_RUN = 15
POPULATION = 8000


@dataclass(frozen=True)
class Scenario:
    """How artists differ: ``spread`` of the logits of sounding windows between artists; ``misjudged`` artists, whose
    sounding windows the detector takes for more silent by ``shift``.
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
    """Counts of windows of ``artists`` songs of unequal length, silence rate and difficulty, in correlated runs."""
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
    """The rules to compare, each Acceptance -> Threshold."""
    return {
        "none": lambda table: plain_of_table(table, TARGET),
        "crossval": lambda table: cross_validated_threshold(table, TARGET),
        "bootstrap, worst artist 0.5": lambda table: bounded_threshold(table, TARGET, CONFIDENCE, 0.5, draws=draws),
        "bootstrap, worst artist 0": lambda table: bounded_threshold(table, TARGET, CONFIDENCE, 0.0, draws=draws),
    }


@dataclass
class Tally:
    """Over draws of calibration artists."""

    given: int = 0
    false: int = 0
    share: float = 0.0
    recall: float = 0.0


def coverage(scenario: Scenario, artists: int, trials: int, seed: int = 0, draws: int = 1500) -> dict[str, Tally]:
    """Tallies per rule over ``trials`` draws of calibration artists."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--artists", type=int, nargs="+", default=[6, 12, 30, 60, 100])
    arguments = parser.parse_args()
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
