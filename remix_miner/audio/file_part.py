"""Part of a file as a file object of its own, for libsndfile."""

import os
from pathlib import Path


class FilePart:
    """The bytes ``before``, then those from ``start`` to ``end`` of a file, read-only."""

    def __init__(self, path: Path, start: int = 0, end: int | None = None, before: bytes = b"") -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self.start = start
        self.end = os.fstat(self._file.fileno()).st_size if end is None else end
        self._before = before
        self._size = len(before) + max(self.end - start, 0)
        self._place = 0

    @property
    def place_in_file(self) -> int:
        """The byte of the whole file that is read next."""
        return self.start + max(self._place - len(self._before), 0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._place, 0)
        size = left if size < 0 else min(size, left)
        data = self._before[self._place : self._place + size]
        self._place += len(data)
        if len(data) < size:
            self._file.seek(self.place_in_file)
            rest = self._file.read(size - len(data))
            self._place += len(rest)
            data += rest
        return data

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
