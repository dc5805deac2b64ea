"""Safe unpacking of estimates from a zip of unknown origin.

Names outside the folder, links, encrypted or repeated members, and other file types are refused before anything is
written. Sizes are counted while unpacking, since the directory of a zip can state wrong ones. The number of members and
the size of the directory are checked, from the end of the file, before the directory is read.
"""

import errno
import lzma
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from remix_miner.audio import display_name
from remix_miner.datasets.tracks import Track
from remix_miner.errors import DataError, WriteError

PIECE = 2**20
IGNORED = ("__MACOSX", ".DS_Store", "Thumbs.db")
SUFFIXES = (".wav", ".flac")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
HEADER_BYTES = 2**16
DIRECTORY_BYTES = 1024
"""Of the zip's directory per member: a name of some hundred bytes and its fields."""

END, END64 = b"PK\x05\x06", b"PK\x06\x06"
TAIL_BYTES = 2**16 + 128
UNREADABLE = (
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits of an archive: bytes of the unpacked files, and number of files."""

    max_bytes: int
    max_files: int


def limits_for(tracks: Sequence[Track], sources: Sequence[str], others: int = 0) -> ArchiveLimits:
    """Return limits for estimates of ``sources`` for ``tracks``: float64 wav is the largest sensible file.

    ``others``: files per track that may lie beside the estimates, such as mixtures.
    """
    files = len(tracks) * (len(sources) + others)
    samples = sum(track.frames * track.channels for track in tracks) * (len(sources) + others)
    return ArchiveLimits(8 * samples + files * HEADER_BYTES, 2 * files)


def unpack(path: str | Path, folder: Path, limits: ArchiveLimits) -> None:
    """Unpack wav and flac files of a zip below ``folder``.

    Raises `DataError` with the offending member's name, `WriteError` where there is no room.
    """
    shown = display_name(path)
    try:
        _check_end(Path(path), shown, limits)
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir() and not _ignored(member.filename)]
            _check(members, shown, limits)
            written = 0
            for member in members:
                target = folder / PurePosixPath(member.filename)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(target, "wb") as file:
                    while piece := source.read(PIECE):
                        written += len(piece)
                        if written > limits.max_bytes:
                            raise _too_large(shown, limits)
                        file.write(piece)
    except UNREADABLE as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise WriteError(
                f"no room to unpack {shown} in {display_name(folder.parent)}: {os.strerror(error.errno).lower()}; set "
                "TMPDIR to a folder with more room"
            ) from error
        raise DataError(f"{shown} cannot be unpacked: {display_name(str(error))}; make a plain zip again") from error
    except DataError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _check_end(path: Path, shown: str, limits: ArchiveLimits) -> None:
    """Refuse archives whose end records state more members, or a larger directory, than the limits allow.

    Every record in the last bytes of the file counts, whichever of them `zipfile` would choose.
    """
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        size = file.tell()
        file.seek(max(size - TAIL_BYTES, 0))
        tail = file.read()
    for signature, form in ((END64, "<4sQ2H2I4Q"), (END, "<4s4H2I")):
        position = tail.find(signature)
        while position >= 0:
            record = tail[position : position + struct.calcsize(form)]
            if len(record) == struct.calcsize(form):
                fields = struct.unpack(form, record)
                count, directory = (fields[4], fields[5]) if signature == END else (fields[7], fields[8])
                _check_counts(count, directory, signature, shown, limits)
            position = tail.find(signature, position + 1)


def _check_counts(count: int, directory: int, signature: bytes, shown: str, limits: ArchiveLimits) -> None:
    if signature == END and count == 0xFFFF:  # the 64 bit record states the number
        count = 0
    if signature == END and directory == 0xFFFFFFFF:
        directory = 0
    if count > limits.max_files:
        raise DataError(f"{shown} holds {count} files, more than the {limits.max_files} allowed")
    if directory > DIRECTORY_BYTES * limits.max_files + HEADER_BYTES:
        raise DataError(f"{shown}: its directory of {directory} bytes is larger than {limits.max_files} files need")


def _check(members: list[zipfile.ZipInfo], shown: str, limits: ArchiveLimits) -> None:
    if len(members) > limits.max_files:
        raise DataError(f"{shown} holds {len(members)} files, more than the {limits.max_files} allowed")
    if sum(member.file_size for member in members) > limits.max_bytes:
        raise _too_large(shown, limits)
    seen: set[str] = set()
    for member in members:
        name = member.filename
        parts = PurePosixPath(name).parts
        if (
            not parts
            or name.startswith("/")
            or ".." in parts
            or "\\" in name
            or ":" in parts[0]
            or "\0" in member.orig_filename
        ):
            raise DataError(f"{shown}: member {name!r} would be written outside the folder; use plain relative names")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise DataError(f"{shown}: member {name!r} is a link; zip the files themselves")
        if member.flag_bits & 1:
            raise DataError(f"{shown}: member {name!r} is encrypted; zip without a password")
        if member.compress_type not in METHODS:
            raise DataError(f"{shown}: member {name!r} is compressed by method {member.compress_type}; use deflate")
        if not name.lower().endswith(SUFFIXES):
            raise DataError(f"{shown}: member {name!r} is neither wav nor flac; leave it out")
        if name.casefold() in seen:
            raise DataError(f"{shown}: member {name!r} is there twice (upper and lower case are one)")
        seen.add(name.casefold())


def _ignored(name: str) -> bool:
    return any(part in IGNORED or part.startswith("._") for part in PurePosixPath(name).parts)


def _too_large(shown: str, limits: ArchiveLimits) -> DataError:
    return DataError(
        f"{shown} unpacks to more than {limits.max_bytes / 2**20:.0f} MiB, which these estimates cannot need; "
        "send one wav or flac file per source and track"
    )
