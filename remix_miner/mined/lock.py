"""Lock of a mined folder: one writer at a time. The operating system releases it when its process ends."""

import contextlib
import os
import socket
import time
from pathlib import Path

import filelock

from remix_miner.errors import DataError


class FolderLock:
    """Lock held from construction to `release` or the end of the process; `DataError` if another process holds it.

    The lock is the library filelock's on ``folder/.lock``; only the lock counts, not the file. The file's text names
    the last holder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".lock"
        self._lock = filelock.FileLock(self.path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise DataError(
                f"{folder} is in use by {self._holder()}; wait until it ends, or write to another folder with --out"
            ) from error
        except OSError as error:
            raise DataError(f"{folder}: cannot be written: {error.strerror}; choose another --out") from error
        with contextlib.suppress(OSError):  # on a full disk the lock holds without its text
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            self.path.write_text(f"process {os.getpid()} on {socket.gethostname()} since {started}\n", encoding="utf-8")

    def release(self) -> None:
        """Release the lock. A second call has no effect."""
        self._lock.release()

    def _holder(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8").strip() or "another process"
        except (OSError, UnicodeDecodeError):  # Windows refuses to read a locked file
            return "another process"
