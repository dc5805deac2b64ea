"""Plain folders of tracks: ``<corpus>/<track>/<source>.{wav,flac}``; also one such track, and pairs."""

from collections.abc import Iterator
from pathlib import Path

from remix_miner.datasets.layouts.base import SPLIT_OF_FOLDER, Layout, has_source, song_in_folder, stem_path, subfolders
from remix_miner.datasets.songs import Song
from remix_miner.datasets.tracks import PAIR_SOURCES


def _one(folder: Path) -> Iterator[Song]:
    song = song_in_folder(folder, _split_above(folder.absolute().parent))
    if song:
        yield song


def _many(corpus: Path) -> Iterator[Song]:
    split = _split_above(corpus.absolute())
    for folder in subfolders(corpus):
        song = song_in_folder(folder, split)
        if song:
            yield song


def is_pair(folder: Path) -> bool:
    return all(stem_path(folder, source) for source in PAIR_SOURCES)


def find_pairs(corpus: Path) -> Iterator[Song]:
    """Songs with ``vocals`` and ``accompaniment`` files: ``corpus`` itself, its folders, or those of its splits."""
    if is_pair(corpus):
        folders = [(corpus, _split_above(corpus.absolute().parent))]
    else:
        folders = [(folder, _split_above(corpus.absolute())) for folder in subfolders(corpus)]
        for outer in subfolders(corpus):
            if outer.name in SPLIT_OF_FOLDER:
                folders += [(folder, SPLIT_OF_FOLDER[outer.name]) for folder in subfolders(outer)]
    for folder, split in folders:
        song = song_in_folder(folder, split, PAIR_SOURCES) if is_pair(folder) else None
        if song:
            yield song


def _split_above(folder: Path) -> str | None:
    """A folder that is read on its own and called 'train', 'valid' or 'test' is that split."""
    return SPLIT_OF_FOLDER.get(folder.name)


SINGLE_TRACK = Layout("track", "one folder with {drums,bass,other,vocals}.wav", has_source, _one)
TRACK_FOLDERS = Layout(
    "folders",
    "<track>/{drums,bass,other,vocals}.{wav,flac}, mixture optional",
    lambda corpus: any(has_source(folder) for folder in subfolders(corpus)),
    _many,
)
