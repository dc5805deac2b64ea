"""Songs with stems of any names: ``<track>/<source>.{wav,flac}``, as dialogue, music and effects."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.declarations import Declaration, read_declaration
from remix_miner.datasets.layouts.base import split_of_folder, subfolders
from remix_miner.datasets.layouts.stem_folder import song_in_folder
from remix_miner.datasets.songs import Song, open_song
from remix_miner.datasets.tracks import StemTrack
from remix_miner.errors import DataError


def load_named_tracks(
    paths: Iterable[str | PathLike[str]],
    sources: Sequence[str] = (),
    split: str | None = None,
    *,
    absent_ok: bool = False,
) -> list[StemTrack]:
    """Return the songs below ``paths`` that have a file for any of ``sources``, in folders or in folders of splits.

    Without ``sources``, the corpus.toml of each corpus states them. Raises `DataError` where a path holds none, or a
    song lacks a source that is not declared absent.
    """
    tracks = []
    for path in map(Path, paths):
        declaration = read_declaration(path)
        names = tuple(sources) or declaration.sources
        if not names:
            raise DataError(f"{display_name(declaration.path)} does not state its sources; add sources = [...]")
        songs = [song for song in find_named_songs(path, names, declaration) if split in (None, song.split)]
        if not songs:
            of = f" of split {split!r}" if split else ""
            listed = ", ".join(names)
            raise DataError(f"no songs{of} with {listed} in {display_name(path)}: expected <track>/<source>.wav")
        tracks += [open_song(StemTrack, song, names, declaration, absent=names if absent_ok else ()) for song in songs]
    return tracks


def find_named_songs(path: Path, sources: Sequence[str], declaration: Declaration) -> list[Song]:
    """Return the songs of a corpus that have a file for any of ``sources``, without those that it excludes."""
    folders: list[tuple[Path, str | None]] = [(folder, None) for folder in (path, *subfolders(path))]
    for outer in subfolders(path):
        if split := split_of_folder(outer):
            folders += [(folder, split) for folder in subfolders(outer)]
    songs = []
    for folder, split in folders:
        song = song_in_folder(folder, split, tuple(sources))
        if song is not None and (song.problem or any(song.files.values())) and song.name not in declaration.exclude:
            songs.append(replace(song, split=declaration.split_of(song.name) or split))
    return songs
