"""Files that appear whole or not at all: write under a temporary name, flush to the disk, rename."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` which replaces it when the block ends without an error.

    The content is flushed to the disk before the rename and the folder after it, so a power cut leaves the old file
    or the new one. After an error the temporary file is removed and ``path`` is untouched. The suffix of ``path`` is
    kept last, since some writers choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.tmp-{os.getpid()}{path.suffix}")
    try:
        yield temporary
        sync_file(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def start_sync(path: Path, start: int) -> None:
    """Ask the operating system to begin putting what a file holds from byte ``start`` on, and was just written, on the
    disk, so that `sync_file` has less to wait for. Nothing happens where it has no way to be asked.
    """
    if hasattr(os, "posix_fadvise"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            # On Linux this starts to write changed pages, and drops only such as are unchanged.
            os.posix_fadvise(descriptor, start, 0, os.POSIX_FADV_DONTNEED)
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
