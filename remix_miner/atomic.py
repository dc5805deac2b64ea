"""Atomic file writes: temporary name, flush to disk, rename. A full disk raises `WriteError`."""

import contextlib
import errno
import glob
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from remix_miner.errors import RemixMinerError, WriteError
from remix_miner.paths import display_name

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)
PROBE_BYTES = 1 << 20


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that replaces it when the block ends without an error.

    The content is flushed to the disk before the rename and the folder after it, so a power cut leaves the old file
    or the new one. After an error the temporary file is removed and ``path`` is untouched. The suffix of ``path``
    stays last, since some writers choose the format by it. Raises `WriteError` where the disk is full, the folder
    cannot be made or writing is not allowed, whatever error the writer in the block raises for it.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.tmp-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync_file(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except RemixMinerError:
        raise
    except Exception as error:
        reason = _write_problem(error, temporary)
        if reason is None:
            raise
        kept = "the earlier file is unchanged" if path.is_file() else "nothing was written under that name"
        raise WriteError(f"{display_name(path)} cannot be written: {reason}; {kept}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_problem(error: Exception, temporary: Path) -> str | None:
    """Return why writing ``temporary`` failed and what to do; None where the error has another cause.

    safetensors gives the system's error as text. libsndfile, PyTorch and NumPy hide it; appending to the unfinished
    file shows it again.
    """
    number = error.errno if isinstance(error, OSError) and _is_about(error, temporary) else _number_in(error)
    if number not in (*NO_ROOM, *NOT_ALLOWED, *NO_FOLDER) and temporary.is_file():
        number = _append_error(temporary)
    if number in NO_ROOM:
        reason = os.strerror(number or 0).lower()
        return f"{reason}. Free space or choose another folder, then run the command again"
    if number in NOT_ALLOWED:
        return f"{os.strerror(number or 0).lower()}. Change the permissions or choose another folder"
    if number in NO_FOLDER:
        return "a part of its path is a file, not a folder. Choose another folder"
    return None


def _is_about(error: OSError, temporary: Path) -> bool:
    """Return whether an error is one of writing: it names the temporary file or its folder, or no file at all."""
    if error.filename is None:
        return error.errno in NO_ROOM
    named = Path(os.fsdecode(error.filename))
    return named == temporary or named in (*temporary.parents,)


def _number_in(error: Exception) -> int | None:
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def _append_error(temporary: Path) -> int | None:
    try:
        with open(temporary, "ab") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno
    return None


def is_temporary(path: Path) -> bool:
    """Return whether a file has a name that `atomic_path` gives to unfinished files."""
    return re.match(r"\..*\.tmp-\d+", path.name) is not None


def remove_temporary_files(folder: str | Path, below: bool = False) -> None:
    """Remove the temporary files that killed processes left in ``folder``, and with ``below`` in all folders in it.

    No other process may be writing there.
    """
    pattern = ".*.tmp-*"
    for path in Path(folder).rglob(pattern) if below else Path(folder).glob(pattern):
        if is_temporary(path):
            path.unlink(missing_ok=True)


def remove_temporary_files_of(path: str | Path) -> None:
    """Remove the temporary files that killed processes left for ``path``. No other process may be writing it."""
    path = Path(path)
    for temporary in path.parent.glob(f".{glob.escape(path.stem)}.tmp-*"):
        if is_temporary(temporary) and temporary.suffix == path.suffix:
            temporary.unlink(missing_ok=True)


def start_sync(path: Path, start_byte: int) -> None:
    """Start to write the new content of a file, from ``start_byte`` on, to the disk, so that `sync_file` waits less.

    Without effect on systems without `posix_fadvise`.
    """
    if hasattr(os, "posix_fadvise"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            # On Linux this starts to write changed pages, and drops only such as are unchanged.
            os.posix_fadvise(descriptor, start_byte, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def sync_file(path: Path) -> None:
    """Ask the operating system to put a file's content on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Ask the operating system to put a folder's list of names on the disk (a no-op where folders cannot be opened)."""
    if os.name == "nt":
        return
    sync_file(path)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all. NaN and infinity are errors: JSON has no such numbers."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
