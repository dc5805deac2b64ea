"""Lanes on this machine: worker processes, or this process itself.

The process that computes imports torch and the detector. With workers, the process that starts them does not.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from remix_miner.device import share_of_device
from remix_miner.mining.jobs.queue import LOADING, Counts
from remix_miner.mining.jobs.run import Watch
from remix_miner.mining.messages import Batch, JobSetup, Task
from remix_miner.processes.workers import WorkerProcesses

COLUMNS = 4
"""Numbers per lane in shared memory: seconds, tracks, excerpts, place. The first of all is the request to stop."""


class ThisProcess:
    """One lane in this process, with one thread: for small machines and for debugging."""

    count = 1

    def __init__(self, setup: JobSetup, watch: Watch) -> None:
        import torch

        self.setup = setup
        self.watch = watch
        self._threads = torch.get_num_threads()
        self._counts = Counts()
        self._job: tuple[Sequence[Task], str] | None = None
        torch.set_num_threads(1)

    def submit(self, lane: int, tasks: Sequence[Task], name: str) -> None:
        self._job = tasks, name

    def finished(self, timeout_seconds: float) -> list[tuple[int, Batch | Exception]]:
        assert self._job is not None
        (tasks, name), self._job = self._job, None
        from remix_miner.mining.jobs.batch import mine_batch

        try:
            return [(0, mine_batch(self.setup, tasks, name, self._report))]
        except Exception as error:
            return [(0, error)]

    def _report(self, *, seconds: float = 0.0, tracks: int = 0, excerpts: int = 0, place: int | None = None) -> bool:
        before = self._counts
        self._counts = Counts(before.seconds + seconds, before.tracks + tracks, before.excerpts + excerpts)
        self.watch.progressed(self._counts)
        return self.watch.stopping()

    def counts(self) -> list[Counts]:
        return [self._counts]

    def stop(self) -> None:
        """Do nothing: the job checks the watch at every block."""

    def kill(self, lane: int) -> None:
        """Do nothing: the job runs in this process, so no other process exists."""

    def close(self) -> None:
        import torch

        torch.set_num_threads(self._threads)


class LocalProcesses:
    """Lanes that are worker processes; their progress is in shared memory."""

    def __init__(self, setup: JobSetup, count: int) -> None:
        self.count = count
        self._workers = WorkerProcesses(count, _miner)
        self._board = self._workers.context.RawArray("d", 1 + COLUMNS * count)
        self._workers.arguments = (setup, self._board)

    def submit(self, lane: int, tasks: Sequence[Task], name: str) -> None:
        self._board[COLUMNS * (lane + 1)] = 0 if self._workers.running(lane) else LOADING
        self._workers.submit(lane, tasks, name)

    def finished(self, timeout_seconds: float) -> list[tuple[int, Batch | Exception]]:
        return self._workers.finished(timeout_seconds)

    def counts(self) -> list[Counts]:
        rows = (self._board[1 + COLUMNS * lane : 1 + COLUMNS * (lane + 1)] for lane in range(self.count))
        return [Counts(row[0], int(row[1]), int(row[2]), int(row[3])) for row in rows]

    def stop(self) -> None:
        self._board[0] = 1

    def kill(self, lane: int) -> None:
        self._workers.kill(lane)

    def close(self) -> None:
        self._workers.close()


class SharedReport:
    """Writer of a lane's progress to shared memory."""

    def __init__(self, board: Any, lane: int) -> None:
        self.board = board
        self.first = 1 + COLUMNS * lane

    def __call__(self, *, seconds: float = 0.0, tracks: int = 0, excerpts: int = 0, place: int | None = None) -> bool:
        self.board[self.first] += seconds
        self.board[self.first + 1] += tracks
        self.board[self.first + 2] += excerpts
        if place is not None:
            self.board[self.first + 3] = place
        return bool(self.board[0])


def _miner(lane: int, setup: JobSetup, board: Any) -> Callable[[Sequence[Task], str], Batch]:
    """Return the function that runs a worker's jobs, in its process."""
    import torch

    from remix_miner.mining.jobs.batch import mine_batch

    torch.set_num_threads(1)
    device = share_of_device(setup.device, lane, torch.cuda.device_count())
    setup = dataclasses.replace(setup, device=device)
    return functools.partial(mine_batch, setup, report=SharedReport(board, lane))
