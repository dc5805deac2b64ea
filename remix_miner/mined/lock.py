"""Lock of a mined folder: one writer at a time. The operating system releases it when its process ends.

The library filelock is no alternative: each attempt truncates the lock file, which contains the name of the holder.
"""

import contextlib
import os
import socket
import time
from pathlib import Path
from typing import IO

from remix_miner.errors import DataError


class FolderLock:
    """Lock held from construction to `release` or the end of the process; `DataError` if another process holds it.

    The lock is `flock` on ``folder/.lock`` (`msvcrt.locking` on Windows), which on Linux also works between machines on
    NFS. The file stays; only the lock counts. Its text names the last holder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] | None = self.path.open("a+", encoding="utf-8")
        except OSError as error:
            raise DataError(f"{folder}: cannot be written: {error.strerror}; choose another --out") from error
        try:
            _lock(self._file.fileno())
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise DataError(
                f"{folder} is in use by {holder}; wait until it ends, or write to another folder with --out"
            ) from error
        with contextlib.suppress(OSError):  # on a full disk the lock holds without its text
            self._file.truncate(0)
            self._file.write(
                f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
            )
            self._file.flush()

    def release(self) -> None:
        """Release the lock. A second call has no effect."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


if os.name == "nt":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # a byte beyond the text, so that the text can be read
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
