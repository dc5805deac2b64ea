"""The Ray engine: the same miners as actors of a cluster, for more than one machine. Needs the extra ``ray``.

Every machine must see the library and the mined folder under the same paths, and have remix-miner installed. Ray
restarts actors that die and repeats their calls once; what an actor had scanned and not yet closed is noticed by its
new life and scanned again. A file whose call fails even so is tried once more, alone, before it is given up.
"""

import contextlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from remix_miner.errors import DataError, RemixMinerError, UsageError
from remix_miner.mining.engines.local import STALL_SECONDS, Watch, remove_unsafe_shards
from remix_miner.mining.engines.worker import Lost
from remix_miner.mining.messages import Batch, Event, Failed, MinerSetup, Task, TrackScan
from remix_miner.processes import worker_variables

IN_FLIGHT = 2
"""Calls at a time per actor: one that runs and one that waits, so that no actor is idle."""

BESIDE = "beside"
"""The group of calls that an actor answers while it scans."""

SLOWEST_SPEED = 1.0
"""Times real time; an actor that takes longer hangs."""


@dataclass(frozen=True)
class Reply:
    """What a call gave, and which life of the actor gave it."""

    life: str
    events: list[Event | Lost]


class MinerActor:
    """A miner behind Ray's calls. Each restart is another life, with shards of its own."""

    def __init__(self, setup: MinerSetup, lane: int) -> None:
        import torch

        from remix_miner.mining.miner import Miner

        torch.set_num_threads(1)
        self.life = f"{lane}x{secrets.token_hex(3)}"
        self.miner = Miner(setup, self.life)
        self.stopping = threading.Event()

    def ready(self) -> Reply:
        return Reply(self.life, [])

    def stop(self) -> None:
        """Leave the track at hand unfinished, and do not begin those that wait. Called beside a scan that runs."""
        self.stopping.set()

    def scan(self, task: Task) -> Reply:
        """One track, and the batch if it is due; nothing of a track that a stop left unfinished."""
        from remix_miner.mining.miner import BatchSpoiled, Stopped

        def on_block(seconds: float) -> None:
            if self.stopping.is_set():
                raise Stopped

        events: list[Event | Lost] = []
        try:
            on_block(0.0)
            events.append(self.miner.scan(task, on_block))
        except Stopped:
            return Reply(self.life, [])
        except BatchSpoiled as spoiled:
            events.append(Lost(spoiled.failed, spoiled.lost))
        if self.miner.due:
            events.append(self.miner.close())
        return Reply(self.life, events)

    def close(self) -> Reply:
        return Reply(self.life, [self.miner.close()])


@dataclass
class _Lane:
    """An actor as its caller knows it."""

    actor: Any
    life: str = ""
    unsafe: dict[str, Task] = field(default_factory=dict)
    calls: dict[Any, Task | None] = field(default_factory=dict)
    """Answers that are awaited, and the track that each is about (None: closing)."""
    heard: float = field(default_factory=time.monotonic)
    hung: bool = False
    told_to_stop: bool = False


def scan_with_ray(
    setup: MinerSetup,
    tasks: Sequence[Task],
    watch: Watch,
    workers: int | None = None,
    address: str | None = None,
    gpus_per_worker: float | None = None,
) -> Generator[Event, None, None]:
    """In actors of a Ray cluster at ``address``, or of a local one that is started and ended here.

    ``workers``: number of actors (None: one per CPU of the cluster). ``gpus_per_worker``: share of a GPU per actor;
    1 if left out and the device is cuda, else 0. Raises `DataError` when no actor can go on.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("--engine ray needs the optional extra: pip install 'remix-miner[ray]'") from error
    ours = not ray.is_initialized()
    if ours:
        local = {} if address else {"num_cpus": workers, "include_dashboard": False}
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise DataError(f"no Ray cluster at {address or 'this machine'}: {error}") from error
    gpus = gpus_per_worker if gpus_per_worker is not None else float(setup.device.startswith("cuda"))
    count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    scan = _RayScan(setup, tasks, watch)
    try:
        scan.start(min(count, len(tasks)), gpus)
        yield from scan.run()
    finally:
        for lane in scan.lanes:
            with contextlib.suppress(Exception):
                ray.kill(lane.actor)
        if ours:
            ray.shutdown()
        remove_unsafe_shards(setup, scan.handed_over)


class _RayScan:
    """The actors of one scan, the tracks that wait, and what to do when calls fail."""

    def __init__(self, setup: MinerSetup, tasks: Sequence[Task], watch: Watch) -> None:
        self.setup = setup
        self.watch = watch
        self.queue = deque(tasks)
        self.suspects: deque[Task] = deque()
        self.suspected: set[str] = set()
        self.lanes: list[_Lane] = []
        self.handed_over: list[str] = []

    def start(self, count: int, gpus: float) -> None:
        """Start the actors and wait until they have loaded the detector."""
        import ray

        kind = ray.remote(concurrency_groups={BESIDE: 1})(MinerActor).options(
            num_cpus=1,
            num_gpus=gpus,
            max_restarts=-1,
            max_task_retries=1,
            runtime_env={"env_vars": worker_variables()},
        )
        self.lanes = [_Lane(kind.remote(self.setup, number)) for number in range(count)]
        for lane in self.lanes:
            try:
                lane.life = ray.get(lane.actor.ready.remote()).life
            except ray.exceptions.RayError as error:
                raise DataError(f"a Ray actor does not start: {_cause(error)}") from error

    def run(self) -> Iterator[Event]:
        """Call and wait until all is done, or, when asked to stop, until what is finished is closed."""
        import ray

        while self._call():
            waiting = {ref: lane for lane in self.lanes for ref in lane.calls}
            done, _ = ray.wait(list(waiting), num_returns=1, timeout=1.0)
            for ref in done:
                yield from self._hear(waiting[ref], ref)
            for lane in self.lanes:
                if lane.calls and not lane.hung and time.monotonic() - lane.heard > _patience(lane):
                    lane.hung = True
                    ray.kill(lane.actor, no_restart=False)

    def _call(self) -> bool:
        """Give actors something to do; False when all is done and safe."""
        for lane in self.lanes:
            stopping = self.watch.stopping()
            if stopping and not lane.told_to_stop:
                lane.told_to_stop = True
                lane.actor.stop.options(concurrency_group=BESIDE).remote()
            while self.queue and len(lane.calls) < IN_FLIGHT and not stopping:
                self._ask(lane, self.queue.popleft())
            if lane.calls or (self.queue and not stopping):
                continue
            if lane.unsafe:
                lane.calls[lane.actor.close.remote()] = None
            elif self.suspects and not stopping:
                self._ask(lane, self.suspects.popleft())
        return any(lane.calls for lane in self.lanes)

    def _ask(self, lane: _Lane, task: Task) -> None:
        if not lane.calls:
            lane.heard = time.monotonic()
        lane.calls[lane.actor.scan.remote(task)] = task

    def _hear(self, lane: _Lane, ref: Any) -> Iterator[Event]:
        import ray

        task = lane.calls.pop(ref)
        lane.heard = time.monotonic()
        try:
            reply: Reply = ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            raise DataError(_cause(error)) from error
        except ray.exceptions.RayError as error:
            if task is not None and task.file.name in self.suspected:
                kind = "stalled" if lane.hung else "crashed"
                yield Failed(task, kind, f"the process that scanned it died again and again: {_cause(error)}")
            elif task is not None:
                self.suspected.add(task.file.name)
                self.suspects.append(task)
            lane.hung = False
            return
        if reply.life != lane.life:
            self.queue.extend(lane.unsafe.values())
            lane.unsafe, lane.life = {}, reply.life
        for event in reply.events:
            match event:
                case TrackScan():
                    self.watch.progressed(event.seconds)
                    if event.task.store:
                        lane.unsafe[event.task.file.name] = event.task
                case Lost(failed, lost):
                    self.queue.extend(lost)
                    lane.unsafe.clear()
                    yield failed
                    continue
                case Batch(tracks, shards):
                    self.handed_over += [shard.path.name for shard in shards]
                    for track in tracks:
                        lane.unsafe.pop(track.task.file.name, None)
            yield event


def _patience(lane: _Lane) -> float:
    return STALL_SECONDS + sum(task.seconds for task in lane.calls.values() if task is not None) / SLOWEST_SPEED


def _cause(error: Exception) -> str:
    """The line that says what happened, out of Ray's long accounts."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, RemixMinerError):
        return str(cause)
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return (lines[-1] if isinstance(cause, Exception) else lines[0]).strip() if lines else type(error).__name__
