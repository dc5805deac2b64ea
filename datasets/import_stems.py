"""Import of raw multitracks: each instrument file to one of the four sources, then a corpus of links to the files."""

import contextlib
import fnmatch
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from remix_miner.atomic import sync_folder, write_json, write_text
from remix_miner.audio import audio_info, display_name
from remix_miner.datasets.multitracks import RawSong
from remix_miner.datasets.name_rules import MIXTURE, source_of
from remix_miner.errors import AudioError, DataError, UsageError, WriteError
from remix_miner.progress import track as progress
from remix_miner.sources import SOURCES

SKIP = "skip"
TARGETS = (*SOURCES, SKIP)
IMPORT_NAME = "import.json"


@dataclass
class ImportPlan:
    """Assignment of each file. ``files[song][source]``; ``instruments``: instrument -> source, or why it has none."""

    songs: list[RawSong]
    files: dict[str, dict[str, list[Path]]] = field(default_factory=dict)
    instruments: dict[str, str] = field(default_factory=dict)
    skipped: list[Path] = field(default_factory=list)
    mixtures: list[Path] = field(default_factory=list)
    unmapped: dict[str, list[Path]] = field(default_factory=dict)


def read_mapping(pairs: Iterable[str], path: Path | None = None) -> dict[str, str]:
    """Return {name or pattern: source or 'skip'} of ``NAME=source`` texts and a TOML file of such pairs.

    Names are compared with instrument names in small letters; ``*`` stands for any text. Texts override the file.
    """
    mapping: dict[str, str] = {}
    if path is not None:
        try:
            mapping.update(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"{display_name(path)} cannot be read as TOML: {error}") from error
    for pair in pairs:
        name, equals, source = pair.rpartition("=")
        if not equals or not name.strip():
            raise UsageError(f"--map takes NAME=SOURCE, got {pair!r}; for example --map 'room*=drums'")
        mapping[name.strip()] = source.strip()
    for name, source in mapping.items():
        if source not in TARGETS:
            raise UsageError(f"{name!r} is mapped to {source!r}; choose among {', '.join(TARGETS)}")
    return {name.lower(): source for name, source in mapping.items()}


def plan_import(songs: list[RawSong], mapping: Mapping[str, str]) -> ImportPlan:
    """Assign every file; those that neither ``mapping`` nor the rules on names assign are ``unmapped``.

    Raises `DataError` for two songs of one name, or a song without a file that is imported.
    """
    plan = ImportPlan(songs)
    for song in songs:
        if song.name in plan.files:
            raise DataError(f"two songs are called {song.name!r}; rename one of their folders")
        of_song = plan.files[song.name] = {}
        for stem in song.stems:
            source = _mapped(stem.instrument, mapping) or source_of(stem.instrument)
            plan.instruments[stem.instrument] = source or "not mapped"
            if source is None:
                plan.unmapped.setdefault(stem.instrument, []).append(stem.path)
            elif source == SKIP:
                plan.skipped.append(stem.path)
            elif source == MIXTURE:
                plan.mixtures.append(stem.path)
            else:
                of_song.setdefault(source, []).append(stem.path)
        if not of_song and not plan.unmapped:
            raise DataError(f"no file of {song.name!r} is imported; map its instruments, or move its folder away")
    return plan


def check_mapped(plan: ImportPlan) -> None:
    """Raise `DataError`, which lists what no rule assigns, unless every file is assigned."""
    if not plan.unmapped:
        return
    lines = [
        f"  {name:<30} {len(paths)} file{'s' * (len(paths) > 1)}, e.g. {display_name(paths[0])}"
        for name, paths in sorted(plan.unmapped.items())
    ]
    example = f'--map {json.dumps(next(iter(sorted(plan.unmapped))), ensure_ascii=False)[:-1]}=other"'
    raise DataError(
        f"{len(plan.unmapped)} instrument names are not mapped to a source:\n"
        + "\n".join(lines)
        + f"\nMap each, for example {example}, to one of {', '.join(TARGETS)}; nothing was written"
    )


def write_import(plan: ImportPlan, out: Path) -> dict[str, int]:
    """Write ``out/[split/]<song>/<source>/<file>`` as links, and ``out/corpus.toml``; a rerun adds what is missing.

    Links are hard where the file system allows it, else symbolic. Sources without a file are declared absent, and
    files that differ in length are allowed, since every instrument of a song was assigned. Returns counts of links and
    songs. Raises `AudioError` for a file that cannot be read, `DataError` where ``out`` holds other files.
    """
    unequal = _differ_in_length(plan)
    counts = {"hard links": 0, "symbolic links": 0, "already there": 0, "songs": len(plan.songs)}
    for song in progress(plan.songs, "linking"):
        folder = out / (song.split or "") / song.name
        for source, paths in plan.files[song.name].items():
            for path, name in zip(paths, _names(paths), strict=True):
                counts[_link(path, folder / source / name)] += 1
    write_text(out / "corpus.toml", _declaration(plan, unequal))
    write_json(
        out / IMPORT_NAME,
        {
            "format": "remix-miner/import",
            "format_version": 1,
            "instruments": dict(sorted(plan.instruments.items())),
            "skipped": [display_name(path) for path in plan.skipped],
            "mixtures": [display_name(path) for path in plan.mixtures],
        },
    )
    return counts


def _mapped(instrument: str, mapping: Mapping[str, str]) -> str | None:
    return next((source for name, source in mapping.items() if fnmatch.fnmatchcase(instrument, name)), None)


def _names(paths: list[Path]) -> list[str]:
    """Return file names that differ in more than case."""
    names: list[str] = []
    for path in paths:
        name, number = path.name, 2
        while name.casefold() in {taken.casefold() for taken in names}:
            name, number = f"{path.stem} ({number}){path.suffix}", number + 1
        names.append(name)
    return names


def _link(path: Path, target: Path) -> str:
    """Link ``target`` to ``path`` and return which count it belongs to."""
    if target.exists():
        if not target.samefile(path):
            raise DataError(f"{display_name(target)} is another file than {display_name(path)}; give another --out")
        return "already there"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            target.unlink()  # a symbolic link whose file is gone
        try:
            os.link(path.resolve(), target)
        except OSError:  # another file system, or one without hard links
            target.symlink_to(path.resolve())
            return "symbolic links"
        finally:
            sync_folder(target.parent)
    except OSError as error:
        raise WriteError(f"{display_name(target)} cannot be written: {error.strerror}; choose another --out") from error
    return "hard links"


def _differ_in_length(plan: ImportPlan) -> bool:
    """Return whether the files of any song differ in length, rate or channels; opens every file."""
    differ = False
    for files in progress(list(plan.files.values()), "reading headers"):
        formats = set()
        for path in (path for paths in files.values() for path in paths):
            info = audio_info(path)
            if info.problem:
                raise AudioError(f"{display_name(path)}: {info.problem}; replace the file")
            formats.add((info.sample_rate, info.channels, info.frames))
        differ |= len(formats) > 1
    return differ


def _declaration(plan: ImportPlan, unequal: bool) -> str:
    lines = ["# Written by remix-miner import-stems.", ""]
    if unequal:
        lines += ["allow_unequal = true", ""]
    for song in plan.songs:
        absent = [source for source in SOURCES if source not in plan.files[song.name]]
        if absent:
            lines += [f"[tracks.{json.dumps(song.name, ensure_ascii=False)}]", f"absent = {json.dumps(absent)}", ""]
    return "\n".join(lines)
