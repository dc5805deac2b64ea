"""MUSDB18-HQ: ``<split>/<track>/{mixture,drums,bass,other,vocals}.wav``, with the official validation songs.

MUSDB18-HQ has folders ``train`` (100 songs) and ``test`` (50); 14 songs of ``train`` are the validation split that
the field uses (sigsep-mus-db, ``configs/mus.yaml``). Corpora of the same layout that have a folder ``valid`` of their
own (Wavset, Remix Miner's synthetic songs) keep their split.
"""

from collections.abc import Iterator
from pathlib import Path

from remix_miner.datasets.layouts.base import Layout, split_of_folder, subfolders
from remix_miner.datasets.layouts.stem_folder import StemFolder, song_in_folder
from remix_miner.datasets.songs import Song

VALIDATION_SONGS = frozenset(
    {
        "ANiMAL - Rockshow",
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    }
)


def split_folders(corpus: Path) -> dict[Path, str]:
    """Return the folders of ``corpus`` that are named after a split."""
    return {folder: split for folder in subfolders(corpus) if (split := split_of_folder(folder))}


def official_split(name: str, folder_split: str, splits: dict[Path, str]) -> str:
    """Return 'valid' for the 14 songs, unless the corpus has a validation folder of its own."""
    return (
        "valid"
        if folder_split == "train" and "valid" not in splits.values() and name in VALIDATION_SONGS
        else folder_split
    )


def _recognise(corpus: Path) -> bool:
    return any(StemFolder(folder).has_source() for split in split_folders(corpus) for folder in subfolders(split))


def _songs(corpus: Path) -> Iterator[Song]:
    splits = split_folders(corpus)
    for outer, folder_split in splits.items():
        for folder in subfolders(outer):
            song = song_in_folder(folder, official_split(folder.name, folder_split, splits))
            if song:
                yield song


MUSDB18_HQ = Layout(
    "musdb18-hq", "{train,valid,test}/<track>/{mixture,drums,bass,other,vocals}.{wav,flac}", _recognise, _songs
)
