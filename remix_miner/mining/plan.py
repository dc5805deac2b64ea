"""What a scan has to do: the library's files, this machine's share of them, the longest first."""

import hashlib
import re
from collections.abc import Iterable, Sequence

from remix_miner.datasets.library import LibraryFile
from remix_miner.errors import UsageError
from remix_miner.mining.messages import Task

BYTES_PER_SECOND = {
    ".wav": 176_400,
    ".aif": 176_400,
    ".aiff": 176_400,
    ".flac": 100_000,
    ".mp4": 120_000,
    ".opus": 16_000,
}
"""Of a usual file of each format, to foretell lengths without opening a million files."""
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
    """The files of one share: each file is in exactly one, by a hash of its name, whatever else the library holds."""
    index, count = shard
    return [file for file in files if _hash(file.name) % count == index - 1]


def estimated_seconds(file: LibraryFile) -> float:
    """Length of a file by its size and format, within a factor of two or so."""
    return file.size / BYTES_PER_SECOND.get(file.path.suffix.lower(), LOSSY_BYTES_PER_SECOND)


def tasks_for(files: Sequence[LibraryFile], planted: Sequence[LibraryFile] = ()) -> list[Task]:
    """Tasks, longest first, so that no worker is left alone with a long track at the end; planted ones among them."""
    tasks = [Task(file, estimated_seconds(file)) for file in files]
    tasks += [Task(file, estimated_seconds(file), store=False) for file in planted]
    return sorted(tasks, key=lambda task: (-task.seconds, task.file.name))


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big")
