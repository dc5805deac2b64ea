"""One who mines: scans tracks one after the other and keeps their excerpts in a batch of open shards, one a source.

A batch is all or nothing. Its shards become visible together with the list of the tracks that are complete in them,
so whoever dies in between costs the tracks of one batch, which are scanned again.
"""

import dataclasses
import os
import time
from collections.abc import Callable

from remix_miner.audio import display_name
from remix_miner.datasets.library import content_hash
from remix_miner.detector.loading import load_detector
from remix_miner.errors import AudioError, DataError
from remix_miner.mined.writer import ShardWriter
from remix_miner.mining.messages import Batch, Failed, Found, MinerSetup, Task, TrackScan
from remix_miner.mining.scan import ScannedAudio, cut, excerpt_audio, scan_audio

GPU_PUSH_SECONDS = 120.0
"""What a GPU gets at a time; a CPU works best on single blocks, which fit its cache."""


class Stopped(Exception):
    """Raised by ``on_block`` to leave a track unfinished."""


class BatchSpoiled(Exception):
    """A track failed after some of its excerpts were written: the batch is given up, its tracks are scanned again."""

    def __init__(self, failed: Failed, lost: list[Task]) -> None:
        super().__init__(failed.reason)
        self.failed = failed
        self.lost = lost


class ChangedError(AudioError):
    """A file is no longer the one that was listed."""


class Miner:
    """Holds the detector and the open batch. ``lane`` is unique among those who write for the same run.

    Raises `DataError` when shards cannot be written (a full disk) or the detector is not the one that was announced.
    """

    def __init__(self, setup: MinerSetup, lane: str) -> None:
        self.setup = setup
        self.lane = lane
        detector = load_detector(setup.detector, setup.device, setup.settings.precision, setup.settings.sampling)
        if detector.sha256 != setup.detector_sha256:
            raise DataError(f"detector {setup.detector!r} was replaced while it was in use; run the command again")
        self.model = detector.model
        self._tracks: list[TrackScan] = []
        self._writers: dict[str, ShardWriter] = {}
        self._batches = 0
        self._begun = 0.0

    def scan(self, task: Task, on_block: Callable[[float], None] = lambda seconds: None) -> TrackScan | Failed:
        """Scan a track and add its excerpts to the batch. What is wrong with a file is an answer, not an exception."""
        try:
            self._check_unchanged(task)
            scanned = (self.setup.scan or scan_audio)(
                task.file.path,
                self.model,
                self.setup.settings,
                held_bytes=self.setup.held_bytes,
                push_seconds=GPU_PUSH_SECONDS if self.setup.device.startswith("cuda") else 0.0,
                on_block=on_block,
            )
            digest = content_hash(task.file.path)
            self._check_unchanged(task)
        except Stopped:
            raise
        except ChangedError as error:
            return Failed(task, "changed", str(error))
        except Exception as error:
            return _failed(task, error)
        track = TrackScan(
            task=task,
            sha256=digest,
            seconds=scanned.seconds,
            sample_rate=scanned.sample_rate,
            channels=scanned.channels,
            note=scanned.note,
            found=[self._with_expectation(one) for one in scanned.found],
        )
        if not task.store:
            return track
        if not self._tracks:
            self._begun = time.monotonic()
        try:
            self._append(track, scanned)
            self._check_unchanged(task)
        except (AudioError, OSError) as error:
            raise BatchSpoiled(Failed(task, "changed", str(error)), self.abandon()) from error
        self._tracks.append(track)
        return track

    @property
    def due(self) -> bool:
        """Whether the batch is large or old enough to be closed."""
        excerpts = max((writer.excerpts for writer in self._writers.values()), default=0)
        size = max((2 * writer.frames * writer.channels for writer in self._writers.values()), default=0)
        age = time.monotonic() - self._begun
        return bool(self._tracks) and (
            excerpts >= self.setup.batch_excerpts or size >= self.setup.batch_bytes or age >= self.setup.batch_seconds
        )

    def close(self) -> Batch:
        """Finish the batch: its shards are on the disk under their names when this returns."""
        closed = [writer.close() for writer in self._writers.values()]
        batch = Batch(self._tracks, [shard for shard in closed if shard is not None])
        self._forget()
        return batch

    def abandon(self) -> list[Task]:
        """Give up the batch; returns the tasks whose results are lost with it."""
        lost = [track.task for track in self._tracks]
        for writer in self._writers.values():
            writer.abandon()
        self._forget()
        return lost

    def _forget(self) -> None:
        self._tracks = []
        self._writers = {}
        self._batches += 1

    def _append(self, track: TrackScan, scanned: ScannedAudio) -> None:
        for one, audio in cut(scanned.held.blocks(), track.found):
            self._writer(one.source).append(
                excerpt_audio(audio, scanned.sample_rate, self.setup.settings),
                track=track.task.file.name,
                track_sha256=track.sha256,
                start_seconds=one.start_frame / scanned.sample_rate,
                probability_mean=one.probability_mean,
                probability_min=one.probability_min,
                expected_volume_db=one.expected_volume_db,
            )

    def _writer(self, source: str) -> ShardWriter:
        if source not in self._writers:
            settings = self.setup.settings
            self._writers[source] = ShardWriter(
                self.setup.out,
                source,
                sample_rate=settings.sample_rate,
                channels=settings.channels,
                detector_sha256=self.setup.detector_sha256,
                threshold=settings.thresholds[source],
                settings=self.setup.recorded_settings,
                shard_id=f"{self.setup.run}-{self.lane}-{self._batches:04d}",
            )
        return self._writers[source]

    @staticmethod
    def _check_unchanged(task: Task) -> None:
        status = os.stat(task.file.path)
        if (status.st_size, status.st_mtime_ns) != (task.file.size, task.file.mtime_ns):
            raise ChangedError(f"{display_name(task.file.path)} changed while the library was scanned")

    def _with_expectation(self, one: Found) -> Found:
        if self.setup.calibration is None:
            return one
        expected = self.setup.calibration.expected_volume_db(one.source, one.probability_mean)
        return dataclasses.replace(one, expected_volume_db=float(expected))


def _failed(task: Task, error: Exception) -> Failed:
    """Whether it is the file's content, or the file could not be reached, or something else."""
    if isinstance(error, OSError) or isinstance(error.__cause__, OSError) or not os.access(task.file.path, os.R_OK):
        return Failed(task, "unreadable", str(error))
    if isinstance(error, AudioError):
        return Failed(task, "undecodable", str(error))
    return Failed(task, "error", f"{type(error).__name__}: {error}")
