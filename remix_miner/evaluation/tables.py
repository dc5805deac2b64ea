"""Results as plain text tables."""

from collections.abc import Sequence
from typing import Any

from remix_miner.evaluation.metrics.aggregates import AGGREGATES, EXTRA_COLUMNS, headline
from remix_miner.evaluation.results import Result

NAMES = {"usdr": "uSDR", "csdr": "cSDR", "si_sdr": "SI-SDR", "isr": "ISR", "sir": "SIR", "sar": "SAR"}
COLUMN_NAMES = {"average": "average", "all_pooled": "all pooled"}


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is aligned to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def result_text(result: Result, document: dict[str, Any], per_track: bool = True) -> str:
    """Return the headline score of every track and source, every aggregate by its name, and what was excluded."""
    columns = (*result.sources, *EXTRA_COLUMNS)
    blocks = [f"{result.name} on {result.corpus['name']}, {result.corpus['tracks']} tracks"]
    for metric in result.metrics:
        column = headline(metric).column
        if per_track:
            rows = [
                [track["name"], *(_cell(track["sources"].get(source, {}), column) for source in result.sources)]
                for track in result.tracks
            ]
            per = "median over 1 s frames" if metric == "csdr" else "whole track"
            blocks.append(f"{NAMES[metric]} in dB, {per}\n" + format_table(["track", *result.sources], rows))
        shown = [
            a
            for a in AGGREGATES
            if a.name in document["aggregates"].get(a.metric, {})
            and (a.metric == metric or (metric == "csdr" and a.metric in ("isr", "sir", "sar")))
        ]
        rows = [
            [
                f"{NAMES[a.metric]} {a.name.replace('_', ' ')}",
                *(_interval(document["aggregates"][a.metric][a.name][name]) for name in columns),
            ]
            for a in shown
        ]
        if rows:
            header = ["dB [95% over tracks]", *(COLUMN_NAMES.get(name, name) for name in columns)]
            blocks.append(format_table(header, rows))
    blocks += [line for line in [exclusions(result), cost_line(result)] if line]
    return "\n\n".join(blocks)


def exclusions(result: Result) -> str:
    """Return the counts of what is excluded from the averages, and the leakage into silent sources."""
    lines = []
    for source in result.sources:
        rows = [track["sources"][source] for track in result.tracks if source in track["sources"]]
        silent = [row for row in rows if row["silent"]]
        if silent:
            leaks = sorted(row["leakage_db"] for row in silent if row["leakage_db"] is not None)
            nothing = len(silent) - len(leaks)
            middle = f"leakage {leaks[0]:.1f} to {leaks[-1]:.1f} dB of the mixture" if leaks else "no leakage"
            lines.append(
                f"{source}: silent reference in {len(silent)} of {len(rows)} tracks, excluded; {middle}"
                + (f" ({nothing} without any)" if nothing and leaks else "")
            )
        frames = sum(row.get("frames", 0) for row in rows)
        unscored = frames - sum(row.get("frames_scored", 0) for row in rows)
        if unscored:
            lines.append(
                f"{source}: {unscored} of {frames} frames with a silent reference or estimate, excluded from cSDR"
            )
        mute = sum(bool(row.get("silent_estimate")) for row in rows)
        if mute:
            lines.append(
                f"{source}: silent estimate of a source that sounds in {mute} of {len(rows)} tracks"
                + (", excluded from SI-SDR" if "si_sdr" in result.metrics else "")
            )
        infinite = sum(bool(row.get("infinite")) for row in rows)
        if infinite:
            lines.append(f"{source}: {infinite} tracks with an infinite score, excluded from it")
    return "\n".join([*lines, *result.notes])


def cost_line(result: Result) -> str:
    if not result.cost:
        return ""
    cost = result.cost
    return (
        f"separated on {cost['device']}: {cost['compute_seconds_per_audio_second']:.3f} s of compute per s of audio, "
        f"peak memory {cost['peak_memory_mib']:.0f} MiB"
    )


def _cell(row: dict[str, Any], column: str) -> str:
    if row.get("silent"):
        return "silent"
    if row.get("silent_estimate") and row.get(column) is None:
        return "mute"
    if column in row.get("infinite", ()):
        return "inf"
    value = row.get(column)
    return "-" if value is None else f"{value:.2f}"


def _interval(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return "-"
    if entry["low"] is None:
        return f"{entry['value']:.2f}"
    return f"{entry['value']:.2f} [{entry['low']:.2f}, {entry['high']:.2f}]"
