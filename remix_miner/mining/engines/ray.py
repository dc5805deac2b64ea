"""Lanes on a Ray cluster, for more than one machine. Needs the extra ``ray``.

Every machine needs the library and the mined folder under the same paths, and an installed remix-miner.
"""

import contextlib
import os
import secrets
import sys
from collections.abc import Sequence
from typing import Any

from remix_miner.errors import DataError, RemixMinerError, UsageError
from remix_miner.mining.jobs.batch import mine_batch
from remix_miner.mining.jobs.queue import LOADING, WAITING, Counts
from remix_miner.mining.messages import Batch, JobSetup, Task
from remix_miner.processes.environment import worker_variables
from remix_miner.processes.workers import WorkerLost

AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Environment variables that decide who may connect to a Ray cluster."""


class Board:
    """Actor that holds the progress of all lanes and the request to stop."""

    def __init__(self, lanes: int) -> None:
        self.lanes = [Counts() for _ in range(lanes)]
        self.stopping = False

    def add(self, lane: int, seconds: float, tracks: int, excerpts: int, place: int | None) -> bool:
        """Add a lane's progress; return whether a stop is requested."""
        before = self.lanes[lane]
        self.lanes[lane] = Counts(
            before.seconds + seconds,
            before.tracks + tracks,
            before.excerpts + excerpts,
            before.place if place is None else place,
        )
        return self.stopping

    def read(self) -> list[Counts]:
        return self.lanes

    def stop(self) -> None:
        self.stopping = True


class RayLanes:
    """Lanes that are tasks of a Ray cluster at ``address``, or of a local one that is started and ended here.

    ``workers``: number of lanes (None: one per CPU of the cluster). ``gpus_per_worker``: share of a GPU per lane; 1 if
    left out and the device is cuda, else 0.
    """

    def __init__(
        self, setup: JobSetup, most: int, workers: int | None, address: str | None, gpus_per_worker: float | None
    ) -> None:
        ray = self._ray = import_ray(local=address is None)
        self._own_cluster = not ray.is_initialized()
        if self._own_cluster:
            start_ray(ray, address, workers)
        self._setup = ray.put(setup)
        self.count = max(1, min(workers or int(ray.cluster_resources().get("CPU", 1)), most))
        gpus = gpus_per_worker if gpus_per_worker is not None else float(setup.device.startswith("cuda"))
        self._board = ray.remote(Board).options(num_cpus=0).remote(self.count)
        self._mine = ray.remote(_serve).options(
            num_cpus=1, num_gpus=gpus, max_retries=0, runtime_env={"env_vars": worker_variables()}
        )
        self._running: dict[Any, int] = {}

    def submit(self, lane: int, tasks: Sequence[Task], name: str) -> None:
        self._ray.get(self._board.add.remote(lane, 0.0, 0, 0, WAITING))
        self._running[self._mine.remote(mine_batch, self._setup, list(tasks), name, self._board, lane)] = lane

    def finished(self, timeout_seconds: float) -> list[tuple[int, Batch | Exception]]:
        done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=timeout_seconds)
        return [(self._running.pop(ref), self._result(ref)) for ref in done]

    def _result(self, ref: Any) -> Batch | Exception:
        try:
            result: Batch = self._ray.get(ref)
            return result
        except self._ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", None)
            return cause if isinstance(cause, RemixMinerError | OSError) else error
        except self._ray.exceptions.RayError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            return WorkerLost(f"ended: {lines[0].strip() if lines else type(error).__name__}")

    def counts(self) -> list[Counts]:
        counts: list[Counts] = self._ray.get(self._board.read.remote())
        return counts

    def stop(self) -> None:
        self._ray.get(self._board.stop.remote())

    def kill(self, lane: int) -> None:
        for ref, running in self._running.items():
            if running == lane:
                self._ray.cancel(ref, force=True)

    def close(self) -> None:
        for ref in self._running:
            with contextlib.suppress(Exception):
                self._ray.cancel(ref, force=True)
        with contextlib.suppress(Exception):
            self._ray.kill(self._board)
        if self._own_cluster:
            self._ray.shutdown()


def import_ray(local: bool = False) -> Any:
    """Return the module ``ray``; raise `UsageError` without the extra.

    ``local``: for a cluster on this machine only. Ray's servers listen on every interface, so a secret token is set,
    without which they refuse connections (Ray 2.52 and later). Ray reads it when it is first imported. Authentication
    that the environment sets is left alone.
    """
    if local and "ray" not in sys.modules and not any(name in os.environ for name in AUTHENTICATION):
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise UsageError("--engine ray needs the optional extra: pip install 'remix-miner[ray]'") from error
    return ray


def start_ray(ray: Any, address: str | None, workers: int | None) -> None:
    """Join the cluster at ``address``, or start a local one."""
    local = {} if address else {"num_cpus": workers, "include_dashboard": False}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
    except Exception as error:  # Ray raises bare exceptions too, for a node that does not start in time
        raise DataError(f"no Ray cluster at {address or 'this machine'}: {error}") from error


def _serve(mine: Any, setup: JobSetup, tasks: Sequence[Task], name: str, board: Any, lane: int) -> Batch:
    """Run a job in a process of the cluster."""
    import ray
    import torch

    torch.set_num_threads(1)

    def report(*, seconds: float = 0.0, tracks: int = 0, excerpts: int = 0, place: int | None = None) -> bool:
        return bool(ray.get(board.add.remote(lane, seconds, tracks, excerpts, place)))

    report(place=LOADING)
    batch: Batch = mine(setup, tasks, name, report)
    return batch
