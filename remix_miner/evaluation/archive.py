"""Unpacks estimates from a zip of unknown origin.

Names that leave the folder, links, encrypted or doubled members and other file types are refused before anything is
written; sizes are counted while unpacking, since the directory of a zip can state others.
"""

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from remix_miner.audio import display_name
from remix_miner.errors import DataError

MAX_FILES = 20_000
MAX_BYTES = 50 * 2**30
PIECE = 2**20
IGNORED = ("__MACOSX", ".DS_Store", "Thumbs.db")
SUFFIXES = (".wav", ".flac")


def unpack(path: str | Path, folder: Path, *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> None:
    """Unpack wav and flac files of a zip below ``folder``; raises `DataError` with the offending member's name."""
    shown = display_name(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir() and not _ignored(member.filename)]
            _check(members, shown, max_bytes, max_files)
            written = 0
            for member in members:
                target = folder / PurePosixPath(member.filename)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(target, "wb") as file:
                    while piece := source.read(PIECE):
                        written += len(piece)
                        if written > max_bytes:
                            raise _too_large(shown, max_bytes)
                        file.write(piece)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"{shown} cannot be unpacked: {error}; make a plain zip again") from error
    except DataError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _check(members: list[zipfile.ZipInfo], shown: str, max_bytes: int, max_files: int) -> None:
    if len(members) > max_files:
        raise DataError(f"{shown} holds {len(members)} files, more than the {max_files} allowed")
    if sum(member.file_size for member in members) > max_bytes:
        raise _too_large(shown, max_bytes)
    seen: set[str] = set()
    for member in members:
        name = member.filename
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or "\0" in member.orig_filename:
            raise DataError(f"{shown}: member {name!r} would be written outside the folder; use plain relative names")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise DataError(f"{shown}: member {name!r} is a link; zip the files themselves")
        if member.flag_bits & 1:
            raise DataError(f"{shown}: member {name!r} is encrypted; zip without a password")
        if not name.lower().endswith(SUFFIXES):
            raise DataError(f"{shown}: member {name!r} is neither wav nor flac; leave it out")
        if name.casefold() in seen:
            raise DataError(f"{shown}: member {name!r} is there twice (upper and lower case are one)")
        seen.add(name.casefold())


def _ignored(name: str) -> bool:
    return any(part in IGNORED or part.startswith("._") for part in PurePosixPath(name).parts)


def _too_large(shown: str, max_bytes: int) -> DataError:
    return DataError(
        f"{shown} unpacks to more than {max_bytes / 2**20:.0f} MiB, which these estimates cannot need; "
        "send one wav or flac file per source and track"
    )
