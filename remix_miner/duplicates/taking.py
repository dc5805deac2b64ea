"""Fingerprints of many recordings, taken by worker processes.

A decoder may crash or hang on a damaged file: that costs the file its fingerprint, after a second try.
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
from remix_miner.processes import WorkerLost, WorkerProcesses

BLOCK_SECONDS = 10
STALL_SECONDS = 300.0
SLOWEST_BYTES_PER_SECOND = 2e5
"""A recording that takes so long, and longer than this pace allows, is given up."""


def take(recording: Recording) -> Fingerprint:
    """Return the fingerprint of a recording; an empty one where it cannot be decoded, which the scan reports.

    A song to exclude raises instead: leaving it out in silence would be a leak.
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
            for number, answer in pool.finished(timeout=0.5):
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
    """Recordings that wait, and how often each was lost with its process."""

    waiting: deque[Recording]
    lost: Counter[str] = field(default_factory=Counter)

    def lose(self, recording: Recording) -> bool:
        """Put a lost recording back; return whether it is given up, the second time."""
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
    """Return what a worker does with a recording, in its process."""
    return take
