"""Multitracks: ``[<split>/]<track>/<source>/*.{wav,flac}``; a source is the sum of the files in its folder.

This is what `remix-miner import-stems` writes.
"""

from collections.abc import Iterator
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.layouts.base import Layout, subfolders
from remix_miner.datasets.layouts.musdb import split_folders
from remix_miner.datasets.layouts.stem_folder import StemFolder
from remix_miner.datasets.songs import Song, StemPath
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES

DESCRIBED_BY = ("data.json", "metadata.yaml")
"""Files of other data sets whose songs have folders of stems too."""


def _is_track(folder: Path) -> bool:
    if any((folder / name).is_file() for name in DESCRIBED_BY):
        return False
    return any(child.name in SOURCES and StemFolder(child).files for child in _readable_subfolders(folder))


def _readable_subfolders(folder: Path) -> list[Path]:
    try:
        return subfolders(folder)
    except DataError:  # reported where the folder is checked
        return []


def _tracks(corpus: Path) -> Iterator[tuple[Path, str | None]]:
    splits = split_folders(corpus)
    for root, split in {corpus: None, **splits}.items():
        for folder in subfolders(root):
            if folder.name.casefold() not in SOURCES and folder not in splits and _is_track(folder):
                yield folder, split


def _songs(corpus: Path) -> Iterator[Song]:
    for folder, split in _tracks(corpus):
        files: dict[str, tuple[StemPath, ...]] = {}
        problem = None
        for child in subfolders(folder):
            if child.name in SOURCES:
                stems = StemFolder(child)
                try:
                    found = [stems.stem(path.stem) for path in stems.files]
                except DataError as error:
                    problem = str(error)
                    continue
                files[child.name] = tuple(path for path in found if path)
        unread = tuple(StemFolder(folder).unread(()))
        yield Song(
            display_name(folder.name),
            folder,
            split,
            files,
            StemFolder(folder).stem("mixture"),
            problem=problem,
            unread=unread,
        )


MULTITRACK = Layout(
    "multitrack",
    "[{train,valid,test}/]<track>/{drums,bass,other,vocals}/*.{wav,flac}, files of a source are summed",
    lambda corpus: any(True for _ in _tracks(corpus)),
    _songs,
)
