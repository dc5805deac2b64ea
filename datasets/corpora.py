"""Corpora of stems as tracks: the table of layouts, and loading by path."""

from collections.abc import Iterable
from dataclasses import replace
from os import PathLike
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.declarations import Declaration, read_declaration
from remix_miner.datasets.layouts.base import Layout
from remix_miner.datasets.layouts.folders import SINGLE_TRACK, TRACK_FOLDERS, find_pairs
from remix_miner.datasets.layouts.moisesdb import MOISESDB
from remix_miner.datasets.layouts.multitrack import MULTITRACK
from remix_miner.datasets.layouts.musdb import MUSDB18_HQ
from remix_miner.datasets.layouts.musdb_mp4 import MUSDB18_MP4
from remix_miner.datasets.layouts.slakh import SLAKH
from remix_miner.datasets.layouts.stem_csv import STEM_CSV
from remix_miner.datasets.layouts.stem_folder import StemFolder
from remix_miner.datasets.layouts.stem_folders import ISOLATED_FILES, STEM_FOLDERS
from remix_miner.datasets.songs import Song, open_song
from remix_miner.datasets.tracks import PAIR_SOURCES, PairTrack, StemTrack, accompaniment_as_other
from remix_miner.errors import DataError, UsageError
from remix_miner.sources import SOURCES

# The first layout that recognises a folder reads it.
LAYOUTS: tuple[Layout, ...] = (
    *(SINGLE_TRACK, MUSDB18_HQ, MUSDB18_MP4, MOISESDB, SLAKH, TRACK_FOLDERS),
    *(MULTITRACK, STEM_FOLDERS, STEM_CSV, ISOLATED_FILES),
)

AnyPath = str | PathLike[str]


def load_stem_tracks(
    paths: AnyPath | Iterable[AnyPath],
    split: str | None = None,
    *,
    absent: Iterable[str] = (),
    absent_ok: bool = False,
    allow_unequal: bool = False,
) -> list[StemTrack]:
    """Return the tracks of one or more corpora, in order of paths, splits and names; reads headers only.

    ``split`` keeps one of 'train', 'valid', 'test'; None keeps all, also where a corpus has no splits. ``absent``
    names sources that songs may lack, ``absent_ok`` allows all (a missing file is then silence). ``allow_unequal``
    pads shorter files with silence to the song's longest and brings rates and channels to its highest. The corpus may
    state all this itself, see `remix_miner.datasets.declarations`. Raises `DataError` where a path holds no tracks,
    the split is empty, or a track cannot be used as it is.
    """
    tracks = []
    for path in _as_paths(paths):
        songs, declaration = find_songs(path)
        tracks += [
            open_song(
                StemTrack,
                song,
                SOURCES,
                declaration,
                absent=SOURCES if absent_ok else absent,
                allow_unequal=allow_unequal,
            )
            for song in _of_split(songs, split, path)
        ]
    return tracks


def load_pair_tracks(
    paths: AnyPath | Iterable[AnyPath], split: str | None = None, *, allow_unequal: bool = False
) -> list[PairTrack]:
    """Return songs with vocals and accompaniment apart: ``<track>/{vocals,accompaniment}.{flac,wav}``."""
    tracks = []
    for path in _as_paths(paths):
        declaration = read_declaration(path)
        songs = _declared(find_pairs(path), declaration)
        if not songs:
            raise DataError(
                f"no pairs in {display_name(path)}: expected <track>/{{vocals,accompaniment}}.{{wav,flac}}; "
                f"{_what_is_there(path)}"
            )
        tracks += [
            open_song(PairTrack, song, PAIR_SOURCES, declaration, allow_unequal=allow_unequal)
            for song in _of_split(songs, split, path)
        ]
    return tracks


def load_target_tracks(
    paths: AnyPath | Iterable[AnyPath], target: str, split: str | None = None, *, absent_ok: bool = False
) -> list[StemTrack]:
    """Return tracks for a model of ``target`` against the rest: corpora of stems, and for vocals also pairs.

    The accompaniment of a pair is read as 'other', see `remix_miner.datasets.tracks.accompaniment_as_other`.
    """
    tracks: list[StemTrack] = []
    for path in _as_paths(paths):
        if target == "vocals" and find_layout(path) is None and next(iter(find_pairs(path)), None):
            tracks += [accompaniment_as_other(pair) for pair in load_pair_tracks(path, split)]
        else:
            tracks += load_stem_tracks(path, split, absent_ok=absent_ok)
    return tracks


def find_songs(path: AnyPath) -> tuple[list[Song], Declaration]:
    """Return the songs of a corpus by its layout, without opening audio, and its corpus.toml."""
    folder = _folder(path)
    layout = find_layout(folder)
    if layout is None:
        if next(iter(find_pairs(folder)), None):
            raise DataError(
                f"{display_name(folder)} holds pairs of vocals and accompaniment, not four stems; "
                "give it as --pairs where a command has that option (load_pair_tracks in Python)"
            )
        if declared := read_declaration(folder).sources:
            raise DataError(
                f"{display_name(folder)} holds {', '.join(declared)}, not the four sources; name its sources where a "
                "command has that option (load_named_tracks in Python)"
            )
        known = "; ".join(f"{layout.name}: {layout.description}" for layout in LAYOUTS)
        raise DataError(f"no stem tracks in {display_name(folder)}: {_what_is_there(folder)}. Known layouts: {known}")
    declaration = read_declaration(folder)
    songs = list(layout.songs(folder))
    kept = _declared(songs, declaration)
    if songs and not kept:
        raise DataError(f"{display_name(declaration.path)} excludes all {len(songs)} songs of {display_name(folder)}")
    return kept, declaration


def find_layout(folder: Path) -> Layout | None:
    """Return the layout of a corpus, or None."""
    return next((layout for layout in LAYOUTS if layout.recognise(folder)), None)


def _declared(songs: Iterable[Song], declaration: Declaration) -> list[Song]:
    kept = [song for song in songs if song.name not in declaration.exclude]
    split = [replace(song, split=declaration.split_of(song.name) or song.split) for song in kept]
    return [_with_more_sources(song, declaration) for song in split] if declaration.sources else split


def _with_more_sources(song: Song, declaration: Declaration) -> Song:
    """Return the song with its declared further sources (guitar, piano) as parts of 'other'."""
    names = {source.casefold() for source in declaration.sources if source not in SOURCES}
    more = [path for path in song.unread if path.stem.casefold() in names]
    if not more:
        return song
    try:
        stems = [StemFolder(song.folder).stem(path.stem) for path in more]
    except DataError as error:
        return replace(song, problem=str(error))
    other = (*song.files.get("other", ()), *(stem for stem in stems if stem))
    unread = tuple(path for path in song.unread if path not in more)
    return replace(song, files={**song.files, "other": other}, unread=unread)


def _of_split(songs: list[Song], split: str | None, path: Path) -> list[Song]:
    if split is None:
        return songs
    kept = [song for song in songs if song.split == split]
    if not kept:
        splits = sorted({song.split for song in songs if song.split})
        there = f"it has {', '.join(splits)}" if splits else "its songs have no split; leave the split out"
        raise DataError(f"{display_name(path)} has no songs of split {split!r}: {there}")
    return kept


def _as_paths(paths: AnyPath | Iterable[AnyPath]) -> list[Path]:
    listed = [paths] if isinstance(paths, str | PathLike) else list(paths)
    if not listed:
        raise UsageError("no folder with stems was given; name at least one")
    return [_folder(path) for path in listed]


def _folder(path: AnyPath) -> Path:
    folder = Path(path)
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{display_name(folder)} {problem}; give a folder with stem tracks")
    return folder


def _what_is_there(folder: Path) -> str:
    names = sorted(display_name(child.name) for child in folder.iterdir() if not child.name.startswith("."))
    if not names:
        return "it is empty"
    return f"it holds {', '.join(names[:4])}" + (f" and {len(names) - 4} more" if len(names) > 4 else "")
