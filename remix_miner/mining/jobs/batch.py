"""Batch: one job of a scan. Its tracks are scanned in order, and its shards with their excerpts close together.

The shards appear together with the list of tracks that are complete in them. If the process ends before that, only the
tracks of this batch are scanned again.
"""

import functools
import os
from collections.abc import Sequence
from typing import Protocol

from remix_miner.audio import display_name
from remix_miner.datasets.library import LibraryFile, content_hash
from remix_miner.detector.loading import load_detector
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.device import Precision, Sampling
from remix_miner.errors import AudioError, DataError
from remix_miner.mined.probability_codes import encode
from remix_miner.mining.jobs.open_shards import OpenShards
from remix_miner.mining.messages import (
    Batch,
    Excluded,
    Failed,
    JobSetup,
    KnownSpans,
    Task,
    TrackScan,
)
from remix_miner.mining.promises import seconds_at_purities
from remix_miner.mining.track.scan import ScannedAudio, known_audio, scan_audio

GPU_PUSH_SECONDS = 120.0
"""What a GPU gets at a time. A CPU works best on single blocks, which fit its cache."""


class Report(Protocol):
    """Receives the progress of a job and returns whether to stop.

    ``seconds``, ``tracks``, ``excerpts``: scanned since the last call. ``place``: index of the current task, if new.
    """

    def __call__(
        self, *, seconds: float = 0.0, tracks: int = 0, excerpts: int = 0, place: int | None = None
    ) -> bool: ...


def no_report(**progress: object) -> bool:
    """Ignore progress and never stop."""
    return False


class Stopped(Exception):
    """A stop was requested: the current track stays unfinished."""


class ChangedError(AudioError):
    """A file has changed since it was listed."""


def mine_batch(setup: JobSetup, tasks: Sequence[Task], name: str, report: Report = no_report) -> Batch:
    """Scan ``tasks`` in order into shards of their own and close them. ``name`` is unique among the run's jobs.

    A file that cannot be scanned is in `Batch.failed`, one that holds an excluded recording in `Batch.excluded`. The
    job ends early when its shards are full or ``report`` requests a stop: `Batch.left` holds the remaining tasks. If a
    track fails after some of its excerpts were written, the batch is discarded: its other tracks are in `Batch.left`,
    too.
    Raises `DataError` when shards cannot be written (a full disk) or the detector is not the announced one.
    """
    settings = setup.settings
    model = None
    if any(task.known is None for task in tasks):
        model = _model(setup.detector, setup.detector_sha256, setup.device, settings.precision, settings.sampling)
    batch = Batch()
    shards = OpenShards(setup, name)
    try:
        for place, task in enumerate(tasks):
            if report(place=place) or (place and shards.full):
                batch.left = list(tasks[place:])
                break
            try:
                scanned, track = _scan(setup, task, model, report)
            except Stopped:
                batch.left = list(tasks[place:])
                break
            except Exception as error:
                batch.failed.append(_failure(task, error))
                report(tracks=1)
                continue
            if (excluded := _excluded(setup, track)) is not None:
                batch.excluded.append(excluded)
                report(tracks=1)
                continue
            try:
                if task.store and not settings.labels_only:
                    shards.append(scanned, track)
                    check_unchanged(task.file)
            except (AudioError, OSError) as error:
                batch.failed.append(Failed(task, "changed", str(error)))
                batch.left = [scan.task for scan in batch.tracks] + list(tasks[place + 1 :])
                batch.tracks = []
                return batch
            batch.tracks.append(track)
            report(tracks=1, excerpts=len(track.found))
        batch.shards = shards.close()
    finally:
        shards.abandon()
    return batch


def _excluded(setup: JobSetup, track: TrackScan) -> Excluded | None:
    """Return why a track is left out, if it holds an excluded recording."""
    if setup.excluded is None or track.fingerprint is None:
        return None
    reason = setup.excluded.reason(track.fingerprint)
    return None if reason is None else Excluded(track.task, track.fingerprint, reason)


def check_unchanged(file: LibraryFile) -> None:
    """Raise `ChangedError` when a file has another size or modification time than when it was listed."""
    status = os.stat(file.path)
    if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
        raise ChangedError(f"{display_name(file.path)} changed while the library was scanned")


@functools.lru_cache(maxsize=1)
def _model(detector: str, sha256: str, device: str, precision: Precision, sampling: Sampling) -> SilentSourceDetector:
    """Return the detector, which is loaded once per process."""
    loaded = load_detector(detector, device, precision, sampling)
    if loaded.sha256 != sha256:
        raise DataError(f"detector {detector!r} was replaced while it was in use; run the command again")
    return loaded.model


def _scan(
    setup: JobSetup, task: Task, model: SilentSourceDetector | None, report: Report
) -> tuple[ScannedAudio, TrackScan]:
    def on_block(seconds: float) -> None:
        if report(seconds=seconds):
            raise Stopped

    check_unchanged(task.file)
    if task.known is not None:
        return _cut_again(setup, task, task.known, report)
    assert model is not None
    scanned = scan_audio(
        task.file.path,
        model,
        setup.settings,
        held_bytes=setup.limits.held_bytes,
        push_seconds=GPU_PUSH_SECONDS if setup.device.startswith("cuda") else 0.0,
        with_fingerprint=setup.fingerprints and task.store,
        on_block=on_block,
    )
    digest = content_hash(task.file.path)
    check_unchanged(task.file)
    track = TrackScan(
        task=task,
        sha256=digest,
        seconds=scanned.seconds,
        sample_rate=scanned.sample_rate,
        channels=scanned.channels,
        note=scanned.note,
        found=[span.with_expected_volume(setup.calibration) for span in scanned.found],
        frames=scanned.frames,
        codes=encode(scanned.probabilities, scanned.valid),
        at_purity=seconds_at_purities(
            scanned.probabilities, scanned.valid, scanned.seconds, setup.settings, setup.calibration
        ),
        fingerprint=scanned.fingerprint,
    )
    return scanned, track


def _cut_again(setup: JobSetup, task: Task, known: KnownSpans, report: Report) -> tuple[ScannedAudio, TrackScan]:
    """Decode a file whose spans are known."""
    if report(seconds=known.frames / known.sample_rate):
        raise Stopped
    scanned = known_audio(task.file.path, known, setup.settings)
    if content_hash(task.file.path) != known.sha256:
        raise ChangedError(f"{display_name(task.file.path)} is not the file that was scanned; run detect again")
    seconds, found = (
        known.frames / known.sample_rate,
        [span.with_expected_volume(setup.calibration) for span in known.found],
    )
    return scanned, TrackScan(
        task, known.sha256, seconds, known.sample_rate, scanned.channels, None, found, known.frames
    )


def _failure(task: Task, error: Exception) -> Failed:
    """Return the task as failed, by kind: file changed, unreadable, undecodable, or another error."""
    if isinstance(error, ChangedError):
        return Failed(task, "changed", str(error))
    if isinstance(error, OSError) or isinstance(error.__cause__, OSError) or not os.access(task.file.path, os.R_OK):
        return Failed(task, "unreadable", str(error))
    if isinstance(error, AudioError):
        return Failed(task, "undecodable", str(error))
    return Failed(task, "error", f"{type(error).__name__}: {error}")
