"""MUSDB18: ``[{train,test}/]<track>.stem.mp4``, five streams in one file.

Streams are 0 mixture, 1 drums, 2 bass, 3 other, 4 vocals (the stem format of Native Instruments, as MUSDB18 uses it).
AAC cuts off at 16 kHz and a seek decodes a fifth of a second more than requested: MUSDB18-HQ suits training better.
"""

from collections.abc import Iterator
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.layouts.base import Layout
from remix_miner.datasets.layouts.musdb import official_split, split_folders
from remix_miner.datasets.songs import Song, StemPath

SUFFIX = ".stem.mp4"
STREAMS = {"drums": 1, "bass": 2, "other": 3, "vocals": 4}
MIXTURE_STREAM = 0


def _stem_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name.endswith(SUFFIX) and not file.name.startswith("."))


def _songs(corpus: Path) -> Iterator[Song]:
    splits = split_folders(corpus)
    for folder, split in {corpus: None, **splits}.items():
        for file in _stem_files(folder):
            name = display_name(file.name.removesuffix(SUFFIX))
            yield Song(
                name,
                file,
                official_split(name, split, splits) if split else None,
                {source: (StemPath(file, stream),) for source, stream in STREAMS.items()},
                StemPath(file, MIXTURE_STREAM),
            )


MUSDB18_MP4 = Layout(
    "musdb18",
    "[{train,test}/]<track>.stem.mp4 (needs the extra 'media')",
    lambda corpus: any(_stem_files(folder) for folder in (corpus, *split_folders(corpus))),
    _songs,
)
