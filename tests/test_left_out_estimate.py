"""The benchmark of the left-out estimate: its simulated artists have the truth that it states."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from remix_miner.calibration.promise.curve import THRESHOLDS
from remix_miner.calibration.settings import CalibrationSettings

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # it imports the populations of another benchmark
    specification = importlib.util.spec_from_file_location("left_out_estimate", BENCHMARKS / "left_out_estimate.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "left_out_estimate", module)  # dataclasses look their module up
    specification.loader.exec_module(module)
    yield module
    sys.modules.pop("bound_coverage", None)


def test_what_artists_show_has_the_stated_truth(benchmark_module: ModuleType) -> None:
    rng = np.random.default_rng(5)
    artists = benchmark_module.draw_artists(rng, benchmark_module.POPULATIONS["1 in 6 at .6 to .8"], 3000)
    purity, found = benchmark_module.truth(artists)
    counts = benchmark_module.observe(rng, artists)
    (kept, pure), _ = counts.arrays()
    some = slice(0, 70, 12)  # hundreds of pieces are at or above each of these
    assert pure.sum(0)[some] / kept.sum(0)[some] == pytest.approx(purity[some], abs=0.01)
    assert pure.sum(0)[some] / sum(counts.silent_windows) == pytest.approx(found[some], abs=0.01)


def test_a_trial_compares_at_the_chosen_threshold(benchmark_module: ModuleType) -> None:
    population = benchmark_module.POPULATIONS["1 in 30 at .6 to .8"]
    settings = CalibrationSettings(confidence=0.8, worst_artist=0.75)
    trial = benchmark_module.run_trial(np.random.default_rng(1), population, 12, settings, draws=200)
    purity, found = benchmark_module.TRUTHS[population]
    column = list(purity).index(trial.purity[0])
    assert trial.found[0] == found[column]
    assert THRESHOLDS[column] < 0.99
    assert trial.purity[1] >= 0.95  # on the artists that chose it
    few = benchmark_module.run_trial(np.random.default_rng(1), population, 4, settings, draws=200)
    assert few is None
