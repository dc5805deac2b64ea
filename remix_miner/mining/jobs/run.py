"""Jobs of a scan: grouping of tracks, retries after a lost job, and the end of a scan."""

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from remix_miner.mining.jobs.queue import Counts, Job, JobQueue
from remix_miner.mining.messages import Batch, JobSetup, Task


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

    def finished(self, timeout_seconds: float) -> list[tuple[int, Batch | Exception]]:
        """Return lanes whose job ended within ``timeout_seconds``, with its batch or error (a crash: `WorkerLost`)."""
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
            for lane, result in lanes.finished(timeout_seconds=0.5):
                if lane not in running:
                    continue  # an idle worker ended
                job = running.pop(lane)
                job.seen = lanes.counts()[lane]
                if isinstance(result, Batch):
                    queue.give_back(result.left)
                    recorded += [shard.path.name for shard in result.shards]
                    yield result
                elif (failed := queue.take_back(job, result)) is not None:
                    yield Batch(failed=[failed])
            counts_now = lanes.counts()
            watch.progressed(_total(counts_now))
            for lane, job in running.items():
                if job.seen != counts_now[lane]:
                    job.seen, job.progressed_at = counts_now[lane], time.monotonic()
                elif not job.stalled and time.monotonic() - job.progressed_at > job.longest_pause_seconds():
                    job.stalled = True
                    lanes.kill(lane)
        if queue.broken is not None:
            raise queue.broken
    finally:
        lanes.close()
        remove_unsafe_shards(setup, recorded)


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
