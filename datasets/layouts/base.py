"""Layouts of stem corpora on disk: the type, and what layouts share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.songs import Song
from remix_miner.errors import DataError

SPLIT_OF_FOLDER = {"train": "train", "valid": "valid", "validation": "valid", "test": "test"}


@dataclass(frozen=True)
class Layout:
    """A way in which corpora lie on disk: recognised by names alone; ``songs`` opens no audio file."""

    name: str
    description: str
    recognise: Callable[[Path], bool]
    songs: Callable[[Path], Iterable[Song]]


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders inside ``folder``, by name.

    A broken link without a file's suffix is among them: it may be a song, which reading it then reports.
    """
    try:
        visible = [child for child in folder.iterdir() if not child.name.startswith(".")]
        return sorted(child for child in visible if child.is_dir() or _is_lost(child))
    except OSError as error:
        raise DataError(f"{display_name(folder)} cannot be read: {error.strerror}") from error


def _is_lost(child: Path) -> bool:
    """Whether ``child`` is a broken link whose name has no suffix of a file."""
    return child.is_symlink() and not child.exists() and len(child.suffix) not in (3, 4, 5)


def split_of_folder(folder: Path) -> str | None:
    """Return 'train', 'valid' or 'test' for a folder of that name, in any case; None for other names."""
    return SPLIT_OF_FOLDER.get(folder.name.casefold())
