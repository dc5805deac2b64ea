"""Reports of ``check-data`` as JSON and as text."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remix_miner.datasets.check_corpus import CorpusReport
    from remix_miner.datasets.check_library import LibraryReport

MOST_PROBLEMS = 20


def corpus_json(report: "CorpusReport") -> dict[str, Any]:
    return {
        "path": str(report.path),
        "layout": report.layout,
        "songs": sum(report.songs_per_split.values()),
        "hours": sum(report.seconds_per_split.values()) / 3600,
        "splits": {
            split: {"songs": songs, "hours": report.seconds_per_split[split] / 3600}
            for split, songs in report.songs_per_split.items()
        },
        "formats": report.formats,
        "silent_rate": report.silent_rate,
        "mining_silent_rate": report.mining_silent_rate,
        "songs_without": report.songs_without,
        "residual_db": report.residual_db,
        "excluded": report.excluded,
        "problems": [vars(problem) for problem in report.problems],
    }


def library_json(report: "LibraryReport") -> dict[str, Any]:
    return {
        "path": str(report.path),
        "files": report.files,
        "hours": report.seconds / 3600,
        "hours_per_format": {name: seconds / 3600 for name, seconds in report.seconds_per_format.items()},
        "shorter_than_5_seconds": report.too_short,
        "skipped": report.skipped,
        "problems": [vars(problem) for problem in report.problems],
    }


def corpus_text(report: "CorpusReport") -> str:
    songs, seconds = sum(report.songs_per_split.values()), sum(report.seconds_per_split.values())
    lines = [f"{report.path}: {count(songs, 'song')}, {_hours(seconds)}, {report.layout}"]
    if list(report.songs_per_split) not in ([], ["all"]):
        splits = (
            f"{split} {count} ({_hours(report.seconds_per_split[split])})"
            for split, count in report.songs_per_split.items()
        )
        lines.append(f"  splits   {', '.join(splits)}")
    if report.excluded:
        lines.append(f"  excluded by corpus.toml: {', '.join(report.excluded)}")
    if not songs:
        return "\n".join(lines)
    formats = "; ".join(f"{what}: {count(number, 'song')}" for what, number in report.formats.items())
    lines.append(f"  format   {formats}")
    lines.append(f"  {'source':<14}{'V <= -20 dB':>14}{'V <= -30 dB':>14}{'songs without it':>20}")
    for source in report.sources:
        rates = f"{report.mining_silent_rate[source]:>14.1%}{report.silent_rate[source]:>14.1%}"
        lines.append(f"  {source:<14}{rates}{report.songs_without[source]:>20}")
    lines.append("  V: level of a source relative to the mixture, in windows of 0.64 s in which the mixture sounds;")
    lines.append("  -20 dB is what mining promises, -30 dB marks rests")
    if report.residual_db:
        worst = max(report.residual_db, key=lambda name: report.residual_db[name])
        level = report.residual_db[worst]
        text = "exact" if level == -float("inf") else f"{level:.1f} dB at worst ({worst})"
        lines.append(f"  mixture against the sum of the stems: {text}")
    else:
        lines.append("  mixtures: the sums of the stems (there are no mixture files)")
    return "\n".join(lines)


def library_text(report: "LibraryReport") -> str:
    lines = [f"{report.path}: {count(report.files, 'file')}, {_hours(report.seconds)}, unlabelled"]
    lines += [f"  {name:<32}{_hours(seconds):>10}" for name, seconds in sorted(report.seconds_per_format.items())]
    if report.too_short:
        lines.append(f"  {count(report.too_short, 'file')} shorter than 5 s: too short for an excerpt")
    lines += [f"  skipped: {count} {reason}" for reason, count in sorted(report.skipped.items())]
    return "\n".join(lines)


def problems_text(problems: list[dict[str, Any]]) -> str:
    if not problems:
        return "no problems"
    lines = [count(len(problems), "problem")]
    for problem in problems[:MOST_PROBLEMS]:
        lines.append(f"  {problem['where']}: {problem['what']}\n    fix: {problem['fix']}")
    if len(problems) > MOST_PROBLEMS:
        lines.append(f"  and {len(problems) - MOST_PROBLEMS} more: see --json")
    return "\n".join(lines)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
