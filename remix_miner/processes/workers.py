"""Worker processes: their lifetime, and a group of them that answers requests.

Each worker has a pipe of its own and no lock is shared: a crash or a hang costs the request at hand and nothing else,
and a worker can be killed at any time. Pools whose workers share one pipe break then: pebble's broke after 3 to 12
kills of workers in mid-answer, `concurrent.futures` gives up with the first worker that ends.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from remix_miner.processes.environment import worker_environment

START_METHOD = "spawn"
"""Of `WorkerProcesses`: forking is unsafe in a process that has threads."""


def exit_with_parent(parent: int) -> None:
    """Ignore interrupts, which the parent handles, and exit when the process ``parent`` does (by signal on Linux)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    follow_parent(parent)


def follow_parent(parent: int) -> None:
    """Exit when the process ``parent`` does (by signal on Linux); interrupts stay as they are."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


class WorkerLost(Exception):
    """The process of a request ended; the message states how."""


class WorkerProcesses:
    """Up to ``count`` processes, numbered from 0, each started when it gets its first request.

    ``make(number, *arguments)`` runs in the process and returns the function that answers its requests.
    """

    def __init__(self, count: int, make: Callable[..., Callable[..., Any]]) -> None:
        self.count = count
        self.context: Any = multiprocessing.get_context(START_METHOD)
        self._make = make
        self.arguments: tuple[Any, ...] = ()
        """Of ``make``, beside the number; they are set before the first request."""
        self._workers: dict[int, tuple[Any, Connection]] = {}

    def running(self, number: int) -> bool:
        """Return whether a process was started and its end was not yet recorded."""
        return number in self._workers

    def submit(self, number: int, *request: Any) -> None:
        """Send a request to an idle worker. One that has ended is noticed by `finished`."""
        if number not in self._workers:
            self._start(number)
        with contextlib.suppress(OSError):
            self._workers[number][1].send(request)

    def finished(self, timeout_seconds: float) -> list[tuple[int, Any]]:
        """Return (number, answer or exception) of the workers that answered or ended within ``timeout_seconds``.

        `WorkerLost` stands for a process that ended, also for one that was idle.
        """
        numbers = {connection: number for number, (_, connection) in self._workers.items()}
        ready: list[Any] = wait(list(numbers), timeout_seconds)
        return [(numbers[connection], self._answer(numbers[connection])) for connection in ready]

    def kill(self, number: int) -> None:
        """End a process at once; `finished` then returns `WorkerLost`."""
        if number in self._workers:
            self._workers[number][0].kill()

    def close(self) -> None:
        """End all processes at once."""
        for process, _ in self._workers.values():
            process.kill()
        for number in list(self._workers):
            self._end(number)

    def _answer(self, number: int) -> Any:
        process, connection = self._workers[number]
        try:
            return connection.recv()
        except (EOFError, OSError):
            process.join(5)
            status = process.exitcode
            self._end(number)
            if status is not None and status < 0:
                return WorkerLost(f"was killed by {signal.Signals(-status).name}")
            return WorkerLost(f"ended with status {status}")

    def _start(self, number: int) -> None:
        parent_end, worker_end = self.context.Pipe()
        arguments = (self._make, number, self.arguments, worker_end, os.getpid())
        process = self.context.Process(target=_serve, args=arguments, daemon=True)
        with worker_environment():
            process.start()
        worker_end.close()
        self._workers[number] = process, parent_end

    def _end(self, number: int) -> None:
        process, connection = self._workers.pop(number)
        process.kill()
        process.join()
        connection.close()


def _serve(
    make: Callable[..., Callable[..., Any]],
    number: int,
    arguments: tuple[Any, ...],
    connection: Connection,
    parent: int,
) -> None:
    """Answer requests until the parent ends."""
    exit_with_parent(parent)
    answer = make(number, *arguments)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            request = connection.recv()
            try:
                result = answer(*request)
            except Exception as error:
                error.add_note(traceback.format_exc())
                result = error
            connection.send(result)
    os._exit(1)
