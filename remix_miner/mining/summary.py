"""Summary of a scan in a few lines of text."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.mining.messages import FAILURES
from remix_miner.mining.promises import percent
from remix_miner.mining.purity import Purity
from remix_miner.mining.report import REPORT_NAME, ScanReport
from remix_miner.sources import SOURCES

HOUR = 3600.0


def summary(report: ScanReport, out: Path) -> str:
    """Return what a scan did and what the mined folder ``out`` holds, as a few lines of text."""
    done, pending = report.tracks.get("done", 0), report.tracks.get("pending", 0)
    lines = [f"{_count(done, 'track')} scanned, {_length(report.seconds)} of audio, in {display_name(out)}"]
    if report.run.tracks:
        lines.append(
            f"this run: {_count(report.run.tracks, 'track')}, {_length(report.run.seconds)} in "
            f"{report.run.wall_seconds:.0f} s, {report.run.speed:.0f} times real time"
        )
    else:
        lines.append("this run: nothing new")
    for source, row in report.sources.items():
        lines.append(
            f"  without {source + ':':8s} {_length(row['seconds']):>8s} in "
            f"{_count(int(row['excerpts']), 'excerpt')} from {_count(int(row['tracks']), 'track')}"
        )
    if asked := report.settings.get("purity"):
        shares = ", ".join(f"{source} {percent(asked[source])}" for source in SOURCES if source in asked)
        lines.append(f"  purity asked for: {shares}")
    if report.left_out:
        shares = ", ".join(f"{source} {row.purity:.1%}" for source, row in report.left_out.items())
        lines.append(f"  purity that the calibration's rule gives on artists left out of the choice: {shares}")
    for purity, found in report.at_purity.items():
        amounts = ", ".join(f"{source} {_length(seconds)}" for source, seconds in found.items())
        lines.append(f"  a purity of {purity:.0%} gives: {amounts} (remix-miner remine cuts it)")
    lines += [f"  without {source}: refused, {reason}" for source, reason in report.refused.items()]
    if report.reviews_applied.get("answers"):
        found = report.reviews_applied
        lines.append(
            f"{_count(found['answers'], 'review')} applied by stretch: {found['rejected']} excerpts rejected, "
            f"{found['accepted']} accepted, {found['unsure']} unsure"
        )
    lines += _purity_lines(report.planted)
    lines += _grouped(((kind, f"{track}: {reason}") for track, kind, reason in report.failures), "failed", FAILURES)
    if report.moved:
        old, new = map(display_name, report.moved[0])
        lines.append(f"{_count(len(report.moved), 'file')} moved, not scanned again, for example {old} to {new}")
    if report.notes:
        track, note = report.notes[0]
        lines.append(f"{_count(len(report.notes), 'track')} scanned with a remark, for example {track}: {note}")
    lines += _grouped(((_kind_of_skip(skip.reason), display_name(skip.path)) for skip in report.skipped), "skipped", {})
    if any(kind in ("crashed", "stalled", "error") for _, kind, _ in report.failures):
        lines.append("--retry-failed tries those that failed again")
    if report.unread_bytes:
        size = f"{report.unread_bytes / 1e6:.1f} MB"
        lines.append(f"{size} of the shards are of copies and of files that changed; readers leave them out")
    if report.uncompared:
        lines.append(f"{_count(report.uncompared, 'track')} not yet compared for copies")
    if pending and report.run.interrupted:
        lines.append(f"{_count(pending, 'track')} left: the same command resumes")
    lines.append(f"details: {display_name(out / REPORT_NAME)}")
    return "\n".join(lines)


def _purity_lines(planted: Mapping[str, Purity]) -> list[str]:
    lines = []
    for source, purity in planted.items():
        harvest = f"{_length(purity.seconds)} from {purity.songs_harvested} of {purity.songs} planted songs"
        if purity.purity is None:
            lines.append(f"  audit without {source}: nothing harvested from {purity.songs} planted songs")
            continue
        interval = "" if purity.low is None else f" ({purity.low:.1%} to {purity.high:.1%} over songs)"
        lines.append(
            f"  audit without {source}: {purity.purity:.1%}{interval} at or below {purity.volume_db:g} dB, "
            f"95th percentile {purity.percentile_95_db:.1f} dB; {harvest}"
        )
    return lines


def _grouped(pairs: Iterable[tuple[str, str]], verb: str, explained: Mapping[str, str]) -> list[str]:
    """Return one line for each kind, the most frequent first, with an example."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for kind, example in pairs:
        counts[kind] += 1
        examples.setdefault(kind, example)
    return [
        f"{count} {verb}: {explained.get(kind, kind)}, for example {examples[kind]}"
        for kind, count in counts.most_common()
    ]


def _length(seconds: float) -> str:
    if seconds >= HOUR:
        return f"{seconds / HOUR:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}".replace(",", " ")


def _kind_of_skip(reason: str) -> str:
    """Return the common part of a reason: 'already found as a.mp3' -> 'already found'."""
    return reason.split("; ")[0].split(": ")[0].split(" as ")[0].split(" of ")[0]
