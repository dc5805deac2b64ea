"""``remix-miner check-data``: what a corpus or library holds, its problems, and the fix for each."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from remix_miner.commands._options.check_report import (
    corpus_json,
    corpus_text,
    count,
    library_json,
    library_text,
    problems_text,
)
from remix_miner.commands._options.common import device_option, show, verb

if TYPE_CHECKING:
    from remix_miner.datasets.check_corpus import CorpusReport
    from remix_miner.datasets.problems import Problem

LISTEN_FIX = "listen to the stem there; replace or rename its file, or take the song out (`exclude` in corpus.toml)"


@verb(
    "Report what PATH holds: a corpus of stems (songs, hours, how often each source is silent, whether mixtures are "
    "the sums of their stems) or a library of music (files, hours, formats). Each problem is listed with its fix; the "
    "exit status is 1 when there are any.",
    "remix-miner check-data songs/stems",
)
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--decode", is_flag=True, help="Decode a library's files to the end, to find damage inside.")
@click.option(
    "--listen",
    is_flag=True,
    help="Give each stem of a corpus to the detector: lists stems that sound like another source, bleed of five "
    "seconds or more, and empty stems.",
)
@click.option(
    "--pictures",
    default=None,
    type=click.Path(path_type=Path, file_okay=False),
    help="With --listen: a folder for one picture of each flagged stem.",
)
@click.option("--detector", default="default", show_default=True, help="Run folder, file or name, for --listen.")
@device_option
def command(
    path: Path, decode: bool, listen: bool, pictures: Path | None, detector: str, device: str, as_json: bool
) -> int:
    if pictures is not None and not listen:
        raise click.UsageError("--pictures shows what --listen finds: add --listen")
    from remix_miner.datasets.check_corpus import check_corpus
    from remix_miner.datasets.check_library import check_library
    from remix_miner.datasets.layouts.base import subfolders

    parts = [path]
    if not _is_corpus(path) and any(map(_is_corpus, subfolders(path))):
        parts = subfolders(path)
    corpora = [check_corpus(part) for part in parts if _is_corpus(part)]
    libraries = [check_library(part, decode) for part in parts if not _is_corpus(part)]
    libraries = [report for report in libraries if report.files or report.skipped or len(parts) == 1]
    problems = [
        *(problem for report in corpora for problem in report.problems),
        *(problem for report in libraries for problem in report.problems),
    ]
    nothing = not any(report.songs_per_split for report in corpora) and not any(report.files for report in libraries)
    stems = _listen(corpora, detector, device, pictures) if listen else None
    if stems is not None:
        problems += stems.problems
    result = {
        "corpora": [corpus_json(report) for report in corpora],
        "libraries": [library_json(report) for report in libraries],
        "problems": [vars(problem) for problem in problems],
    }
    sections = [*map(corpus_text, corpora), *map(library_text, libraries)]
    if stems is not None:
        result["stems"] = stems.documents
        sections.append(stems.summary)
    if nothing and not problems:
        sections.append("nothing to use: no songs with stems and no audio files here")
    sections.append(problems_text(result["problems"]))
    show(result, as_json, "\n\n".join(sections))
    return 1 if problems or nothing else 0


def _is_corpus(path: Path) -> bool:
    from remix_miner.datasets.corpora import find_layout
    from remix_miner.datasets.declarations import FILE_NAME, read_declaration
    from remix_miner.datasets.layouts.folders import find_pairs

    if find_layout(path) is not None or next(iter(find_pairs(path)), None) is not None:
        return True
    return bool((path / FILE_NAME).is_file() and read_declaration(path).sources)


class _Listened(NamedTuple):
    """What the detector found: as problems, as JSON and as text."""

    problems: "list[Problem]"
    documents: list[dict[str, Any]]
    summary: str


def _listen(corpora: "list[CorpusReport]", detector: str, device: str, pictures: Path | None) -> _Listened:
    from dataclasses import asdict

    from remix_miner.calibration.stem_check import StemActivity, StemCheck, StemCheckSettings, check_stems, findings
    from remix_miner.datasets.problems import Problem
    from remix_miner.datasets.tracks import PairTrack, StemTrack
    from remix_miner.detector.loading import load_detector
    from remix_miner.device import resolve_device
    from remix_miner.sources import SOURCES

    tracks = [
        track
        for report in corpora
        for track in report.tracks
        if isinstance(track, PairTrack) or (isinstance(track, StemTrack) and track.sources == SOURCES)
    ]
    settings = StemCheckSettings()
    drawn: dict[tuple[str, str], str] = {}

    def draw(check: StemCheck, stem: StemActivity) -> None:
        from remix_miner.figures.checked_stem import checked_stem_figure
        from remix_miner.figures.style import save_picture

        assert pictures is not None
        name = f"{len(drawn) + 1:03d}-{check.song.replace('/', '_')}-{check.stem}.png"
        drawn[check.song, check.stem] = str(pictures / name)
        pictures.mkdir(parents=True, exist_ok=True)
        save_picture(checked_stem_figure(check, stem, settings), pictures / name)

    model = load_detector(detector, str(resolve_device(device))).model if tracks else None
    checks = check_stems(model, tracks, settings, draw if pictures else None) if model else []
    problems = [Problem(check.song, finding, LISTEN_FIX) for check in checks for finding in findings(check)]
    empty = [f"{check.stem} of {check.song}" for check in checks if check.empty]
    summary = f"{count(len(checks), 'stem')} given to the detector, {sum(check.flagged for check in checks)} flagged"
    if empty:
        summary += f"\n  empty: {', '.join(empty)}"
    if drawn:
        summary += f"\n  pictures: {pictures}"
    documents = [
        {**asdict(check), "flagged": check.flagged, "picture": drawn.get((check.song, check.stem))} for check in checks
    ]
    return _Listened(problems, documents, summary)
