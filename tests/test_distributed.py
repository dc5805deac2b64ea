"""Two processes (gloo): one model, the batch of one process, and exact resuming."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from remix_miner.runs.folder import RunFolder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def trained(runs, stem_corpus, mine) -> Path:
    if not (runs / "stems").exists():
        stem_corpus(runs / "stems", {"A - 1": 1.0, "B - 2": 1.0, "C - 3": 1.0})
        mine(runs / "mined", {"x.mp3": {"drums": [5.0], "bass": [5.0]}})
        script = Path(__file__).parent / "two_processes.py"
        finished = subprocess.run(
            [sys.executable, str(script), *map(str, (runs / "stems", runs / "mined", runs))],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr[-3000:]
    return runs


def losses(folder: Path) -> list[dict]:
    return [record for record in RunFolder(folder).read_log() if record["kind"] == "step"]


def test_both_ranks_end_with_the_same_weights(trained):
    one, other = (torch.load(trained / f"weights-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_signal_to_one_rank_stops_both_and_resuming_is_exact(trained):
    states = [RunFolder(trained / name).load_state() for name in ("undisturbed", "interrupted")]
    assert len(states[0]["ranks"]) == 2
    for part in ("model", "ema", "optimizer", "remix_optimizer"):
        assert same(states[0]["learner"][part], states[1]["learner"][part]), part
    assert same(states[0]["ranks"], states[1]["ranks"])
    logs = [[record["loss"] for record in losses(trained / name)] for name in ("undisturbed", "interrupted")]
    assert logs[0] == logs[1]


def test_two_processes_train_as_one_with_the_same_batch(trained):
    """Equal up to the order of sums, which Adam magnifies from step to step."""
    two, alone = losses(trained / "undisturbed"), losses(trained / "alone")
    assert [record["remix_steps"] for record in two] == [record["remix_steps"] for record in alone]
    assert [record["loss"] for record in two] == pytest.approx([record["loss"] for record in alone], rel=1e-3)
    assert any(record["remix_steps"] for record in two)


def test_validation_is_shared_out_and_agrees(trained):
    scores = [
        [record["usdr_mean"] for record in RunFolder(trained / name).read_log() if record["kind"] == "validation"]
        for name in ("undisturbed", "alone")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)


def same(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
