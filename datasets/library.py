"""Audio files of an unlabelled library, under names that can be stored, and their content hashes."""

import importlib.util
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from remix_miner.audio import AUDIO_SUFFIXES, PYAV_SUFFIXES, UNREADABLE_SUFFIXES, display_name
from remix_miner.audio.formats import SUFFIX_OF_KIND, sniff
from remix_miner.checkpoint import sha256_of_file
from remix_miner.errors import AudioError, DataError

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True)
class LibraryFile:
    """A file of the library.

    ``name`` is the scanned folder's own name and the path below it, as POSIX text ('library/rock/a.wav'): the same
    from any working directory. It is valid UTF-8 and one to one with the path: see `storable_text`.
    """

    path: Path
    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Skipped:
    """A file or folder that is not scanned, and why."""

    path: Path
    reason: str


def find_audio(paths: AnyPath | Iterable[AnyPath]) -> tuple[list[LibraryFile], list[Skipped]]:
    """Return all audio files under folders and files, sorted by name, and what was skipped with the reason.

    Links are followed; a folder or file that is reached a second time, through a link, a loop or an overlapping path,
    is skipped. Hidden names, empty files, special files, unreadable folders, formats that cannot be decoded here, and
    audio under a name of no audio format are skipped; the last only where not asked for by name. A path that does not
    exist raises `DataError`; nothing else does.
    """
    listed = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    walk = _Walk()
    for path in map(Path, listed):
        if not os.path.lexists(path):
            raise DataError(f"{display_name(path)} does not exist; give folders or audio files")
    for label, path in folder_labels(listed).items():
        walk.visit(path, label)
    walk.files.sort(key=lambda file: file.name)
    walk.skipped.sort(key=lambda skipped: os.fsencode(skipped.path))
    return walk.files, walk.skipped


def folder_labels(paths: Iterable[AnyPath]) -> dict[str, Path]:
    """Return the label of each path that is scanned: its last name, numbered where two paths share it.

    Names of files below the path begin with it.

    >>> folder_labels(["a/rock", "b/rock"])
    {'rock': PosixPath('a/rock'), 'rock (2)': PosixPath('b/rock')}
    """
    labels: set[str] = set()
    return {_unique(path.absolute().name or "root", labels): path for path in map(Path, paths)}


def content_hash(path: AnyPath) -> str:
    """Return the hexadecimal SHA-256 of the file's bytes. Raises `AudioError` where it cannot be read."""
    try:
        return sha256_of_file(Path(path))
    except OSError as error:
        raise AudioError(f"{display_name(path)} cannot be read: {error.strerror}") from error


def storable_text(name: str) -> str:
    r"""Return a file name as UTF-8 text, reversibly: bytes that are not UTF-8 become ``\xNN``, a backslash is doubled.

    Ordinary names, newlines and emoji among them, stay as they are.

    >>> storable_text(os.fsdecode(b"caf\xe9.wav")), storable_text("café.wav")
    ('caf\\xe9.wav', 'café.wav')
    """
    escaped = name.replace("\\", "\\\\")
    return "".join(f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else char for char in escaped)


def file_name_of(text: str) -> str:
    """Return the file system's name for a text from `storable_text`."""

    def original(match: re.Match[str]) -> str:
        return "\\" if match[0] == "\\\\" else chr(0xDC00 + int(match[0][2:], 16))

    return re.sub(r"\\\\|\\x[0-9a-f]{2}", original, text)


class _Walk:
    """Walk over folders that visits each folder and file once, by any path that leads to it."""

    def __init__(self) -> None:
        self.files: list[LibraryFile] = []
        self.skipped: list[Skipped] = []
        self._seen: dict[tuple[int, int], Path] = {}
        self._has_pyav = importlib.util.find_spec("av") is not None

    def visit(self, root: Path, name: str) -> None:
        """Visit a path that is scanned and all below it, folders' children in order of their bytes."""
        pending = [(root, name)]
        while pending:
            path, name = pending.pop()
            if path.name.startswith(".") and path is not root:
                self._skip(path, "hidden")
                continue
            try:
                status = path.stat()
            except OSError as error:
                self._skip(path, "broken link" if path.is_symlink() else f"cannot be read: {error.strerror}")
                continue
            if not stat.S_ISDIR(status.st_mode):
                self._visit_file(path, name, status, asked_for=path is root)
            elif not self._seen_before(path, status):
                children = self._children(path)
                pending += [(child, f"{name}/{storable_text(child.name)}") for child in reversed(children)]

    def _visit_file(self, path: Path, name: str, status: os.stat_result, asked_for: bool) -> None:
        suffix = path.suffix.lower()
        kind = None if suffix in (*AUDIO_SUFFIXES, *UNREADABLE_SUFFIXES) else _content_kind(path, status)
        if suffix not in AUDIO_SUFFIXES and not (asked_for and kind in SUFFIX_OF_KIND):
            if kind is not None:
                self._skip(path, _other_name(kind))
            elif asked_for or suffix in UNREADABLE_SUFFIXES:
                advice = "convert it to flac" if suffix in UNREADABLE_SUFFIXES else "its content is not audio either"
                self._skip(path, f"format {suffix or 'without suffix'} is not supported; {advice}")
        elif not stat.S_ISREG(status.st_mode):
            self._skip(path, "not a regular file")
        elif status.st_size == 0:
            self._skip(path, "empty (0 bytes)")
        elif suffix in PYAV_SUFFIXES and not self._has_pyav:
            self._skip(path, f"{suffix} needs the optional extra: pip install 'remix-miner[media]'")
        elif not self._seen_before(path, status):
            self.files.append(LibraryFile(path, name, status.st_size, status.st_mtime_ns))

    def _children(self, folder: Path) -> list[Path]:
        try:
            return sorted(folder.iterdir(), key=os.fsencode)
        except OSError as error:
            self._skip(folder, f"cannot be read: {error.strerror}")
            return []

    def _seen_before(self, path: Path, status: os.stat_result) -> bool:
        """Return whether another path led to this folder or file. Hard links count as two files."""
        identity = (status.st_dev, status.st_ino)
        linked = status.st_nlink > 1 and stat.S_ISREG(status.st_mode) and not path.is_symlink()
        first = self._seen.get(identity)
        if first is not None and not (linked and first.resolve() != path.resolve()):
            self._skip(path, f"already found as {display_name(first)}")
            return True
        self._seen.setdefault(identity, path)
        return False

    def _skip(self, path: Path, reason: str) -> None:
        self.skipped.append(Skipped(path, reason))


def _content_kind(path: Path, status: os.stat_result) -> str | None:
    """Return the format of a file by its content; None where it is no audio, or cannot be read."""
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        return None
    try:
        return sniff(path)
    except OSError:
        return None


def _other_name(kind: str) -> str:
    if kind not in SUFFIX_OF_KIND:
        return f"holds {kind} audio, which is not supported; convert it to flac"
    if kind in ("MP4", "Matroska"):
        return f"holds {kind} audio or video under another name; rename it to {SUFFIX_OF_KIND[kind]} if it is music"
    return f"holds {kind} audio under another name; rename it to {SUFFIX_OF_KIND[kind]}"


def _unique(name: str, taken: set[str]) -> str:
    label, number = storable_text(name), 2
    while label in taken:
        label, number = f"{storable_text(name)} ({number})", number + 1
    taken.add(label)
    return label
