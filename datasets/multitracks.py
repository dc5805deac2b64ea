"""Raw multitracks on disk: folders of instrument files, also in the layout of MedleyDB.

MedleyDB (Bittner et al. 2014): ``<song>/<song>_METADATA.yaml`` names the instrument of each file in
``<song>_STEMS``. Elsewhere the files' own names state it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from remix_miner.audio import AUDIO_SUFFIXES, UNREADABLE_SUFFIXES, display_name
from remix_miner.datasets.layouts.base import split_of_folder, subfolders
from remix_miner.datasets.layouts.slakh import read_stems
from remix_miner.datasets.layouts.stem_folder import STEM_SUFFIXES
from remix_miner.datasets.name_rules import instrument_name
from remix_miner.errors import DataError


@dataclass(frozen=True)
class RawStem:
    """One file of a song, and the instrument that its name or the song's metadata state."""

    path: Path
    instrument: str


@dataclass(frozen=True)
class RawSong:
    """A song as a folder of instrument files."""

    name: str
    split: str | None
    stems: tuple[RawStem, ...]


def find_raw_songs(folder: Path) -> list[RawSong]:
    """Return the songs below ``folder``: its subfolders, those of its splits, or itself where files lie in it.

    Raises `DataError` for broken links, lossy files and metadata that name a file that is not there.
    """
    if not folder.is_dir():
        raise DataError(f"{display_name(folder)} is not a folder; give a folder of songs")
    if any(_audio_files(folder, below=False)):
        return [_song(folder, None)]
    songs = []
    for child in subfolders(folder):
        split = split_of_folder(child)
        for song in subfolders(child) if split else [child]:
            if any(_audio_files(song)):
                songs.append(_song(song, split))
    if not songs:
        raise DataError(f"{display_name(folder)} holds no audio; expected a folder a song, with a file an instrument")
    return songs


def _song(folder: Path, split: str | None) -> RawSong:
    name = display_name(folder.resolve().name)
    metadata = sorted(folder.glob("*_METADATA.yaml"))
    if metadata:
        return RawSong(name, split, tuple(_medleydb_stems(folder, metadata[0])))
    stems = []
    for path in _audio_files(folder):
        _check(path)
        stems.append(RawStem(path, instrument_name(display_name(path.stem), name)))
    return RawSong(name, split, tuple(stems))


def _medleydb_stems(folder: Path, metadata: Path) -> Iterator[RawStem]:
    for stem, values in read_stems(metadata).items():
        name = values.get("filename", "")
        paths = [path for path in _audio_files(folder) if path.name == name]
        if not paths:
            raise DataError(f"{display_name(metadata)} names {name or stem!r}, which is not there; copy the song again")
        _check(paths[0])
        yield RawStem(paths[0], instrument_name(values.get("instrument", "")))


def _audio_files(folder: Path, below: bool = True) -> Iterator[Path]:
    """Yield the visible audio files in ``folder`` in order of names; with ``below``, also those of its subfolders."""
    for child in sorted(folder.iterdir()):
        if child.name.startswith(".") or child.name == "__MACOSX":
            continue
        if child.is_dir():
            if below:
                yield from _audio_files(child)
        elif child.suffix.lower() in (*AUDIO_SUFFIXES, *UNREADABLE_SUFFIXES):
            yield child


def _check(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"{display_name(path)} is a broken link; restore the file it points to, or remove the link")
    if path.suffix.lower() not in STEM_SUFFIXES:
        raise DataError(f"{display_name(path)} is not in a lossless format; convert it to wav or flac")
