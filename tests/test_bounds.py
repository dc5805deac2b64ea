"""Lower bound over artists: exact cases of the theory, and coverage on simulated artists."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import beta

from remix_miner.calibration.bounds import Acceptance, artists_needed, candidate_thresholds, count_accepted, lower_bound
from remix_miner.errors import UsageError

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "bound_coverage.py"


def artists_of_equal_length(good: int, bad: int, windows: float = 10.0) -> Acceptance:
    accepted = np.full((good + bad, 1), windows)
    silent = accepted * (np.arange(good + bad) < good)[:, None]
    return Acceptance(np.array([0.5]), accepted, silent, tuple(map(str, range(good + bad))))


@pytest.mark.parametrize(("good", "bad"), [(10, 0), (59, 0), (37, 3), (80, 20)])
def test_bound_is_clopper_pearson_for_artists_that_are_wholly_right_or_wrong(good: int, bad: int) -> None:
    bound = lower_bound(artists_of_equal_length(good, bad), 0.95, confidence=0.95, worst_artist=0.0, draws=40_000)
    # 40,000 draws of the weights give the 5% quantile to about 0.002 here.
    assert bound[0] == pytest.approx(beta.ppf(0.05, good, bad + 1), abs=0.005)


def test_perfect_records_promise_no_more_than_the_number_of_artists_allows() -> None:
    for worst_artist in (0.0, 0.5, 0.8):
        needed = artists_needed(0.95, 0.95, worst_artist)
        enough = lower_bound(artists_of_equal_length(needed + 2, 0), 0.95, worst_artist=worst_artist)
        too_few = lower_bound(artists_of_equal_length(needed - 2, 0), 0.95, worst_artist=worst_artist)
        assert enough[0] > 0.95 > too_few[0]


def test_the_number_of_windows_alone_never_raises_the_bound() -> None:
    short, long = artists_of_equal_length(30, 1, windows=5), artists_of_equal_length(30, 1, windows=5000)
    assert lower_bound(long, 0.95)[0] == pytest.approx(lower_bound(short, 0.95)[0])


def test_a_bad_artist_lowers_the_bound_more_than_the_assumed_worst_does() -> None:
    clean, spoiled = artists_of_equal_length(60, 0), artists_of_equal_length(59, 1)
    assert lower_bound(spoiled, 0.95, worst_artist=0.9)[0] < lower_bound(clean, 0.95, worst_artist=0.9)[0] - 0.02


def test_nothing_accepted_is_bounded_by_zero() -> None:
    table = count_accepted(np.array([0.2, 0.4]), np.array([True, True]), np.array(["a", "b"]), np.array([0.1, 0.9]))
    assert np.isnan(table.share[1])
    assert lower_bound(table, 0.95)[1] == 0


def test_counts_agree_with_counting_one_by_one() -> None:
    rng = np.random.default_rng(0)
    probabilities, silent = rng.random(200).round(2), rng.random(200) < 0.4
    artists, weights = rng.integers(0, 5, 200), rng.random(200)
    table = count_accepted(probabilities, silent, artists, np.array([0.0, 0.25, 0.5, 0.99, 1.0]), weights)
    for row, artist in enumerate(range(5)):
        for column, threshold in enumerate(table.thresholds):
            chosen = (artists == artist) & (probabilities >= threshold)
            assert table.accepted[row, column] == pytest.approx(weights[chosen].sum())
            assert table.silent[row, column] == pytest.approx(weights[chosen & silent].sum())


def test_candidate_thresholds_are_values_of_p_and_reach_from_the_highest_to_the_lowest() -> None:
    probabilities = np.random.default_rng(0).random(5000)
    candidates = candidate_thresholds(probabilities)
    assert set(candidates) <= set(probabilities)
    assert candidates[0] == probabilities.min()
    assert candidates[-1] == probabilities.max()
    assert len(candidates) <= 400


@pytest.mark.parametrize(
    ("arguments", "name"), [((1.0,), "precision"), ((0.9, 0.0), "confidence"), ((0.9, 0.9, -0.1), "worst-artist")]
)
def test_impossible_settings_are_named(arguments: tuple[float, ...], name: str) -> None:
    with pytest.raises(UsageError, match=name):
        artists_needed(*arguments)


@pytest.fixture(scope="module")
def benchmark_module() -> ModuleType:
    specification = importlib.util.spec_from_file_location("bound_coverage", BENCHMARK)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    import sys

    sys.modules["bound_coverage"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("scenario", ["alike", "12% misjudged"])
def test_false_promises_stay_within_the_stated_rate_although_the_same_windows_choose_and_judge(
    benchmark_module: ModuleType, scenario: str
) -> None:
    trials = 100
    tallies = benchmark_module.coverage(benchmark_module.SCENARIOS[scenario], 40, trials, draws=800)
    bounded = tallies["bootstrap, worst artist 0.5"]
    assert bounded.given > 0.2 * trials
    # At a true rate of 5%, more than 11 of 100 happen once in 250 times.
    assert bounded.false <= 11
    assert tallies["none"].false > 0.2 * trials
    assert tallies["bootstrap, worst artist 0"].given == 0


def test_the_bound_keeps_its_rate_on_artists_like_those_measured_and_a_beta_binomial_does_not(
    benchmark_module: ModuleType,
) -> None:
    population = benchmark_module.POPULATIONS["1 in 6 at .6 to .8"]
    true_share = benchmark_module.draw_artists(np.random.default_rng(0), population, 100_000).share[0]
    bounds = benchmark_module.measured_coverage(population, 14, trials=100, draws=300)
    kept = {name: (values <= true_share).mean() for name, values in bounds.items()}
    # At a true rate of 80%, fewer than 68 of 100 happen once in 400 times.
    assert kept["worst artist 0.75", 0.8] >= 0.68
    assert kept["worst artist 0.5", 0.8] >= 0.9
    assert kept["beta-binomial", 0.95] < 0.9
