"""Audio files of a song folder, by their names: read, refused, or not recognised."""

from collections.abc import Iterable
from pathlib import Path

from remix_miner.audio import AUDIO_SUFFIXES, UNREADABLE_SUFFIXES, display_name
from remix_miner.datasets.songs import Song, StemPath
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES

STEM_SUFFIXES = (".wav", ".wave", ".flac", ".aif", ".aiff", ".aifc", ".w64", ".rf64", ".caf")
"""Lossless formats, in which every part of a file can be read exactly."""

ACCOMPANIMENT_NAMES = ("accompaniment", "instrumental", "instrum", "no_vocals")
"""Names under which the accompaniment of a pair lies."""

DERIVED_NAMES = ("mixture", "linear_mixture", "mix", *ACCOMPANIMENT_NAMES, *(f"no_{source}" for source in SOURCES))
"""Names of files that are sums of stems."""


class StemFolder:
    """The visible audio files of a folder; names and suffixes match whatever their case.

    ``problem`` states why the folder cannot be read; it then has no files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problem: str | None = None
        children: list[Path] = []
        try:
            children = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
        except OSError as error:
            self.problem = f"{display_name(folder)} cannot be read: {error.strerror}"
        self.files = [child for child in children if child.suffix.lower() in (*AUDIO_SUFFIXES, *UNREADABLE_SUFFIXES)]

    def named(self, name: str) -> list[Path]:
        """Return the files with a name, in any case and any audio format, wav first."""
        found = [file for file in self.files if file.stem.casefold() == name.casefold()]
        return sorted(found, key=lambda file: (file.suffix.lower() != ".wav", file))

    def stem(self, *names: str) -> StemPath | None:
        """Return the one file with a name in ``names``; None if there is none.

        Raises `DataError` for two such files, a broken link, something that is not a file, and a lossy format.
        """
        found = [file for name in names for file in self.named(name)]
        if not found:
            return None
        where = display_name(self.folder)
        if len(found) > 1:
            listed = " and ".join(display_name(file.name) for file in found)
            raise DataError(f"{where} holds {listed}; keep one of them")
        (file,) = found
        name = display_name(file.name)
        if not file.is_file():
            if file.is_symlink():
                raise DataError(f"{where}: {name} is a broken link; restore the file it points to, or remove the link")
            raise DataError(f"{where}: {name} is not a file; remove it")
        if file.suffix.lower() not in STEM_SUFFIXES:
            raise DataError(f"{where}: {name} is not in a lossless format; convert it to wav or flac")
        return StemPath(file)

    def is_pair(self) -> bool:
        """Return whether vocals and an accompaniment lie here, and no other source."""
        sources = [source for source in SOURCES if self.named(source)]
        return sources == ["vocals"] and any(self.named(name) for name in ACCOMPANIMENT_NAMES)

    def has_source(self) -> bool:
        """Return whether a file of any of the four sources lies here, and not a pair."""
        return any(self.named(source) for source in SOURCES) and not self.is_pair()

    def unread(self, names: Iterable[str]) -> list[Path]:
        """Return the files with none of ``names`` and no name of a sum of stems."""
        known = {name.casefold() for name in (*names, *DERIVED_NAMES)}
        return [file for file in self.files if file.stem.casefold() not in known]


def song_in_folder(folder: Path, split: str | None, sources: tuple[str, ...] = SOURCES) -> Song | None:
    """Return the song whose stems lie in ``folder`` under the sources' names; None if it holds no such file.

    A stem that cannot be read as it is becomes the song's ``problem``, which is raised when the song is opened.
    """
    stems = StemFolder(folder)
    files: dict[str, tuple[StemPath, ...]] = {}
    mixture, problem = None, stems.problem
    try:
        for source in sources:
            names = ACCOMPANIMENT_NAMES if source == "accompaniment" else (source,)
            if path := stems.stem(*names):
                files[source] = (path,)
        mixture = stems.stem("mixture")
    except DataError as error:
        problem = str(error)
    if not files and mixture is None and problem is None:
        return None
    unread = tuple(stems.unread(sources))
    return Song(display_name(folder.name), folder, split, files, mixture, problem=problem, unread=unread)
