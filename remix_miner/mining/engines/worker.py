"""A worker: a spawned process with a miner of its own, one pipe to its parent, and no life beyond it.

The parent says which track comes next; the worker says how far it is and what came of it. Nothing else is shared, so
a decoder that takes its process with it costs one track.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from remix_miner.mining.messages import Failed, MinerSetup, Progressed, Task
from remix_miner.processes import exit_with_parent, worker_environment

CLOSE = "close"
STOP = "stop"
"""What a parent says beside a `Task`: finish the batch; finish the batch and leave, at once."""


@dataclass(frozen=True)
class Ready:
    """The worker is loaded and waits for its first track."""


@dataclass(frozen=True)
class Lost:
    """A track failed and took the worker's unfinished batch with it."""

    failed: Failed
    tasks: list[Task]


@dataclass(frozen=True)
class Broken:
    """The worker cannot go on, and another one could not either: a full disk, a detector that does not load."""

    reason: str


class Worker:
    """The parent's view of a worker: its process, its pipe, what it is doing and what it has not yet handed over."""

    def __init__(self, setup: MinerSetup, lane: str) -> None:
        context: Any = multiprocessing.get_context(setup.start_method)
        self.lane = lane
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(setup, lane, theirs, os.getpid()), daemon=True)
        with worker_environment():
            self.process.start()
        theirs.close()
        self.task: Task | None = None
        self.busy = True
        """From a request until its answer; a new worker is busy loading."""
        self.loaded = False
        self.unsafe: list[Task] = []
        """Scanned, and in a batch that is still open."""
        self.heard = time.monotonic()

    def ask(self, request: Task | str) -> None:
        """Send a request. A worker that died meanwhile is found out by whoever reads its pipe."""
        self.task = request if isinstance(request, Task) else None
        self.busy = True
        self.heard = time.monotonic()
        with contextlib.suppress(OSError):
            self.connection.send(request)

    def kill(self) -> None:
        """End the process, whatever it is doing, and wait for it."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    @property
    def how_it_died(self) -> str:
        """'was killed by SIGSEGV', 'ended with status 3'."""
        self.process.join(5)
        status = self.process.exitcode
        if status is not None and status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"ended with status {status}"


def serve(setup: MinerSetup, lane: str, connection: Connection, parent: int) -> None:
    """The worker's process: load, then answer each request until the parent says stop or is gone."""
    exit_with_parent(parent)
    import torch

    from remix_miner.device import share_of_device
    from remix_miner.errors import RemixMinerError
    from remix_miner.mining.miner import BatchSpoiled, Miner, Stopped

    torch.set_num_threads(1)

    def on_block(seconds: float) -> None:
        if connection.poll():  # nothing but a stop, or the parent's end, comes while a track is being scanned
            raise Stopped
        connection.send(Progressed(seconds))

    def obey(miner: Miner, request: Any) -> bool:
        if isinstance(request, Task):
            try:
                connection.send(miner.scan(request, on_block))
                if miner.due:
                    connection.send(miner.close())
                return True
            except BatchSpoiled as spoiled:
                connection.send(Lost(spoiled.failed, spoiled.lost))
                return True
            except Stopped:
                request = connection.recv()
        connection.send(miner.close())
        return bool(request != STOP)

    try:
        device = share_of_device(setup.device, int(lane), torch.cuda.device_count())
        miner = Miner(dataclasses.replace(setup, device=device), lane)
        connection.send(Ready())
        while obey(miner, connection.recv()):
            pass
        connection.close()  # at once: leaving Python takes longer, and nothing waits for that
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(1)  # the parent is gone: whatever is open is abandoned as it is, and the next scan removes it
    except (RemixMinerError, OSError) as error:
        connection.send(Broken(str(error)))
