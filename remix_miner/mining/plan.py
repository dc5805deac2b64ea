"""Plan of a scan: this machine's share of the library's files, the longest first."""

import hashlib
import re
from collections.abc import Iterable, Sequence

from remix_miner.datasets.library import LibraryFile
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mining.messages import Task

BYTES_PER_SECOND = {
    ".wav": 176_400,
    ".aif": 176_400,
    ".aiff": 176_400,
    ".flac": 100_000,
    ".mp4": 120_000,
    ".opus": 16_000,
}
"""Of a usual file of each format, to estimate lengths without opening a million files."""
LOSSY_BYTES_PER_SECOND = 25_000


def parse_shard(text: str) -> tuple[int, int]:
    """('2/8') -> (2, 8): the second of eight shares. Shares count from 1, as Slurm's ``--array=1-8`` does.

    >>> parse_shard("2/8")
    (2, 8)
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard is I/N with I from 1 to N, for example 3/40; got {text!r}")
    return int(match[1]), int(match[2])


def share_of(files: Iterable[LibraryFile], shard: tuple[int, int]) -> list[LibraryFile]:
    """Return the files of one share. A file's share depends only on a hash of its name."""
    index, count = shard
    return [file for file in files if _hash(file.name) % count == index - 1]


def check_share(catalogue: Catalogue, shard: tuple[int, int] | None) -> None:
    """Record the share of a mined folder, within a transaction; `DataError` when it holds another share."""
    if shard is None:
        return
    wanted = f"{shard[0]}/{shard[1]}"
    row = catalogue.database.execute("SELECT value FROM meta WHERE key = 'share'").fetchone()
    if row is not None and row[0] != wanted:
        raise DataError(
            f"{catalogue.folder} holds share {row[0]} of a library; scan share {wanted} into a folder of its own, then "
            "join them with remix-miner merge"
        )
    catalogue.database.execute("INSERT OR REPLACE INTO meta VALUES ('share', ?)", (wanted,))


def estimated_seconds(file: LibraryFile) -> float:
    """Return the length of a file by its size and format, within a factor of two or so."""
    return file.size / BYTES_PER_SECOND.get(file.path.suffix.lower(), LOSSY_BYTES_PER_SECOND)


def tasks_for(files: Sequence[LibraryFile], planted: Sequence[LibraryFile] = ()) -> list[Task]:
    """Return tasks, planted ones among them, longest first, so that workers end at about the same time."""
    tasks = [Task(file, estimated_seconds(file)) for file in files]
    tasks += [Task(file, estimated_seconds(file), store=False) for file in planted]
    return sorted(tasks, key=lambda task: (-task.seconds, task.file.name))


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big")
