"""Contents of an unlabelled library by its files' headers: hours per format, what is skipped, copies, damage."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from remix_miner.audio import AudioReader, display_name
from remix_miner.datasets.library import LibraryFile, content_hash, find_audio
from remix_miner.datasets.name_rules import sources_named
from remix_miner.datasets.problems import Problem
from remix_miner.errors import AudioError
from remix_miner.progress import track as progress_over
from remix_miner.sources import SOURCES

SHORTEST_SECONDS = 5.0
FIXES = {
    "hidden": "",
    "empty (0 bytes)": "copy the file again",
    "broken link": "remove the link or restore what it points to",
    "not a regular file": "",
}


@dataclass
class LibraryReport:
    """Findings of `check_library`. ``skipped``: counts by reason; only what can be mended is also a problem."""

    path: Path
    files: int = 0
    seconds: float = 0.0
    seconds_per_format: dict[str, float] = field(default_factory=dict)
    too_short: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def check_library(path: Path, decode: bool = False) -> LibraryReport:
    """Open every audio file under ``path``; with ``decode`` also decode it to the end, which finds damage inside."""
    files, skipped = find_audio(path)
    report = LibraryReport(path, files=len(files))
    for item in skipped:
        reason = "already found under another name" if item.reason.startswith("already found") else item.reason
        report.skipped[reason] = report.skipped.get(reason, 0) + 1
        fix = FIXES.get(item.reason, _fix_of(item.reason))
        if fix:
            report.problems.append(Problem(display_name(item.path), item.reason.partition("; ")[0], fix))
    for file in progress_over(files, "checking"):
        try:
            _check_file(file, report, decode)
        except AudioError as error:
            report.problems.append(_of_error(file, error))
    report.problems += [*_copies(files), *_stems_without_layout(files)]
    return report


def _of_error(file: LibraryFile, error: AudioError) -> Problem:
    """Return the problem of a file that cannot be opened; its path is not repeated."""
    what, _, fix = str(error).removeprefix(display_name(file.path)).lstrip(": ").partition("; ")
    return Problem(display_name(file.name), what, fix or "replace or remove the file; detect passes over it")


def _fix_of(reason: str) -> str:
    if reason.startswith("already found"):
        return ""
    if "optional extra" in reason:
        return "pip install 'remix-miner[media]'"
    return reason.partition("; ")[2] or "make it readable, or leave it: it is skipped"


def _check_file(file: LibraryFile, report: LibraryReport, decode: bool) -> None:
    with AudioReader(file.path) as reader:
        seconds = reader.info.seconds
        if decode:
            for _ in reader.blocks():
                pass
            seconds = reader.frames_read / reader.sample_rate
        if reader.problem:
            fix = "replace the file; detect scans what decodes"
            report.problems.append(Problem(display_name(file.name), reader.problem, fix))
        if reader.bad_values:
            what = f"{reader.bad_values} samples are not numbers (NaN or infinite)"
            report.problems.append(Problem(display_name(file.name), what, "export the file again"))
    suffix = file.path.suffix.lower().lstrip(".")
    what = f"{suffix} {reader.sample_rate} Hz, {reader.channels} channels"
    report.seconds += seconds
    report.seconds_per_format[what] = report.seconds_per_format.get(what, 0.0) + seconds
    report.too_short += seconds < SHORTEST_SECONDS


def _copies(files: list[LibraryFile]) -> list[Problem]:
    of_size: dict[int, list[LibraryFile]] = defaultdict(list)
    for file in files:
        of_size[file.size].append(file)
    first: dict[str, LibraryFile] = {}
    problems = []
    for group in of_size.values():
        for file in group if len(group) > 1 else ():
            try:
                known = first.setdefault(content_hash(file.path), file)
            except AudioError:
                continue  # reported where it was opened
            if known is not file:
                what = f"is a copy of {display_name(known.name)}"
                problems.append(Problem(display_name(file.name), what, "remove one; detect stores its excerpts once"))
    return problems


def _stems_without_layout(files: list[LibraryFile]) -> list[Problem]:
    """Return the folders whose files name two sources or more: stems in no known layout, not songs of a library."""
    of_folder: dict[Path, list[LibraryFile]] = defaultdict(list)
    for file in files:
        of_folder[file.path.parent].append(file)
    named = {folder: sources_named(file.path.stem for file in group) for folder, group in of_folder.items()}
    stems = {folder: sources for folder, sources in named.items() if len(sources & {"drums", "bass", "vocals"}) > 1}
    if not stems:
        return []
    first = next(iter(stems))
    return [
        Problem(
            display_name(first),
            f"holds files that are named after {', '.join(s for s in SOURCES if s in stems[first])}"
            + (f", as do {len(stems) - 1} other folders" if len(stems) > 1 else "")
            + ": stems in a layout that is not known, here counted as songs",
            "rename the files drums, bass, other and vocals, or make a corpus of them with remix-miner import-stems",
        )
    ]
