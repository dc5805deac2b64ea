"""The experiment of examples/remix_gain at toy size: it runs to its tables, and a second start has nothing to do."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "remix_gain"


def run(script: str, *arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLE / script), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    specification = importlib.util.spec_from_file_location("remix_gain_report", EXAMPLE / "report.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_toy_experiment_runs_and_reports(tmp_path: Path) -> None:
    arguments = ("--scale", "tiny", "--out", str(tmp_path / "out"), "--workers", "0", "--detector", "none")
    arguments += ("--only", "supervised,oracle,oracle-50")
    run("run.py", *arguments)
    results = sorted((tmp_path / "out/arms").glob("*.json"))
    names = {json.loads(path.read_text())["arm"] for path in results}
    assert names == {"supervised", "oracle", "oracle-50"}
    stamps = [path.stat().st_mtime_ns for path in results]
    run("run.py", *arguments)
    assert [path.stat().st_mtime_ns for path in results] == stamps
    excerpts = json.loads((tmp_path / "out/excerpts.json").read_text())
    assert excerpts["oracle"]["vocals"]["share_above_-20_db"] == 0
    assert 0.2 < excerpts["oracle-50"]["vocals"]["share_above_-20_db"] < 0.8
    doc = tmp_path / "doc.md"
    doc.write_text("before\n<!-- results of tiny: begin -->\nold\n<!-- results of tiny: end -->\nafter\n")
    run("report.py", str(tmp_path / "out"), "--doc", str(doc))
    text = doc.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| oracle-50: 50% of excerpts falsely silent |" in text
    assert "old" not in text
    assert (tmp_path / "pictures/remix_gain_tiny.svg").stat().st_size > 1000


def test_the_interval_of_a_known_difference_covers_it_alone(report: ModuleType) -> None:
    generator = np.random.default_rng(0)
    baseline = generator.normal(size=(3, 30, 4))
    low, high = report.interval(baseline + 0.5, baseline)
    assert np.isclose(low, 0.5)
    assert np.isclose(high, 0.5)
    low, high = report.interval(baseline + generator.normal(0.0, 0.1, size=(3, 30, 4)), baseline)
    assert low < 0.02
    assert high > -0.02
    assert high - low < 0.1


def test_the_interval_agrees_with_drawing_songs_one_by_one(report: ModuleType) -> None:
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(1, 20, 1))
    means = [scores[0, generator.integers(0, 20, 20), 0].mean() for _ in range(10_000)]
    # Two bootstraps of 10,000 draws agree to about a fiftieth of the spread.
    assert np.allclose(report.interval(scores), np.percentile(means, [2.5, 97.5]), atol=0.02)


def test_sources_that_are_silent_in_a_song_do_not_count(report: ModuleType) -> None:
    scores = np.full((2, 3, 4), 1.0)
    scores[:, 0, 1] = np.nan
    assert report.per_source(scores).tolist() == [1.0] * 4
    assert report.interval(scores) == (1.0, 1.0)
