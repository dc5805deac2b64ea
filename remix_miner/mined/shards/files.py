"""Shard files of a mined folder: their names, their paths, and what a catalogue records of a closed one."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remix_miner.audio import display_name
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES


@dataclass(frozen=True)
class ClosedShard:
    """A finished shard: its path, its table (one row per excerpt), and the SHA-256 of the file."""

    path: Path
    source: str
    excerpts: list[dict[str, Any]]
    sha256: str
    bytes: int
    frames: int
    sample_rate: int


def is_shard_name(name: str) -> bool:
    """Return whether a file name has the form of `ShardWriter`: ``<source>-<id>.h5``, id of letters, digits, '-', '_'.

    >>> is_shard_name("drums-a1.h5"), is_shard_name("../drums-a1.h5"), is_shard_name("drums-a/b.h5")
    (True, False, False)
    """
    return re.fullmatch(rf"(?:{'|'.join(SOURCES)})-[\w-]+\.h5", name) is not None


def shard_path(folder: str | os.PathLike[str], name: str) -> Path:
    """Return the path of a shard named in a catalogue; `DataError` for a name that is not of the writer's form."""
    if not is_shard_name(name):
        raise DataError(
            f"{display_name(folder)}: the catalogue names a shard {display_name(name)!r}, which is no shard's name; "
            "it is damaged or was not made by remix-miner"
        )
    return Path(folder) / "shards" / name


def shard_paths(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the closed shards of a mined folder, sorted by name, without temporary files of writers."""
    return sorted(path for path in (Path(folder) / "shards").glob("*.h5") if not path.name.startswith("."))


def temporary_paths(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the temporary files that killed writers left in a mined folder."""
    return sorted((Path(folder) / "shards").glob(".*.tmp-*"))
