"""Stem folders: ``[<split>/]<source>/<name>.{wav,flac}``, type 2 of Music-Source-Separation-Training (MSST).

Files of one name in several folders are one song, and every other source of it is missing (open-unmix: 'aligned'). A
file whose name occurs in one folder only is isolated material: its other sources are absent, and `SegmentReader` draws
it for its own source only. A corpus may hold one source alone (``<source>/<name>.wav``): all its files are isolated.
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


def _source_folders(root: Path) -> dict[str, StemFolder]:
    """Return the folders that have the name of a source, in any case, and hold audio."""
    found = {child.name.casefold(): StemFolder(child) for child in subfolders(root)}
    return {source: found[source] for source in SOURCES if source in found and found[source].files}


def _recognise(corpus: Path) -> bool:
    return any(len(_source_folders(root)) > 1 for root in (corpus, *split_folders(corpus)))


def _recognise_single(corpus: Path) -> bool:
    return any(_source_folders(root) for root in (corpus, *split_folders(corpus)))


def _songs(corpus: Path) -> Iterator[Song]:
    for root, split in {corpus: None, **split_folders(corpus)}.items():
        folders = _source_folders(root)
        names = sorted({file.stem for folder in folders.values() for file in folder.files}, key=str.casefold)
        for name in names:
            yield _song(root, split, name, folders)


def _song(root: Path, split: str | None, name: str, folders: dict[str, StemFolder]) -> Song:
    files: dict[str, tuple[StemPath, ...]] = {}
    problem = None
    for source, folder in folders.items():
        try:
            if path := folder.stem(name):
                files[source] = (path,)
        except DataError as error:
            problem = str(error)
    isolated = len(files) == 1
    absent = tuple(source for source in SOURCES if source not in files) if isolated else ()
    return Song(display_name(name), root, split, files, absent=absent, problem=problem)


STEM_FOLDERS = Layout(
    "stem-folders", "[{train,valid,test}/]{drums,bass,other,vocals}/<name>.{wav,flac}", _recognise, _songs
)
"""Files of a source in one folder, aligned by name or isolated."""

ISOLATED_FILES = Layout(
    "isolated-files", "[{train,valid,test}/]<source>/<name>.{wav,flac}, one source alone", _recognise_single, _songs
)
"""Isolated files of one source."""
