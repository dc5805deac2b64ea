"""Kills of a training run between the first step and the last, each followed by a resumed run.

    python benchmarks/survival/kill_train.py [--kills 14]

The model is compared with that of an undisturbed run by its bytes. tests/test_resume.py has a smaller form.
"""

import argparse
import random
import re
import tempfile
from pathlib import Path

import torch
from scans import STEM_RATE, scan, write_songs, write_stems
from victims import start, wait_for

import remix_miner.processes.workers


def kill_train(folder: Path, kills: int) -> None:
    """Kill a training run at a random step and resume it until it is complete; then begin anew."""
    choose = random.Random(0)
    scan(write_songs(folder / "library", 6, 4.0), folder / "mined", 0, STEM_RATE)
    write_stems(folder / "stems", 3, 2.0)
    process = start(train, folder, folder / "undisturbed")  # torch cannot train in a fork of a process that has trained
    process.join()
    expected = (folder / "undisturbed" / "model.safetensors").read_bytes()
    steps = STEPS * EPOCHS
    struck, runs = 0, 0
    while struck < kills:
        out = folder / f"run{runs}"
        runs += 1
        while True:
            wanted = steps_logged(out) + choose.randrange(1, steps)
            process = start(train, folder, out)
            reached = wait_for(lambda out=out, wanted=wanted: steps_logged(out) >= wanted, process)  # type: ignore[misc]
            if reached and struck < kills and process.is_alive():
                process.kill()
                struck += 1
            process.join()
            if process.exitcode == 0:
                break
        assert (out / "model.safetensors").read_bytes() == expected
        assert not list(out.rglob("*.tmp-*")), list(out.rglob("*.tmp-*"))
    print(f"{struck} kills in {runs} training runs of {steps} steps: each gave the undisturbed model, bit for bit")


def steps_logged(run: Path) -> int:
    """Return the last step in the log of a training run; 0 without one."""
    log = run / "log.jsonl"
    lines = log.read_text().splitlines() if log.is_file() else []
    return max((int(found[1]) for line in lines if (found := re.search(r'"step": (\d+)', line))), default=0)


EPOCHS, STEPS = 4, 12


def train(folder: Path, out: Path) -> None:
    from remix_miner.runs.folder import RunFolder
    from remix_miner.training.batches.rests import RemixSettings
    from remix_miner.training.remix import RemixStepSettings
    from remix_miner.training.run.distributed import Ranks
    from remix_miner.training.run.prepare import Inputs, prepare
    from remix_miner.training.settings import SeparatorSettings, TrainingSettings, ValidationSettings

    settings = TrainingSettings(
        separator=SeparatorSettings("demucs", {"channels": 4, "depth": 2, "sample_rate": STEM_RATE}),
        segment_seconds=0.2,
        batch_size=2,
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        remix=RemixStepSettings(probability=0.5),
        excerpts=RemixSettings(enough_minutes=0),
        validation=ValidationSettings(seconds_per_track=0.5),
        checkpoint_every_steps=3,
        log_every_steps=1,
    )
    inputs = Inputs([folder / "stems"], mined=folder / "mined")
    prepare(settings, inputs, RunFolder(out), Ranks(), resume=(out / "resume.pt").is_file()).run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=14)
    options = parser.parse_args()
    torch.set_num_threads(1)
    remix_miner.processes.workers.START_METHOD = "fork"  # a worker starts at once
    with tempfile.TemporaryDirectory() as folder:
        kill_train(Path(folder), options.kills)


if __name__ == "__main__":
    main()
