"""Export of silence labels without audio: intervals of each source per track, as CSV, RTTM, Audacity and JAMS."""

import csv
import io
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remix_miner.atomic import write_json, write_text
from remix_miner.export.manifest import Entry
from remix_miner.export.spans import Span
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.mined.reviews.decisions import has_reviews

CSV_NAME = "labels.csv"
CSV_COLUMNS = ("path", "source", "start_seconds", "end_seconds", "silent", "probability")


def export_labels(
    database: sqlite3.Connection, out: Path, spans: Sequence[Span], library: LibraryFolders
) -> list[Entry]:
    """Write ``labels.csv`` (read by `train-detector --weak`), ``labels.rttm``, and per track Audacity and JAMS files.

    Spans have one source each. The CSV has the absolute path of a file that is found in the library, else the name as
    scanned. Stretches that a listener marked as wrong are rows with ``silent`` 0.
    """
    tracks: dict[str, list[Span]] = defaultdict(list)
    written: set[Path] = set()
    for span in spans:
        tracks[span.track].append(span)
    seconds = dict(database.execute("SELECT path, seconds FROM tracks"))
    _write_csv(out, tracks, _wrong_stretches(database), library)
    write_text(out / "labels.rttm", "".join(_rttm(track, some) for track, some in sorted(tracks.items())))
    for track, some in tracks.items():
        stem = some[0].name.rsplit("-", 2)[0]
        audacity, jams = out / "audacity" / f"{stem}.txt", out / "jams" / f"{stem}.jams"
        write_text(audacity, _audacity(some))
        write_json(jams, _jams(track, some, seconds.get(track) or 0.0))
        written |= {audacity, jams}
    for stale in {*out.glob("audacity/*.txt"), *out.glob("jams/*.jams")} - written:
        stale.unlink()  # of a track that had spans in an earlier export to this folder
    return [Entry(CSV_NAME, "_".join(span.without), span) for span in spans]


def _write_csv(
    out: Path, tracks: dict[str, list[Span]], wrong: Sequence[tuple[str, str, float, float]], library: LibraryFolders
) -> None:
    def path_of(track: str) -> str:
        path = library.path_of(track)
        return track if path is None else str(path.resolve())

    def row(track: str, source: str, stretch: tuple[float, float], silent: int, probability: str) -> tuple[str, ...]:
        return path_of(track), source, f"{stretch[0]:.6f}", f"{stretch[1]:.6f}", str(silent), probability

    table = [
        row(track, span.without[0], (span.start_seconds, span.end_seconds), 1, f"{span.probability_mean:.6f}")
        for track, some in tracks.items()
        for span in some
    ]
    table += [row(track, source, (start, end), 0, "") for track, source, start, end in wrong]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    table.sort(key=lambda cells: (cells[0], cells[1], float(cells[2])))
    writer.writerows(table)
    write_text(out / CSV_NAME, text.getvalue())


def _wrong_stretches(database: sqlite3.Connection) -> list[tuple[str, str, float, float]]:
    """Return (track, source, start, end) of each stretch that a listener marked as wrong."""
    if not has_reviews(database):
        return []
    return database.execute(
        "SELECT DISTINCT path, source, wrong_start_seconds, wrong_end_seconds FROM reviews "
        "JOIN tracks ON tracks.id = track_id AND tracks.sha256 IS track_sha256 "
        "WHERE NOT undone AND purpose != 'applied' AND decision = 'rejected' AND wrong_start_seconds IS NOT NULL "
        "ORDER BY 1, 2, 3"
    ).fetchall()


def _rttm(track: str, spans: Sequence[Span]) -> str:
    """Return Rich Transcription Time Marked text, one line per span. Blanks in names become underscores."""
    name = "".join(character if not character.isspace() else "_" for character in track)
    return "".join(
        f"SPEAKER {name} 1 {span.start_seconds:.3f} {span.seconds:.3f} <NA> <NA> no_{span.without[0]} "
        f"{span.probability_mean:.4f} <NA>\n"
        for span in spans
    )


def _audacity(spans: Sequence[Span]) -> str:
    """Return an Audacity label track: start, end and text, separated by tabs."""
    return "".join(
        f"{span.start_seconds:.6f}\t{span.end_seconds:.6f}\tno {span.without[0]} {span.probability_mean:.3f}\n"
        for span in spans
    )


def _jams(track: str, spans: Sequence[Span], seconds: float) -> dict[str, Any]:
    """Return a JAMS document with one annotation per source, in the namespace ``tag_open``."""
    annotations = []
    for source in sorted({span.without[0] for span in spans}):
        data = [
            {
                "time": round(span.start_seconds, 6),
                "duration": round(span.seconds, 6),
                "value": f"no_{source}",
                "confidence": round(span.probability_mean, 6),
            }
            for span in spans
            if span.without[0] == source
        ]
        metadata = {
            "curator": {"name": "", "email": ""},
            "annotator": {},
            "version": "",
            "corpus": "",
            "annotation_tools": "remix-miner",
            "annotation_rules": "",
            "validation": "",
            "data_source": "program",
        }
        annotations.append(
            {
                "annotation_metadata": metadata,
                "namespace": "tag_open",
                "data": data,
                "sandbox": {},
                "time": 0.0,
                "duration": seconds,
            }
        )
    return {
        "annotations": annotations,
        "file_metadata": {
            "title": track,
            "artist": "",
            "release": "",
            "duration": seconds,
            "identifiers": {},
            "jams_version": "0.3.5",
        },
        "sandbox": {},
    }
