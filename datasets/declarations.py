"""Declarations about a corpus in its ``corpus.toml``, the same for every command.

The file lies in the corpus folder (or in the parent or grandparent of the folder that is read)::

    absent = ["vocals"]          # sources that any song may lack: a missing file then means silence
    allow_unequal = true         # files of one song may differ in length, rate and channels: padded, conformed
    exclude = ["Broken Song"]    # songs that are not read
    sources = ["drums", "bass", "other", "vocals", "guitar", "piano"]   # what songs hold, where it is not the four

    [tracks."Some Artist - Some Song"]
    absent = ["drums", "bass"]   # sources that this song lacks
    artist = "Some Artist"       # for splits by artist
    split = "test"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remix_miner.audio import display_name
from remix_miner.config import from_mapping
from remix_miner.datasets.tracks import PAIR_SOURCES
from remix_miner.errors import DataError, UsageError
from remix_miner.sources import SOURCES

FILE_NAME = "corpus.toml"
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class TrackDeclaration:
    absent: tuple[str, ...] = ()
    artist: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class _Content:
    absent: tuple[str, ...] = ()
    allow_unequal: bool = False
    exclude: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    tracks: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Declaration:
    """The content of a corpus.toml, or nothing declared; ``path`` is where it lies or would lie.

    ``sources`` is empty for the four. Where the four are among them, the others belong to 'other' when four are read.
    """

    path: Path
    absent: tuple[str, ...] = ()
    allow_unequal: bool = False
    exclude: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    tracks: Mapping[str, TrackDeclaration] = field(default_factory=dict)

    def absent_of(self, name: str) -> tuple[str, ...]:
        return (*self.absent, *self._track(name).absent)

    def artist_of(self, name: str) -> str | None:
        return self._track(name).artist

    def split_of(self, name: str) -> str | None:
        return self._track(name).split

    def _track(self, name: str) -> TrackDeclaration:
        return self.tracks.get(name, TrackDeclaration())


def read_declaration(folder: Path) -> Declaration:
    """Return the nearest corpus.toml: in ``folder``, its parent or its grandparent. Raises `DataError` for mistakes."""
    folder = folder.absolute()
    for place in (folder, *folder.parents[:2]):
        path = place / FILE_NAME
        if path.is_file():
            return _parse(path)
    return Declaration(folder / FILE_NAME)


def _parse(path: Path) -> Declaration:
    try:
        content = from_mapping(_Content, tomllib.loads(path.read_text(encoding="utf-8")))
        tracks = {
            name: from_mapping(TrackDeclaration, values, where=f"tracks.{name}.")
            for name, values in content.tracks.items()
        }
        _check(content, tracks)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, UsageError, AttributeError) as error:
        raise DataError(f"{display_name(path)}: {error}") from error
    return Declaration(path, content.absent, content.allow_unequal, content.exclude, content.sources, tracks)


def _check(content: _Content, tracks: Mapping[str, TrackDeclaration]) -> None:
    """Raise `UsageError` for a source or a split that no command has: it would have no effect."""
    sources = dict.fromkeys((*(content.sources or SOURCES), *PAIR_SOURCES))
    for where, absent in (("", content.absent), *((f"tracks.{name}.", one.absent) for name, one in tracks.items())):
        if unknown := [source for source in absent if source not in sources]:
            raise UsageError(f"{where}absent: unknown source {unknown[0]!r}; known here: {', '.join(sources)}")
    for name, one in tracks.items():
        if one.split is not None and one.split not in SPLITS:
            raise UsageError(f"tracks.{name}.split: unknown split {one.split!r}; choose among {', '.join(SPLITS)}")
