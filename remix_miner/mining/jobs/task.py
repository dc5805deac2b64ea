"""Task of a job: one file is scanned, or decoded where its spans are known; and why it fails."""

import functools
import os
from typing import Protocol

from remix_miner.audio import display_name
from remix_miner.datasets.library import LibraryFile, content_hash
from remix_miner.detector.loading import load_detector
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.device import Precision, Sampling
from remix_miner.errors import AudioError, DataError
from remix_miner.mined.probability_codes import encode
from remix_miner.mining.messages import Failed, JobSetup, KnownSpans, Task, TrackScan
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


def check_unchanged(file: LibraryFile) -> None:
    """Raise `ChangedError` when a file has another size or modification time than when it was listed."""
    status = os.stat(file.path)
    if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
        raise ChangedError(f"{display_name(file.path)} changed while the library was scanned")


def model_of(setup: JobSetup) -> SilentSourceDetector:
    """Return the detector of a scan, which is loaded once per process; `DataError` if it is not the announced one."""
    settings = setup.settings
    return _model(setup.detector, setup.detector_sha256, setup.device, settings.precision, settings.sampling)


@functools.lru_cache(maxsize=1)
def _model(detector: str, sha256: str, device: str, precision: Precision, sampling: Sampling) -> SilentSourceDetector:
    loaded = load_detector(detector, device, precision, sampling)
    if loaded.sha256 != sha256:
        raise DataError(f"detector {detector!r} was replaced while it was in use; run the command again")
    return loaded.model


def scan_task(
    setup: JobSetup, task: Task, model: SilentSourceDetector | None, report: Report
) -> tuple[ScannedAudio, TrackScan]:
    """Scan a file, or decode it where its spans are known. Raises `Stopped` when ``report`` requests a stop."""

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
        task, known.sha256, seconds, known.sample_rate, scanned.channels, known.note, found, known.frames
    )


def failure(task: Task, error: Exception) -> Failed:
    """Return the task as failed, by kind: file changed, unreadable, undecodable, or another error."""
    if isinstance(error, ChangedError):
        return Failed(task, "changed", str(error))
    if isinstance(error, OSError) or isinstance(error.__cause__, OSError) or not os.access(task.file.path, os.R_OK):
        return Failed(task, "unreadable", str(error))
    if isinstance(error, AudioError):
        return Failed(task, "undecodable", str(error))
    return Failed(task, "error", f"{type(error).__name__}: {error}")
