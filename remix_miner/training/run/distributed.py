"""Distributed setup and collectives: one process, or several that torchrun or `--devices` started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from remix_miner.errors import UsageError
from remix_miner.processes.workers import follow_parent
from remix_miner.training.run.launch import PARENT

CPU = torch.device("cpu")
COLLECTIVE_TIMEOUT = timedelta(hours=2)
"""Ranks wait this long for one another: one may validate long songs while the others have finished."""


@dataclass(frozen=True)
class Ranks:
    """Place of this process among ``world_size`` that train one model, each with its own share of every batch."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model with gradients averaged over the ranks."""
        if self.world_size == 1:
            return model
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices)

    def any(self, *flags: bool) -> list[bool]:
        """Return for each flag whether it is set on some rank."""
        if self.world_size == 1:
            return list(flags)
        raised = torch.tensor(flags, dtype=torch.int32, device=self.device)
        dist.all_reduce(raised, op=dist.ReduceOp.MAX)
        return [bool(flag) for flag in raised.tolist()]

    def gather(self, value: Any) -> list[Any]:
        """Return each rank's value, in order, on every rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values


@contextmanager
def open_ranks(device: str = "auto") -> Iterator[Ranks]:
    """Join the processes that torchrun's environment describes; without it, train alone.

    ``device``: 'auto' takes a GPU where there is one, with several processes the one of the local rank. GPUs
    communicate by NCCL, CPUs by gloo.
    """
    if PARENT in os.environ:
        follow_parent(int(os.environ[PARENT]))
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")) if world_size > 1 else None)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
        torch.backends.cudnn.benchmark = True  # all segments have one length
    if world_size == 1:
        yield Ranks(device=chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=COLLECTIVE_TIMEOUT)
    try:
        yield Ranks(dist.get_rank(), world_size, chosen)
    finally:
        dist.destroy_process_group()


def choose_device(name: str, local_rank: int | None = None) -> torch.device:
    """Return the device that ``name`` means; 'auto' and 'cuda' follow the local rank when there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}; for example cpu, cuda, cuda:1") from error
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise UsageError(f"--device {name}: torch sees no GPU here; use --device cpu")
        index = device.index if device.index is not None else (local_rank or 0)
        if index >= torch.cuda.device_count():
            raise UsageError(f"--device {name}: there are {torch.cuda.device_count()} GPUs, no number {index}")
        return torch.device("cuda", index)
    return device
