"""Songs with stems of any names: ``<track>/<source>.{wav,flac}``, as dialogue, music and effects."""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.declarations import read_declaration
from remix_miner.datasets.layouts.base import split_of_folder, subfolders
from remix_miner.datasets.layouts.stem_folder import song_in_folder
from remix_miner.datasets.songs import open_song
from remix_miner.datasets.tracks import StemTrack
from remix_miner.errors import DataError


def load_named_tracks(
    paths: Iterable[str | PathLike[str]], sources: Sequence[str], split: str | None = None, *, absent_ok: bool = False
) -> list[StemTrack]:
    """Return the songs below ``paths`` that have a file for any of ``sources``, in folders or in folders of splits.

    Raises `DataError` where a path holds none, or a song lacks a source that is not declared absent.
    """
    tracks = []
    for path in map(Path, paths):
        declaration = read_declaration(path)
        folders: list[tuple[Path, str | None]] = [(folder, None) for folder in (path, *subfolders(path))]
        folders += [
            (folder, inner)
            for outer in subfolders(path)
            if (inner := split_of_folder(outer))
            for folder in subfolders(outer)
        ]
        found = []
        for folder, of_split in folders:
            song = song_in_folder(folder, of_split, tuple(sources))
            if song is None or not any(song.files.values()):
                continue
            if split is None or (declaration.split_of(song.name) or of_split) == split:
                found.append(
                    open_song(StemTrack, song, tuple(sources), declaration, absent=tuple(sources) if absent_ok else ())
                )
        if not found:
            of = f" of split {split!r}" if split else ""
            names = ", ".join(sources)
            raise DataError(f"no songs{of} with {names} in {display_name(path)}: expected <track>/<source>.wav")
        tracks += found
    return tracks
