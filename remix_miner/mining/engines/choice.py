"""Engine of a scan: this process, local processes, or a Ray cluster."""

import os
from dataclasses import dataclass
from typing import Annotated

from remix_miner.config import Bounds, Settings
from remix_miner.device import resolve_device
from remix_miner.errors import UsageError
from remix_miner.mining.jobs.run import Lanes, Watch
from remix_miner.mining.messages import JobSetup


@dataclass(frozen=True)
class Engine(Settings):
    """Engine settings. ``workers``: None for one per CPU core, 0 for this process; on a GPU each holds the detector."""

    name: str = "local"
    workers: Annotated[int, Bounds(most=65536)] | None = None
    device: str = "cpu"
    address: str | None = None
    gpus_per_worker: Annotated[float, Bounds(0, 1024)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name not in ("local", "ray"):
            raise UsageError(f"--engine is local or ray, got {self.name!r}")
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"--workers is 0 (scan in this process) or more, got {self.workers}")
        if self.name == "ray" and self.workers == 0:
            raise UsageError("--workers 0 scans in this process; leave out --engine ray")
        if self.name == "ray" and self.device == "auto":
            raise UsageError(
                "--engine ray needs --device cpu or cuda: the GPUs of the other machines cannot be detected from here"
            )
        if self.name == "local" and self.address is not None:
            raise UsageError("--address belongs to --engine ray")

    @property
    def resolved_device(self) -> str:
        """Return the device's name. It is checked if this machine computes."""
        return resolve_device(self.device) if self.name == "local" else self.device

    @property
    def processes(self) -> int:
        """Return the number of local processes that may work at once; 0 means this process alone."""
        return usable_cores() if self.workers is None else self.workers

    def lanes(self, setup: JobSetup, watch: Watch, most: int) -> Lanes:
        """Start the engine with at most ``most`` lanes. `Lanes.close` ends it."""
        if self.name == "ray":
            from remix_miner.mining.engines.ray import RayLanes

            return RayLanes(setup, most, self.workers, self.address, self.gpus_per_worker)
        from remix_miner.mining.engines.local import LocalProcesses, ThisProcess

        return ThisProcess(setup, watch) if self.workers == 0 else LocalProcesses(setup, min(self.processes, most))


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
