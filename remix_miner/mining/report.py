"""Report of a scan, as report.json has it."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remix_miner.audio import display_name
from remix_miner.datasets.library import Skipped
from remix_miner.detector.left_out import LeftOut
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_db import LIVE
from remix_miner.mined.probabilities import PROBABILITIES_NAME, ProbabilityStore
from remix_miner.mined.reviews.by_stretch import applied_counts
from remix_miner.mined.samples.audits import audit_results
from remix_miner.mined.uncompared import uncompared_tracks
from remix_miner.mining.messages import FAILURES
from remix_miner.mining.purity import Purity, purity_json
from remix_miner.sources import SOURCES

REPORT_NAME = "report.json"
HOUR = 3600.0


@dataclass
class RunTally:
    """Totals of this run alone, counted while it runs."""

    tracks: int = 0
    seconds: float = 0.0
    wall_seconds: float = 0.0
    excerpts: int = 0
    interrupted: bool = False

    @property
    def speed(self) -> float:
        """Seconds of audio scanned per second."""
        return self.seconds / self.wall_seconds if self.wall_seconds else 0.0


@dataclass(frozen=True)
class ScanReport:
    """State of a mined folder after a scan. `as_json` is report.json."""

    settings: Mapping[str, Any]
    refused: Mapping[str, str]
    """Sources that were asked for and not mined, and why."""
    tracks: Mapping[str, int]
    """Number of tracks by status."""
    seconds: float
    sources: Mapping[str, Mapping[str, float]]
    """Excerpts, tracks and seconds of each source."""
    failures: list[tuple[str, str, str]]
    """Track, kind, reason."""
    notes: list[tuple[str, str]]
    """Tracks that were scanned although something was wrong with them, and what."""
    skipped: list[Skipped]
    run: RunTally
    planted: Mapping[str, Purity] = field(default_factory=dict)
    audits: Mapping[str, Any] = field(default_factory=dict)
    """By source, what listeners measured with `review --audit`."""
    reviews_applied: Mapping[str, int] = field(default_factory=dict)
    """Answers about audio that is now cut otherwise, and the excerpts that they decide (`mined.reviews.by_stretch`)."""
    moved: Sequence[tuple[str, str]] = ()
    """Old and new names of tracks whose files moved since the last scan: not scanned again."""
    at_purity: Mapping[float, Mapping[str, float]] = field(default_factory=dict)
    """Seconds that a scan at other purities finds, by purity and source; empty for folders of older versions."""
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    """By source, what the calibration states for artists left out of the choice of this threshold."""
    unread_bytes: int = 0
    """Of audio in the shards that no reader takes: of copies, and of files that have changed since."""
    uncompared: int = 0
    """Tracks that are not yet compared for copies, since the scan was interrupted."""

    @property
    def complete(self) -> bool:
        """Whether the whole scan was completed."""
        return not self.failures and not self.run.interrupted and not self.tracks.get("pending")

    def as_json(self) -> dict[str, Any]:
        return {
            "format": "remix-miner/scan-report",
            "format_version": 1,
            "totals": {
                "tracks": dict(self.tracks),
                "hours_scanned": self.seconds / HOUR,
                "sources": {
                    source: {"excerpts": row["excerpts"], "tracks": row["tracks"], "hours": row["seconds"] / HOUR}
                    for source, row in self.sources.items()
                },
                "unread_bytes": self.unread_bytes,
            },
            "thresholds": dict(self.settings["thresholds"]),
            "refused": dict(self.refused),
            "settings": dict(self.settings),
            "run": {
                "tracks": self.run.tracks,
                "hours_scanned": self.run.seconds / HOUR,
                "seconds": self.run.wall_seconds,
                "speed": self.run.speed,
                "excerpts": self.run.excerpts,
                "interrupted": self.run.interrupted,
            },
            "failures": [{"track": track, "kind": kind, "reason": reason} for track, kind, reason in self.failures],
            "notes": [{"track": track, "note": note} for track, note in self.notes],
            "skipped": [{"path": display_name(skip.path), "reason": skip.reason} for skip in self.skipped],
            "moved": [{"from": old, "to": new} for old, new in self.moved],
            "hours_at_purity": {
                f"{purity:g}": {source: seconds / HOUR for source, seconds in row.items()}
                for purity, row in self.at_purity.items()
            },
            "purity": dict(self.settings.get("purity", {})),
            "left_out": {source: dataclasses.asdict(row) for source, row in self.left_out.items()},
            "planted": purity_json(self.planted),
            "audits": dict(self.audits),
            "reviews_applied": dict(self.reviews_applied),
        }


def report_of(
    catalogue: Catalogue,
    *,
    refused: Mapping[str, str],
    skipped: Iterable[Skipped],
    run: RunTally,
    planted: Mapping[str, Purity],
) -> ScanReport:
    """Return the report: totals of all runs from the catalogue, and the results of this run."""
    database = catalogue.database
    settings = catalogue.settings
    sources = {
        source: {"excerpts": 0, "tracks": 0, "seconds": 0.0} for source in SOURCES if source in settings["thresholds"]
    }
    for source, excerpts, tracks, seconds in database.execute(
        f"SELECT source, count(*), count(DISTINCT track_id), sum(seconds) FROM excerpts WHERE {LIVE} GROUP BY source"
    ):
        sources[source] = {"excerpts": excerpts, "tracks": tracks, "seconds": seconds}
    rows = database.execute("SELECT path, status, error FROM tracks WHERE error IS NOT NULL ORDER BY path").fetchall()
    return ScanReport(
        settings=settings,
        refused=dict(refused),
        tracks=dict(database.execute("SELECT status, count(*) FROM tracks GROUP BY status").fetchall()),
        seconds=database.execute("SELECT total(seconds) FROM tracks WHERE status = 'done'").fetchone()[0],
        sources=sources,
        failures=[(_text(path), *split_failure(error)) for path, status, error in rows if status != "done"],
        notes=[(_text(path), error) for path, status, error in rows if status == "done"],
        skipped=list(skipped),
        run=run,
        planted=planted,
        audits=audit_results(database),
        reviews_applied=applied_counts(database),
        at_purity=_seconds_at_purities(catalogue.folder),
        unread_bytes=catalogue.unread_bytes(),
        uncompared=len(uncompared_tracks(database)),
    )


def _seconds_at_purities(folder: Path) -> dict[float, dict[str, float]]:
    if not (folder / PROBABILITIES_NAME).is_file():
        return {}
    with ProbabilityStore(folder, to_read=True) as store:
        return store.seconds_at_purities()


def failure_text(kind: str, reason: str) -> str:
    """Return kind and reason as one text for the catalogue."""
    return f"{kind}: {reason}"


def split_failure(error: str) -> tuple[str, str]:
    """Return the kind and reason of a `failure_text`."""
    kind, _, reason = error.partition(": ")
    return (kind, reason) if kind in FAILURES else ("error", error)


def _text(path: str | bytes) -> str:
    return display_name(path if isinstance(path, str) else path.decode("utf-8", "backslashreplace"))
