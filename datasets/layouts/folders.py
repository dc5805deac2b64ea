"""Plain folders of tracks: ``<corpus>/<track>/<source>.{wav,flac}``; also one such track, and pairs."""

from collections.abc import Iterator
from pathlib import Path

from remix_miner.datasets.layouts.base import Layout, split_of_folder, subfolders
from remix_miner.datasets.layouts.stem_folder import StemFolder, song_in_folder
from remix_miner.datasets.songs import Song
from remix_miner.datasets.tracks import PAIR_SOURCES


def _one(folder: Path) -> Iterator[Song]:
    song = song_in_folder(folder, split_of_folder(folder.absolute().parent))
    if song:
        yield song


def _many(corpus: Path) -> Iterator[Song]:
    split = split_of_folder(corpus.absolute())
    for folder in subfolders(corpus):
        song = song_in_folder(folder, split)
        if song:
            yield song


def is_pair(folder: Path) -> bool:
    """Return whether ``folder`` holds vocals and an accompaniment, and no other source."""
    return StemFolder(folder).is_pair()


def has_source(folder: Path) -> bool:
    """Return whether ``folder`` holds a file of any of the four sources, and not a pair."""
    return StemFolder(folder).has_source()


def find_pairs(corpus: Path) -> Iterator[Song]:
    """Yield songs with vocals and accompaniment: ``corpus`` itself, its folders, or those of its splits."""
    if is_pair(corpus):
        folders = [(corpus, split_of_folder(corpus.absolute().parent))]
    else:
        folders = [(folder, split_of_folder(corpus.absolute())) for folder in subfolders(corpus)]
        for outer in subfolders(corpus):
            if split := split_of_folder(outer):
                folders += [(folder, split) for folder in subfolders(outer)]
    for folder, split in folders:
        song = song_in_folder(folder, split, PAIR_SOURCES) if is_pair(folder) else None
        if song:
            yield song


SINGLE_TRACK = Layout("track", "one folder with {drums,bass,other,vocals}.wav", has_source, _one)
TRACK_FOLDERS = Layout(
    "folders",
    "<track>/{drums,bass,other,vocals}.{wav,flac}, mixture optional",
    lambda corpus: any(has_source(folder) for folder in subfolders(corpus)),
    _many,
)
