"""Jobs of a scan: grouping of tracks, retries after a lost job, and the end of a scan."""

import contextlib
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from remix_miner.errors import DataError, RemixMinerError
from remix_miner.mining.messages import Batch, Failed, JobSetup, Task
from remix_miner.processes import WorkerLost

STALL_SECONDS = 300.0
SLOWEST_BYTES_PER_SECOND = 2e6
"""A job without progress for so long, and as long as its track takes at this pace, hangs: it reports every block."""

START_SECONDS = 900.0
"""The same for a job whose process still loads: many at once, from a network disk, take their time."""

MOST_FAILED_STARTS = 3
LONGEST_JOB_SECONDS = 36_000.0
SHORTEST_JOB_SECONDS = 600.0
"""Estimated audio of a job: more than one batch may hold. Towards the end jobs become shorter, so that all workers
end at about the same time."""

FIRST_JOB_SECONDS = 300.0
"""Estimated audio of each lane's first job: so the first excerpts are recorded within seconds."""

LOADING, WAITING = -1, -2
"""Places of a job whose process still loads the detector, and of one that has no process yet."""


@dataclass(frozen=True)
class Counts:
    """Progress of one lane: audio, tracks and excerpts since the start, and the index of the current task."""

    seconds: float = 0.0
    tracks: int = 0
    excerpts: int = 0
    place: int = LOADING


@dataclass(frozen=True)
class Watch:
    """Callbacks of a scan: ``progressed`` receives the totals, ``stopping`` returns whether a stop is requested."""

    progressed: Callable[[Counts], None] = lambda counts: None
    stopping: Callable[[], bool] = lambda: False


class Lanes(Protocol):
    """Executor of jobs, one per lane at a time: this process, local processes, or a Ray cluster."""

    count: int

    def submit(self, lane: int, tasks: Sequence[Task], name: str) -> None:
        """Start `mine_batch` in an idle lane."""

    def finished(self, timeout: float) -> list[tuple[int, Batch | Exception]]:
        """Lanes whose job ended within ``timeout`` seconds, with its batch or error (`WorkerLost` for a crash)."""
        ...

    def counts(self) -> list[Counts]:
        """Return the progress of every lane."""
        ...

    def stop(self) -> None:
        """Request that all jobs abandon the current track and close their complete tracks."""

    def kill(self, lane: int) -> None:
        """End the process of a lane. `finished` then returns `WorkerLost`, if the job had not ended."""

    def close(self) -> None:
        """End all processes at once."""


@dataclass
class Job:
    """Tasks that are scanned together."""

    tasks: list[Task]
    seen: Counts = Counts()
    heard: float = field(default_factory=time.monotonic)
    """When its lane last made progress."""
    stalled: bool = False

    def patience(self) -> float:
        """Seconds without progress after which it hangs."""
        if self.seen.place < 0:
            return START_SECONDS if self.seen.place == LOADING else math.inf
        return STALL_SECONDS + self.suspect.file.size / SLOWEST_BYTES_PER_SECOND

    @property
    def suspect(self) -> Task:
        """The task at hand; the last one while shards are closed."""
        return self.tasks[min(max(self.seen.place, 0), len(self.tasks) - 1)]


def run_jobs(setup: JobSetup, lanes: Lanes, tasks: Sequence[Task], watch: Watch) -> Generator[Batch, None, None]:
    """Scan ``tasks`` in ``lanes`` and yield batches whose shards are safe.

    If the process of a job crashes or hangs, only this job is lost. Its tracks are scanned again, the current one last
    and alone; it fails if this job is lost, too. Raises `DataError` if no job can succeed (a full disk, a detector that
    does not load), after the other jobs have closed their complete tracks.
    """
    queue = JobQueue(tasks, lanes.count)
    running: dict[int, Job] = {}
    recorded: list[str] = []
    number = 0
    try:
        while True:
            stopping = queue.broken is not None or watch.stopping()
            if stopping:
                lanes.stop()
            for lane in range(lanes.count):
                if lane not in running and not stopping and (job := queue.next()) is not None:
                    running[lane] = job
                    lanes.submit(lane, job.tasks, f"{number:04d}")
                    number += 1
            if not running:
                break
            for lane, result in lanes.finished(timeout=0.5):
                if lane not in running:
                    continue  # an idle worker ended
                job = running.pop(lane)
                job.seen = lanes.counts()[lane]
                if isinstance(result, Batch):
                    queue.give_back(result.left)
                    recorded += [shard.path.name for shard in result.shards]
                    yield result
                elif (failed := queue.blame(job, result)) is not None:
                    yield Batch(failed=[failed])
            counts_now = lanes.counts()
            watch.progressed(_total(counts_now))
            for lane, job in running.items():
                if job.seen != counts_now[lane]:
                    job.seen, job.heard = counts_now[lane], time.monotonic()
                elif not job.stalled and time.monotonic() - job.heard > job.patience():
                    job.stalled = True
                    lanes.kill(lane)
        if queue.broken is not None:
            raise queue.broken
    finally:
        lanes.close()
        remove_unsafe_shards(setup, recorded)


class JobQueue:
    """Queue of tasks, longest first; tasks during which a job was lost come last, each in a job of its own."""

    def __init__(self, tasks: Sequence[Task], lanes: int) -> None:
        self.waiting = deque(tasks)
        self.suspects: deque[Task] = deque()
        self.lost: Counter[str] = Counter()
        self.failed_starts = 0
        self.broken: Exception | None = None
        """Why no job can succeed."""
        self._lanes = lanes
        self._first_jobs = lanes
        self._seconds = sum(task.seconds for task in tasks)
        self._shortest = min(SHORTEST_JOB_SECONDS, self._seconds / (2 * lanes))

    def next(self) -> Job | None:
        """Take the next job: a share of the queue, or one suspected task."""
        if not self.waiting:
            return Job([self.suspects.popleft()]) if self.suspects else None
        wanted = min(max(self._seconds / (2 * self._lanes), self._shortest), LONGEST_JOB_SECONDS)
        skipped = 0
        if self._first_jobs:
            self._first_jobs -= 1
            wanted = min(wanted, FIRST_JOB_SECONDS)
            # Tasks that are too long for a first job stay at the front of the queue.
            fitting = (place for place, task in enumerate(self.waiting) if task.seconds <= wanted)
            skipped = next(fitting, 0)
            self.waiting.rotate(-skipped)
        tasks = [self.waiting.popleft()]
        taken = tasks[0].seconds
        while len(self.waiting) > skipped and taken + self.waiting[0].seconds <= wanted:
            taken += self.waiting[0].seconds
            tasks.append(self.waiting.popleft())
        self.waiting.rotate(skipped)
        self._seconds -= taken
        return Job(tasks)

    def give_back(self, tasks: Sequence[Task]) -> None:
        """Put tasks back that a job did not do."""
        self.failed_starts = 0
        self.waiting.extendleft(reversed(tasks))
        self._seconds += sum(task.seconds for task in tasks)

    def blame(self, job: Job, error: Exception) -> Failed | None:
        """Take back the tasks of a lost job; return the track that is given up, if it is the second time."""
        if not isinstance(error, WorkerLost):
            if not isinstance(error, RemixMinerError | OSError):
                raise error
            self.broken = error if isinstance(error, RemixMinerError) else DataError(str(error))
            return None
        if job.seen.place < 0:
            failed_starts = self.failed_starts + 1
            self.give_back(job.tasks)
            self.failed_starts = failed_starts
            if failed_starts >= MOST_FAILED_STARTS:
                self.broken = DataError(
                    f"workers end while they load ({error}): is there memory for them? Try fewer --workers"
                )
            return None
        suspect = job.suspect
        self.give_back([task for task in job.tasks if task is not suspect])
        self.lost[suspect.file.name] += 1
        if self.lost[suspect.file.name] < 2:
            self.suspects.append(suspect)
            return None
        how = "made no progress" if job.stalled else str(error)
        return Failed(suspect, "stalled" if job.stalled else "crashed", f"the process that scanned it {how}, twice")


def remove_unsafe_shards(setup: JobSetup, recorded: Sequence[str]) -> None:
    """Remove the leftovers of this run's lost jobs: temporary files, and shards that no batch reported."""
    folder = setup.out / "shards"
    for path in [*folder.glob(f"*-{setup.run}-*.h5"), *folder.glob(f".*-{setup.run}-*.tmp-*")]:
        if path.name not in recorded:
            with contextlib.suppress(OSError):
                path.unlink()


def _total(counts: Sequence[Counts]) -> Counts:
    return Counts(
        sum(lane.seconds for lane in counts),
        sum(lane.tracks for lane in counts),
        sum(lane.excerpts for lane in counts),
    )
