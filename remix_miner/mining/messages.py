"""Values that pass between a scan and its workers: tasks, findings and batches. All of them pickle."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remix_miner.datasets.library import LibraryFile
from remix_miner.detector.calibration import Calibration
from remix_miner.duplicates.excluded import ExcludedRecordings
from remix_miner.duplicates.recordings import Fingerprint
from remix_miner.mined.probability_codes import Codes
from remix_miner.mined.shards.files import ClosedShard
from remix_miner.mining.settings import BatchLimits, ScanSettings


@dataclass(frozen=True)
class Found:
    """A span of a track in which a source is silent, in frames at the track's own sample rate."""

    source: str
    start_frame: int
    frames: int
    probability_mean: float
    probability_min: float
    expected_volume_db: float = float("nan")

    def with_expected_volume(self, calibration: Calibration | None) -> "Found":
        """Return the span with the relative volume that the calibration expects at its mean probability."""
        if calibration is None:
            return self
        expected = calibration.expected_volume_db(self.source, self.probability_mean)
        return dataclasses.replace(self, expected_volume_db=float(expected))


@dataclass(frozen=True)
class KnownSpans:
    """Spans that an earlier scan found in a file, at the file's own sample rate, and its remark on the file."""

    sha256: str
    sample_rate: int
    frames: int
    found: list[Found]
    note: str | None = None


@dataclass(frozen=True)
class Task:
    """A file to scan, or one whose spans are ``known`` and only need to be cut."""

    file: LibraryFile
    seconds: float
    """Estimated length, for the order of work and the time estimate."""
    store: bool = True
    """False for a planted song: it is scanned like any other, and its excerpts are only judged."""
    known: KnownSpans | None = None


@dataclass(frozen=True)
class TrackScan:
    """The result of scanning one track. ``note`` names what was wrong with a track that was scanned all the same."""

    task: Task
    sha256: str
    seconds: float
    sample_rate: int
    channels: int
    note: str | None
    found: list[Found]
    frames: int = 0
    codes: Codes | None = None
    """Probabilities of all windows as `mined.probability_codes` has them; None where they were known before."""
    at_purity: list[tuple[float, str, float]] = field(default_factory=list)
    """Purity, source, and the seconds that a scan at that purity finds."""
    fingerprint: Fingerprint | None = None
    """Taken where the scan looks for copies or excluded recordings."""


@dataclass(frozen=True)
class Excluded:
    """A track that holds an excluded recording: its fingerprint, and the reason to leave it out."""

    task: Task
    fingerprint: Fingerprint
    reason: str


@dataclass(frozen=True)
class Failed:
    """A track that could not be scanned. ``kind`` is one of `FAILURES`."""

    task: Task
    kind: str
    reason: str


FAILURES = {
    "undecodable": "not audio, or damaged from the start",
    "unreadable": "vanished, or could not be read",
    "changed": "changed while it was scanned",
    "crashed": "ended the process that scanned it, twice",
    "stalled": "could not be scanned in a reasonable time",
    "error": "another error",
}
"""Kinds of failure."""

PASSING_FAILURES = ("unreadable", "changed")
"""Kinds that every later scan tries again; the others need ``--retry-failed``."""


@dataclass
class Batch:
    """The result of a job: scanned tracks, the closed shards with all their excerpts, and the remaining tasks."""

    tracks: list[TrackScan] = field(default_factory=list)
    shards: list[ClosedShard] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    left: list[Task] = field(default_factory=list)
    """Tasks of the job that were not done: the shards were full, or a stop was requested."""


@dataclass(frozen=True)
class JobSetup:
    """Common settings of the jobs of one scan. ``run`` is unique to the scan and part of its shards' names."""

    out: Path
    detector: str
    detector_sha256: str
    device: str
    settings: ScanSettings
    recorded_settings: Mapping[str, Any]
    """What the shards state as their settings."""
    run: str
    calibration: Calibration | None = None
    """Gives each excerpt's expected relative volume."""
    limits: BatchLimits = field(default_factory=BatchLimits)
    fingerprints: bool = False
    """Whether to take the fingerprint of each track."""
    excluded: ExcludedRecordings | None = None
