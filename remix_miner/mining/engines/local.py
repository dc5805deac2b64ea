"""Engines: who scans. In this process, or in workers of this machine that may die without loss; both give the same.

An engine is a generator of events over tasks. It never touches the catalogue: the one who consumes the events does.
"""

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from remix_miner.errors import DataError
from remix_miner.mining.engines.worker import CLOSE, STOP, Broken, Lost, Ready, Worker
from remix_miner.mining.messages import Batch, Event, Failed, MinerSetup, Progressed, Task, TrackScan

STALL_SECONDS = 300.0
SLOWEST_BYTES_PER_SECOND = 2e6
"""A worker that says nothing for so long, and as long as its file takes at this pace, hangs: it speaks per block."""

START_SECONDS = 900.0
"""The same for a worker that has not loaded yet: many at once, from a network disk, take their time."""

MOST_FAILED_STARTS = 3


@dataclass(frozen=True)
class Watch:
    """How an engine is watched from outside: told the seconds of audio that went by, and asked whether to stop."""

    progressed: Callable[[float], None] = lambda seconds: None
    stopping: Callable[[], bool] = lambda: False


def scan_in_process(setup: MinerSetup, tasks: Sequence[Task], watch: Watch) -> Generator[Event, None, None]:
    """One track after the other, here: for small machines and for debugging. Uses one thread, as workers do."""
    import torch

    from remix_miner.mining.miner import BatchSpoiled, Miner, Stopped

    def on_block(seconds: float) -> None:
        watch.progressed(seconds)
        if watch.stopping():
            raise Stopped

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    miner = Miner(setup, "0")
    queue = deque(tasks)
    try:
        while queue and not watch.stopping():
            try:
                yield miner.scan(queue[0], on_block)
            except BatchSpoiled as spoiled:
                queue.extend(spoiled.lost)
                yield spoiled.failed
            except Stopped:
                break
            queue.popleft()
            if miner.due:
                yield miner.close()
        yield miner.close()
    finally:
        miner.abandon()
        torch.set_num_threads(threads)


def scan_locally(
    setup: MinerSetup, tasks: Sequence[Task], watch: Watch, workers: int, stall_seconds: float = STALL_SECONDS
) -> Generator[Event, None, None]:
    """In spawned workers. Raises `DataError` when no worker can go on, after safely closing what is finished."""
    pool = _Pool(setup, tasks, watch, stall_seconds)
    try:
        pool.start(min(workers, len(tasks)))
        while pool.hand_out():
            if watch.stopping():
                break
            yield from pool.listen(timeout=1.0)
            if pool.broken:
                break
        yield from pool.wind_down()
        if pool.broken:
            raise DataError(pool.broken)
    finally:
        pool.kill()


class _Pool:
    """The workers of one scan, the tracks that wait for them, and what to do when one of them dies."""

    def __init__(self, setup: MinerSetup, tasks: Sequence[Task], watch: Watch, stall_seconds: float) -> None:
        self.setup = setup
        self.watch = watch
        self.stall_seconds = stall_seconds
        self.queue = deque(tasks)
        self.suspects: deque[Task] = deque()
        """Tracks during which a worker died: each is tried once more, last and alone, so that it costs nothing else."""
        self.deaths: Counter[str] = Counter()
        self.failed_starts = 0
        self.broken: str | None = None
        self.workers: list[Worker] = []
        self.handed_over: list[str] = []
        self._lanes = 0

    def start(self, count: int) -> None:
        for _ in range(count):
            self._start_one()

    def _start_one(self) -> None:
        self.workers.append(Worker(self.setup, str(self._lanes)))
        self._lanes += 1

    def hand_out(self) -> bool:
        """Give every idle worker something to do; False when all is done and safe."""
        for worker in self.workers:
            if worker.busy:
                continue
            if self.queue:
                worker.ask(self.queue.popleft())
            elif worker.unsafe:
                worker.ask(CLOSE)
            elif self.suspects:
                worker.ask(self.suspects.popleft())
        return any(worker.busy for worker in self.workers)

    def listen(self, timeout: float) -> Iterator[Event]:
        """Events of all workers that have something to say, or have died, within ``timeout`` seconds."""
        by_connection: dict[Any, Worker] = {worker.connection: worker for worker in self.workers}
        for connection in wait(list(by_connection), timeout):
            yield from self._hear(by_connection[connection])
        for worker in [worker for worker in self.workers if self._stalled(worker)]:
            yield from self._bury(worker, f"said nothing for {time.monotonic() - worker.heard:.0f} s", "stalled")

    def _hear(self, worker: Worker) -> Iterator[Event]:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._bury(worker, worker.how_it_died, "crashed")
            return
        worker.heard = time.monotonic()
        match message:
            case Progressed(seconds):
                self.watch.progressed(seconds)
                return
            case Broken(reason):
                self.broken = reason
                worker.busy = False
                return
            case Ready():
                self.failed_starts = 0
                worker.loaded = True
            case TrackScan():
                if message.task.store:
                    worker.unsafe.append(message.task)
                yield message
            case Failed():
                yield message
            case Lost(failed, tasks):
                worker.unsafe.clear()
                self.queue.extend(tasks)
                yield failed
            case Batch(tracks, shards):
                safe = {track.task.file.name for track in tracks}
                worker.unsafe = [task for task in worker.unsafe if task.file.name not in safe]
                self.handed_over += [shard.path.name for shard in shards]
                yield message
                if worker.task is not None:
                    return  # it closed its batch by itself, and is at the next track
        worker.task = None
        worker.busy = False

    def _stalled(self, worker: Worker) -> bool:
        patience = self.stall_seconds if worker.loaded else START_SECONDS
        if worker.task is not None:
            patience += worker.task.file.size / SLOWEST_BYTES_PER_SECOND
        return worker.busy and time.monotonic() - worker.heard > patience

    def _bury(self, worker: Worker, how: str, kind: str) -> Iterator[Event]:
        """A worker is dead or hangs: take back its unsafe tracks, blame the one at hand, start another worker."""
        worker.kill()
        self.workers.remove(worker)
        self.queue.extend(worker.unsafe)
        if not worker.loaded:
            self.failed_starts += 1
            if self.failed_starts >= MOST_FAILED_STARTS:
                self.broken = f"workers end while they load ({how}): is there memory for them? Try fewer --workers"
                return
        if (task := worker.task) is not None:
            self.deaths[task.file.name] += 1
            if self.deaths[task.file.name] < 2:
                self.suspects.append(task)
            else:
                yield Failed(task, kind, f"the process that scanned it {how}, twice: the file was given up")
        if self.queue or self.suspects:
            self._start_one()

    def wind_down(self) -> Iterator[Event]:
        """Have every worker close its batch and leave; yields the batches."""
        for worker in self.workers:
            worker.ask(STOP)
        while self.workers:
            for worker in [worker for worker in self.workers if self._stalled(worker)]:
                self._leave(worker)
            by_connection: dict[Any, Worker] = {worker.connection: worker for worker in self.workers}
            for connection in wait(list(by_connection), 1.0):
                worker = by_connection[connection]
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    self._leave(worker)
                    continue
                if isinstance(message, Batch):
                    self.handed_over += [shard.path.name for shard in message.shards]
                    yield message
                elif isinstance(message, Failed | TrackScan):
                    yield message

    def _leave(self, worker: Worker) -> None:
        worker.kill()
        self.workers.remove(worker)

    def kill(self) -> None:
        """End all workers now, and remove what is not safe."""
        for worker in self.workers:
            worker.kill()
        remove_unsafe_shards(self.setup, self.handed_over)


def remove_unsafe_shards(setup: MinerSetup, handed_over: Sequence[str]) -> None:
    """Remove what dead miners of this run left: temporary files, and shards finished without being able to say so."""
    folder = setup.out / "shards"
    known = set(handed_over)
    for path in [*folder.glob(f"*-{setup.run}-*.h5"), *folder.glob(f".*-{setup.run}-*.tmp-*")]:
        if path.name not in known:
            with contextlib.suppress(OSError):
                path.unlink()
