"""Run by test_distributed.py in a process of its own: trains with two forked processes, and once with one.

    python two_processes.py STEMS MINED OUT

OUT gets the runs ``undisturbed`` (two processes), ``interrupted`` (the same, stopped by a signal to the second process
and resumed), ``alone`` (one process), and ``weights-<rank>.pt``: each rank's weights after the undisturbed run.
"""

import os
import signal
import socket
import sys
from pathlib import Path

import torch
import torch.multiprocessing as mp

from remix_miner.runs.folder import RunFolder
from remix_miner.training import loop
from remix_miner.training.batches.augment import AugmentSettings
from remix_miner.training.batches.rests import RemixSettings
from remix_miner.training.remix import RemixStepSettings
from remix_miner.training.run.distributed import Ranks, open_ranks
from remix_miner.training.run.prepare import Inputs, prepare
from remix_miner.training.settings import SeparatorSettings, TrainingSettings, ValidationSettings

SETTINGS = TrainingSettings(
    separator=SeparatorSettings("demucs", {"channels": 4, "depth": 2, "sample_rate": 8000}),
    segment_seconds=0.05,
    batch_size=8,
    accumulate=2,
    epochs=2,
    steps_per_epoch=3,
    # Each rank augments with its own random numbers; without them, two processes compute what one does.
    augment=AugmentSettings(swap_probability=0, flip_probability=0),
    remix=RemixStepSettings(probability=0.5),
    excerpts=RemixSettings(enough_minutes=0),
    validation=ValidationSettings(seconds_per_track=0.3),
    log_every_steps=1,
)


def train(inputs: Inputs, out: Path, ranks: Ranks, resume: bool = False) -> loop.Training:
    training = prepare(SETTINGS, inputs, RunFolder(out), ranks, resume=resume)
    training.run()
    return training


def work(rank: int, port: int, inputs: Inputs, out: Path) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with open_ranks("cpu") as ranks:
        training = train(inputs, out / "undisturbed", ranks)
        torch.save(training.learner.model.state_dict(), out / f"weights-{rank}.pt")
        real, steps = loop.main_step, []

        def interrupted(*arguments):
            steps.append(None)
            if rank == 1 and len(steps) == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return real(*arguments)

        loop.main_step = interrupted
        try:
            train(inputs, out / "interrupted", ranks)
            raise AssertionError("the signal to one rank did not stop both")
        except KeyboardInterrupt:
            loop.main_step = real
        train(inputs, out / "interrupted", ranks, resume=True)
        if ranks.first:
            train(inputs, out / "alone", Ranks())


if __name__ == "__main__":
    stems, mined, out = map(Path, sys.argv[1:])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(work, (port, Inputs([stems], mined=mined), out), nprocs=2, start_method="fork")
