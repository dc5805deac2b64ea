"""Index of the live excerpts in a folder of shards: for each its shard, place, track and probability."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.errors import DataError
from remix_miner.mined.catalogue_db import CATALOGUE_NAME, connect_to_read, reading_errors
from remix_miner.mined.live_excerpts import check_audio_stored, live_excerpts
from remix_miner.mined.shards.files import shard_paths
from remix_miner.mined.shards.reader import Shard
from remix_miner.sources import SOURCES

INDEX_DTYPE = np.dtype(
    [
        ("shard", "<i4"),
        ("source", "<i4"),
        ("track", "<i8"),
        ("start_frame", "<i8"),
        ("frames", "<i4"),
        ("expected_volume_db", "<f4"),
        ("probability_mean", "<f4"),
    ]
)


def read_index(folder: Path, sources: Iterable[str]) -> tuple[list[Path], np.ndarray]:
    """Return the shards, and for each live excerpt its entry of `INDEX_DTYPE`."""
    paths = shard_paths(folder)
    if not (folder / CATALOGUE_NAME).is_file():
        if not paths:
            raise DataError(f"{folder} holds no shards; name a folder written by `remix-miner detect --out`")
        pieces = []
        tracks: dict[bytes, int] = {}
        for number, path in enumerate(paths):
            with Shard(path) as shard:
                if shard.source in sources:
                    piece = np.zeros(len(shard.excerpts), dtype=INDEX_DTYPE)
                    piece["shard"], piece["source"] = number, SOURCES.index(shard.source)
                    piece["track"] = [tracks.setdefault(name, len(tracks)) for name in shard.excerpts["track"]]
                    piece["start_frame"], piece["frames"] = shard.excerpts["start_frame"], shard.excerpts["frames"]
                    piece["expected_volume_db"] = np.nan
                    piece["probability_mean"] = shard.excerpts["probability_mean"]
                    pieces.append(piece)
        return paths, np.concatenate(pieces) if pieces else np.zeros(0, dtype=INDEX_DTYPE)
    with reading_errors(folder / CATALOGUE_NAME):
        database = connect_to_read(folder)
        try:
            check_audio_stored(folder, database)
            index = np.fromiter(_live_excerpts(database, paths, list(sources)), dtype=INDEX_DTYPE)
        finally:
            database.close()
    return paths, index


def _live_excerpts(database: sqlite3.Connection, paths: list[Path], sources: list[str]) -> Iterator[tuple[Any, ...]]:
    numbers = {path.name: number for number, path in enumerate(paths)}
    codes = {source: SOURCES.index(source) for source in sources}
    for excerpt in live_excerpts(database, sources):
        if excerpt.shard not in numbers:
            raise DataError(
                f"shards/{excerpt.shard} is in the catalogue but not on the disk: copy it, or run `remix-miner detect` "
                "again"
            )
        expected = np.nan if excerpt.expected_volume_db is None else excerpt.expected_volume_db
        number, code = numbers[excerpt.shard], codes[excerpt.source]
        place = excerpt.track_id, excerpt.shard_start, excerpt.frames
        yield number, code, *place, expected, excerpt.probability_mean
