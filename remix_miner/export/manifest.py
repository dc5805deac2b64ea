"""Manifest of an export: the origin of each file, and a licence column for the user to fill in."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from remix_miner.atomic import write_text
from remix_miner.export.spans import Span

MANIFEST = "manifest.csv"
COLUMNS = (
    "file",
    "label",
    "track",
    "track_sha256",
    "start_seconds",
    "seconds",
    "probability_mean",
    "probability_min",
    "review",
    "gain",
    "licence",
)


@dataclass(frozen=True)
class Entry:
    """One exported file. ``span`` is None for a file of a labelled song; ``track`` is then the song's name."""

    file: str
    label: str
    span: Span | None = None
    track: str = ""
    seconds: float = 0.0
    gain: float = 1.0


def write_manifest(out: Path, entries: Sequence[Entry]) -> None:
    """Write ``out/manifest.csv``, sorted by file name. Licences that were filled in before are kept."""
    path = out / MANIFEST
    licences: dict[str, str] = {}
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            licences = {row["file"]: row.get("licence") or "" for row in csv.DictReader(file)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in sorted(entries, key=lambda entry: entry.file):
        span = entry.span
        writer.writerow(
            [
                entry.file,
                entry.label,
                span.track if span else entry.track,
                span.track_sha256 if span else "",
                f"{span.start_seconds:.6f}" if span else "0",
                f"{span.seconds if span else entry.seconds:.6f}",
                f"{span.probability_mean:.6f}" if span else "",
                f"{span.probability_min:.6f}" if span else "",
                (span.review or "") if span else "labelled",
                f"{entry.gain:.8g}",
                licences.get(entry.file, ""),
            ]
        )
    write_text(path, text.getvalue())
