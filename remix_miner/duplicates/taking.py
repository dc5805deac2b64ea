"""Computation of the fingerprints of many recordings in worker processes.

A file on which the decoder crashes or hangs twice gets no fingerprint.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from remix_miner.audio import display_name
from remix_miner.datasets.tracks import Track
from remix_miner.duplicates.fingerprints import fingerprint, fingerprint_file
from remix_miner.duplicates.recordings import NO_FINGERPRINT, Fingerprint, Recording
from remix_miner.errors import DataError, RemixMinerError
from remix_miner.processes.workers import WorkerLost, WorkerProcesses

BLOCK_SECONDS = 10
STALL_SECONDS = 300.0
SLOWEST_BYTES_PER_SECOND = 2e5
"""Time limit of a recording: `STALL_SECONDS`, plus its size at this rate."""


def take(recording: Recording) -> Fingerprint:
    """Return the fingerprint of a recording, or an empty one if it cannot be decoded (the scan reports the file).

    A recording to exclude raises an error instead, since a missing fingerprint would leak it into the training set.
    """
    if isinstance(recording.audio, Track):
        track = recording.audio
        step = BLOCK_SECONDS * track.sample_rate
        blocks = (track.read_mixture(start, min(step, track.frames - start)) for start in range(0, track.frames, step))
        return Fingerprint(fingerprint(blocks, track.sample_rate), track.seconds)
    try:
        return Fingerprint(*fingerprint_file(recording.audio))
    except (RemixMinerError, OSError):
        if recording.excluded:
            raise
        return NO_FINGERPRINT


def fingerprints_of(
    recordings: Sequence[Recording], workers: int, stopping: Callable[[], bool]
) -> Iterator[tuple[Recording, Fingerprint]]:
    """Yield each recording with its fingerprint, in the order in which ``workers`` processes (0: this one) finish.

    Raises `KeyboardInterrupt` when ``stopping`` returns True, and `DataError` for a recording to exclude that crashes
    or hangs.
    """
    if not workers:
        for recording in recordings:
            yield recording, take(recording)
            if stopping():
                raise KeyboardInterrupt
        return
    pool = WorkerProcesses(min(workers, max(len(recordings), 1)), _taker)
    queue = _Queue(deque(recordings))
    running: dict[int, tuple[Recording, float]] = {}
    try:
        while queue.waiting or running:
            for number in range(pool.count):
                if number not in running and queue.waiting:
                    recording = queue.waiting.popleft()
                    running[number] = recording, time.monotonic() + _patience(recording)
                    pool.submit(number, recording)
            for number, answer in pool.finished(timeout_seconds=0.5):
                if number not in running:
                    continue  # an idle worker ended
                recording, _ = running.pop(number)
                if isinstance(answer, WorkerLost):
                    if queue.lose(recording):
                        yield recording, NO_FINGERPRINT
                elif isinstance(answer, Exception):
                    raise answer
                else:
                    yield recording, answer
            if stopping():
                raise KeyboardInterrupt
            for number, (_, deadline) in running.items():
                if time.monotonic() > deadline:
                    pool.kill(number)
    finally:
        pool.close()


@dataclass
class _Queue:
    """Queue of recordings, with the number of times that each was lost with its process."""

    waiting: deque[Recording]
    lost: Counter[str] = field(default_factory=Counter)

    def lose(self, recording: Recording) -> bool:
        """Put a lost recording back into the queue. Return whether it is given up, after its second loss."""
        self.lost[recording.name] += 1
        if self.lost[recording.name] < 2:
            self.waiting.append(recording)
            return False
        if recording.excluded:
            raise DataError(
                f"{display_name(recording.name)} is to be excluded and cannot be decoded (its process ended or hung, "
                "twice); replace the file"
            )
        return True


def _patience(recording: Recording) -> float:
    return STALL_SECONDS + recording.size / SLOWEST_BYTES_PER_SECOND


def _taker(number: int) -> Callable[[Recording], Fingerprint]:
    """Return the function that a worker applies to each recording."""
    return take
