"""Two processes (gloo): one model, the batch of one process, and exact resuming."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from remix_miner.errors import UsageError
from remix_miner.runs.folder import RunFolder
from remix_miner.training.run.launch import parse_devices


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


def test_one_command_trains_on_several_devices(tmp_path, stem_corpus):
    """`--devices cpu,cpu`: two processes, one run; Ctrl-C to the command keeps a checkpoint, and --resume goes on."""
    stems = stem_corpus(tmp_path / "stems", {"A - 1": 1.0, "B - 2": 1.0})
    sizes = ["separator.settings.channels=4", "separator.settings.depth=2", "separator.settings.sample_rate=8000"]
    settings = [
        *sizes,
        "segment_seconds=0.05",
        "batch_size=4",
        "epochs=1",
        "steps_per_epoch=100000",
        "log_every_steps=1",
    ]
    command = [sys.executable, "-m", "remix_miner.cli", "train", "--devices", "cpu,cpu", "--out", str(tmp_path / "run")]
    new = ["--stems", str(stems), "--workers", "0", *(part for name in settings for part in ("--set", name))]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, *new], env=environment, stderr=subprocess.PIPE, text=True)
    folder = RunFolder(tmp_path / "run")
    deadline = time.monotonic() + 120
    while not losses(folder.path) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error[-3000:]
    assert "batches of 4 over 2 processes" in error
    state = folder.load_state()
    assert len(state["ranks"]) == 2
    assert state["step"] >= 1
    more = [*command, "--resume", "--workers", "0", "--json", "--set", "validation.every_epochs=0"]
    failed = subprocess.run([*more, "--set", "seed=5"], env=environment, capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "seed was 0, is 5" in failed.stderr


def test_devices_are_gpus_or_cpus():
    for text in ("0,0", "gpu", "0,cpu", "", "0,,1"):
        with pytest.raises(UsageError, match="--devices"):
            parse_devices(text)


def same(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
