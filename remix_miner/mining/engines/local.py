"""Lanes on this machine: worker processes, each with a pipe of its own, or this process itself.

Every worker has its own pipe and no lock is shared, so a worker that is killed in mid-sentence harms nobody. (Pools
that share one pipe, as pebble's does, break then: 3 to 12 kills in a test.)
"""

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from remix_miner.device import share_of_device
from remix_miner.mining.batch import mine_batch
from remix_miner.mining.jobs import LOADING, Counts, Watch, WorkerLost
from remix_miner.mining.messages import Batch, JobSetup, Task
from remix_miner.processes import exit_with_parent, worker_environment

START_METHOD = "spawn"
"""Of worker processes: forking is unsafe in a process that has threads."""

COLUMNS = 4
"""Of a lane in shared memory: seconds, tracks, excerpts, place. The first number of all is the request to stop."""


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

    def finished(self, timeout: float) -> list[tuple[int, Batch | Exception]]:
        assert self._job is not None
        (tasks, name), self._job = self._job, None
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
        """The watch is asked at every block."""

    def kill(self, lane: int) -> None:
        """Nothing runs while anybody could ask for it."""

    def close(self) -> None:
        import torch

        torch.set_num_threads(self._threads)


class LocalProcesses:
    """Lanes that are worker processes, started when they get their first job."""

    def __init__(self, setup: JobSetup, count: int) -> None:
        self.setup = setup
        self.count = count
        self._context: Any = multiprocessing.get_context(START_METHOD)
        self._board = self._context.RawArray("d", 1 + COLUMNS * count)
        self._workers: dict[int, tuple[Any, Connection]] = {}

    def submit(self, lane: int, tasks: Sequence[Task], name: str) -> None:
        self._board[COLUMNS * (lane + 1)] = 0 if lane in self._workers else LOADING
        if lane not in self._workers:
            self._start(lane)
        with contextlib.suppress(OSError):  # a worker that has ended is noticed by `finished`
            self._workers[lane][1].send((tasks, name))

    def finished(self, timeout: float) -> list[tuple[int, Batch | Exception]]:
        lanes = {connection: lane for lane, (_, connection) in self._workers.items()}
        ready: list[Any] = wait(list(lanes), timeout)
        return [(lanes[connection], self._result(lanes[connection])) for connection in ready]

    def _result(self, lane: int) -> Batch | Exception:
        process, connection = self._workers[lane]
        try:
            result: Batch | Exception = connection.recv()
            return result
        except (EOFError, OSError):
            process.join(5)
            status = process.exitcode
            self._end(lane)
            if status is not None and status < 0:
                return WorkerLost(f"was killed by {signal.Signals(-status).name}")
            return WorkerLost(f"ended with status {status}")

    def counts(self) -> list[Counts]:
        rows = (self._board[1 + COLUMNS * lane : 1 + COLUMNS * (lane + 1)] for lane in range(self.count))
        return [Counts(row[0], int(row[1]), int(row[2]), int(row[3])) for row in rows]

    def stop(self) -> None:
        self._board[0] = 1

    def kill(self, lane: int) -> None:
        self._workers[lane][0].kill()

    def close(self) -> None:
        for process, _ in self._workers.values():
            process.kill()
        for lane in list(self._workers):
            self._end(lane)

    def _start(self, lane: int) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(self.setup, lane, self._board, theirs, os.getpid()), daemon=True
        )
        with worker_environment():
            process.start()
        theirs.close()
        self._workers[lane] = process, ours

    def _end(self, lane: int) -> None:
        process, connection = self._workers.pop(lane)
        process.kill()
        process.join()
        connection.close()


class SharedReport:
    """Writes a lane's progress to shared memory."""

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


def _serve(setup: JobSetup, lane: int, board: Any, connection: Connection, parent: int) -> None:
    """Worker process: run jobs until the parent ends."""
    exit_with_parent(parent)
    import dataclasses

    import torch

    torch.set_num_threads(1)
    setup = dataclasses.replace(setup, device=share_of_device(setup.device, lane, torch.cuda.device_count()))
    report = SharedReport(board, lane)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            tasks, name = connection.recv()
            try:
                result: Batch | Exception = mine_batch(setup, tasks, name, report)
            except Exception as error:
                error.add_note(traceback.format_exc())
                result = error
            connection.send(result)
    os._exit(1)
