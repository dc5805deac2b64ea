"""What a layout of stem corpora is, and the helpers that the layouts share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.songs import Song, StemPath
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES

STEM_SUFFIXES = (".wav", ".flac")
SPLIT_OF_FOLDER = {"train": "train", "valid": "valid", "validation": "valid", "test": "test"}


@dataclass(frozen=True)
class Layout:
    """A way in which corpora lie on disk: how to recognise it by names alone, and which songs it holds."""

    name: str
    description: str
    recognise: Callable[[Path], bool]
    songs: Callable[[Path], Iterable[Song]]


def subfolders(folder: Path) -> list[Path]:
    """Visible folders inside ``folder``, by name."""
    try:
        return sorted(child for child in folder.iterdir() if not child.name.startswith(".") and child.is_dir())
    except OSError as error:
        raise DataError(f"{display_name(folder)} cannot be read: {error.strerror}") from error


def stem_path(folder: Path, name: str) -> StemPath | None:
    """The wav or flac file called ``name`` in ``folder``; two of them are an error, since only one can be meant."""
    found = [folder / f"{name}{suffix}" for suffix in STEM_SUFFIXES if (folder / f"{name}{suffix}").is_file()]
    if len(found) > 1:
        raise DataError(f"{display_name(folder)} holds {' and '.join(path.name for path in found)}; keep one of them")
    return StemPath(found[0]) if found else None


def has_source(folder: Path) -> bool:
    """Whether ``folder`` holds a file of any of the four sources and is no pair of vocals and accompaniment."""
    found = [source for source in SOURCES if stem_path(folder, source)]
    return bool(found) and not (found == ["vocals"] and stem_path(folder, "accompaniment"))


def song_in_folder(folder: Path, split: str | None, sources: tuple[str, ...] = SOURCES) -> Song | None:
    """The song whose stems lie in ``folder`` as ``<source>.wav`` or ``.flac``; None if it holds no such file."""
    found = {source: stem_path(folder, source) for source in sources}
    mixture = stem_path(folder, "mixture")
    if mixture is None and not any(found.values()):
        return None
    files = {source: (path,) for source, path in found.items() if path}
    return Song(display_name(folder.name), folder, split, files, mixture)
