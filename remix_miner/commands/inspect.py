"""``remix-miner inspect``: totals and integrity of a mined folder, or a list of its excerpts."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remix_miner.commands._options.common import note, show, verb

if TYPE_CHECKING:
    from remix_miner.mined.inspection import Inspection

SHOWN_FILES = 20


@verb(
    "Hours, tracks and excerpts per source, files that could not be used, and an integrity check of every shard. "
    "Exit status 1 if something is damaged. With --list, the excerpts instead, as a table, CSV or JSON.",
    "remix-miner inspect mined/ --list --source vocals --min-seconds 20",
)
@click.argument("mined", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--verify", is_flag=True, help="Also read every shard whole and compare its SHA-256 with the catalogue's."
)
@click.option(
    "--page",
    default=None,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write one HTML file with totals, and a sample of excerpts with pictures and players inside it.",
)
@click.option("--samples", default=6, show_default=True, help="Excerpts of each source on the page.")
@click.option("--list", "listed", is_flag=True, help="List excerpts; the options below choose which.")
@click.option("--source", default=None, help="With --list: excerpts without this source only.")
@click.option("--track", default="", metavar="TEXT", help="With --list: of tracks whose name holds TEXT.")
@click.option("--min-seconds", default=0.0, help="With --list: of at least this length.")
@click.option("--min-probability", default=0.0, help="With --list: of at least this mean probability.")
@click.option(
    "--review",
    default="live",
    show_default=True,
    type=click.Choice(["live", "none", "accepted", "rejected", "superseded", "all"]),
    help="With --list: state of review; live are those that training reads.",
)
@click.option(
    "--format",
    "form",
    default="table",
    show_default=True,
    type=click.Choice(["table", "csv", "json"]),
    help="With --list; --json is the same as json.",
)
def command(
    mined: Path,
    verify: bool,
    page: Path | None,
    samples: int,
    listed: bool,
    source: str | None,
    track: str,
    min_seconds: float,
    min_probability: float,
    review: str,
    form: str,
    as_json: bool,
) -> int:
    if listed:
        from remix_miner.mined.listing import ListFilter, list_excerpts

        rows = list(list_excerpts(mined, ListFilter(source, track, min_seconds, min_probability, review)))
        show(rows, as_json or form == "json", _as_csv(rows) if form == "csv" else _as_table(rows))
        return 0
    from remix_miner.mined.inspection import inspect_folder
    from remix_miner.progress import Progress

    with Progress("checking", unit="shards") as progress:

        def on_shard(total: int) -> None:
            progress.expect(total)
            progress.advance()

        inspection = inspect_folder(mined, verify=verify, on_shard=on_shard)
    if page is not None:
        from remix_miner.review.static_page import StaticPageSettings, write_static_page

        written = write_static_page(mined, page, StaticPageSettings(samples))
        note(f"{written} excerpts to look at and listen to in {page}")
    show(_as_json(inspection), as_json, _as_text(inspection))
    return 1 if inspection.damage else 0


def _as_csv(rows: list[dict[str, Any]]) -> str:
    from remix_miner.mined.listing import COLUMNS

    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def _as_table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no excerpts"
    lines = [f"{'without':8} {'from':>9} {'to':>9} {'length':>8} {'P':>6} {'V dB':>6}  review      track"]
    for row in rows:
        start, seconds, expected = row["start_seconds"], row["seconds"], row["expected_volume_db"]
        volume = "-" if expected is None else f"{expected:.0f}"
        lines.append(
            f"{row['source']:8} {_clock(start):>9} {_clock(start + seconds):>9} {seconds:>6.1f} s "
            f"{row['probability_mean']:>6.3f} {volume:>6}  {row['review'] or '-':10}  {_one_line(row['track'])}"
        )
    total = sum(row["seconds"] for row in rows)
    lines.append(f"{_count(len(rows), 'excerpt')}, {_length(total)}")
    return "\n".join(lines)


def _clock(seconds: float) -> str:
    """Return a time as min:s.

    >>> _clock(75.25)
    '1:15.2'
    """
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _as_json(inspection: "Inspection") -> dict[str, Any]:
    return {
        "folder": str(inspection.folder),
        "intact": not inspection.damage,
        "verified": inspection.verified,
        "damage": inspection.damage,
        "remarks": inspection.remarks,
        "shards": inspection.shards,
        "unread_bytes": inspection.unread_bytes,
        "tracks": inspection.tracks,
        "hours_scanned": inspection.seconds_scanned / 3600,
        "sources": {
            source: {
                **{name: value for name, value in row.items() if name != "seconds"},
                "hours": row["seconds"] / 3600,
            }
            for source, row in inspection.sources.items()
        },
        "quarantined": [{"track": track, "reason": reason} for track, reason in inspection.quarantined],
        "notes": [{"track": track, "note": error} for track, status, error in inspection.troubles if status == "done"],
        "settings": inspection.settings,
        "runs": inspection.runs,
    }


def _as_text(inspection: "Inspection") -> str:
    lines = []
    if inspection.catalogued:
        tracks = ", ".join(f"{number:,} {status}" for status, number in sorted(inspection.tracks.items())) or "none"
        unfinished = sum(run["finished"] is None for run in inspection.runs)
        lines += [
            f"tracks: {tracks}; {_length(inspection.seconds_scanned)} scanned in {_count(len(inspection.runs), 'run')}"
            + (f", {unfinished} not finished" if unfinished else ""),
            "",
        ]
    lines.append(f"{'without':8} {'excerpts':>10} {'tracks':>10} {'length':>12} {'shards':>8} {'MB':>10}")
    for source, row in inspection.sources.items():
        lines.append(
            f"{source:8} {row['excerpts']:>10,} {row['tracks']:>10,} {_length(row['seconds']):>12} "
            f"{row['shards']:>8,} {row['bytes'] / 1e6:>10,.1f}"
        )
    if inspection.quarantined:
        lines += ["", f"not used, {_count(len(inspection.quarantined), 'file')}:"]
        for track, reason in inspection.quarantined[:SHOWN_FILES]:
            lines.append(f"  {_one_line(track)}: {_one_line(reason)}")
        if (more := len(inspection.quarantined) - SHOWN_FILES) > 0:
            lines.append(f"  and {more:,} more (--json lists all)")
    lines.append("")
    if inspection.unread_bytes:
        size = f"{inspection.unread_bytes / 1e6:,.1f} MB"
        lines.append(f"{size} of the shards are of copies and of files that changed; readers leave them out")
    lines += inspection.remarks
    if inspection.damage:
        lines += [
            f"DAMAGED, {_count(len(inspection.damage), 'problem')}:",
            *(f"  {problem}" for problem in inspection.damage),
        ]
    elif inspection.verified:
        lines.append(f"{_count(inspection.shards, 'shard')}, all intact: every byte compared")
    else:
        lines.append(f"{_count(inspection.shards, 'shard')}, all whole (--verify also compares every byte)")
    return "\n".join(lines)


def _length(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:,.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _one_line(text: str) -> str:
    from remix_miner.audio import display_name

    return display_name(text)
