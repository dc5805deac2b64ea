"""Part of a file as a file object of its own, for libsndfile."""

import os
from pathlib import Path


class FilePart:
    """The bytes from ``start`` to ``end`` of a file, read-only."""

    def __init__(self, path: Path, start: int = 0, end: int | None = None) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self.start = start
        self.end = os.fstat(self._file.fileno()).st_size if end is None else end
        self._place = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.end - self.start}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        left = max(self.end - self.start - self._place, 0)
        self._file.seek(self.start + self._place)
        data = self._file.read(left if size < 0 else min(size, left))
        self._place += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
