"""Queue of a scan's jobs: their lengths, their progress, and the tasks of lost jobs."""

import math
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from remix_miner.errors import DataError, RemixMinerError
from remix_miner.mining.messages import Failed, Task
from remix_miner.processes.workers import WorkerLost

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


@dataclass
class Job:
    """Tasks that are scanned together."""

    tasks: list[Task]
    seen: Counts = Counts()
    progressed_at: float = field(default_factory=time.monotonic)
    """When its lane last made progress."""
    stalled: bool = False

    def longest_pause_seconds(self) -> float:
        """Return the seconds without progress after which the job counts as hanging."""
        if self.seen.place < 0:
            return START_SECONDS if self.seen.place == LOADING else math.inf
        return STALL_SECONDS + self.task_at_hand.file.size / SLOWEST_BYTES_PER_SECOND

    @property
    def task_at_hand(self) -> Task:
        """The task at hand; the last one while shards are closed."""
        return self.tasks[min(max(self.seen.place, 0), len(self.tasks) - 1)]


class JobQueue:
    """Queue of tasks, longest first; tasks during which a job was lost come last, each in a job of its own."""

    def __init__(self, tasks: Sequence[Task], lanes: int) -> None:
        self.waiting = deque(tasks)
        self.alone: deque[Task] = deque()
        self.lost: Counter[str] = Counter()
        self.failed_starts = 0
        self.broken: Exception | None = None
        """Why no job can succeed."""
        self._lanes = lanes
        self._first_jobs = lanes
        self._seconds = sum(task.seconds for task in tasks)
        self._shortest = min(SHORTEST_JOB_SECONDS, self._seconds / (2 * lanes))

    def next(self) -> Job | None:
        """Take the next job: a share of the queue, or one task alone."""
        if not self.waiting:
            return Job([self.alone.popleft()]) if self.alone else None
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

    def take_back(self, job: Job, error: Exception) -> Failed | None:
        """Put the tasks of a lost job back; return the track at hand as failed, if it is the second time."""
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
        lost_task = job.task_at_hand
        self.give_back([task for task in job.tasks if task is not lost_task])
        self.lost[lost_task.file.name] += 1
        if self.lost[lost_task.file.name] < 2:
            self.alone.append(lost_task)
            return None
        how = "made no progress" if job.stalled else str(error)
        return Failed(lost_task, "stalled" if job.stalled else "crashed", f"the process that scanned it {how}, twice")
