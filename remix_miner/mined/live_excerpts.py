"""Live excerpts, which readers use: those that no review rejects, and the rest of excerpts beside a wrong stretch."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remix_miner.errors import DataError
from remix_miner.mined.catalogue_db import LIVE
from remix_miner.mined.reviews.decisions import LATEST, has_reviews
from remix_miner.sources import SOURCES

SHORTEST_SECONDS = 5.0
"""Of what is kept beside a wrong stretch, where the scan's settings state no ``min_seconds``."""

COLUMNS = (
    "excerpts.id, excerpts.track_id, excerpts.source, shard, shard_start, frames, excerpts.start_seconds, "
    "excerpts.seconds, probability_mean, probability_min, expected_volume_db, review"
)


@dataclass(frozen=True, slots=True)
class LiveExcerpt:
    """A stretch of audio that counts as silent in ``source``: a whole excerpt, or a part of a rejected one.

    ``shard_start`` and ``frames`` lie in the shard's `/audio`, ``start_seconds`` in the track. ``shard`` is empty where
    no audio is stored; ``shard_start`` and ``frames`` are then those of the track's file. ``excerpt_id`` is the
    catalogue's row; two parts of one excerpt share it.
    """

    excerpt_id: int
    track_id: int
    source: str
    shard: str
    shard_start: int
    frames: int
    start_seconds: float
    seconds: float
    probability_mean: float
    probability_min: float
    expected_volume_db: float | None
    review: str | None

    @property
    def end_seconds(self) -> float:
        return self.start_seconds + self.seconds


def live_excerpts(
    database: sqlite3.Connection, sources: Sequence[str] = SOURCES, *, accepted_only: bool = False
) -> Iterator[LiveExcerpt]:
    """Yield the live excerpts of ``sources`` by shard and place. ``accepted_only``: only those a listener accepted."""
    marks = ",".join("?" * len(sources))
    condition = "review = 'accepted'" if accepted_only else LIVE
    query = f"SELECT {COLUMNS}, NULL, NULL FROM excerpts WHERE {condition} AND source IN ({marks})"
    arguments = list(sources)
    if has_reviews(database):
        query += f" UNION ALL {_WITH_STRETCH} AND excerpts.source IN ({marks})"
        arguments *= 2
    shortest = shortest_seconds(database)
    for *row, wrong_start, wrong_end in database.execute(f"{query} ORDER BY shard, shard_start", arguments):
        excerpt = _excerpt(row)
        if wrong_start is None:
            yield excerpt
        else:
            yield from kept_beside(excerpt, (wrong_start, wrong_end), shortest)


def kept_parts(database: sqlite3.Connection) -> Iterator[LiveExcerpt]:
    """Yield the usable parts of rejected excerpts in which a stretch was marked as wrong."""
    if not has_reviews(database):
        return
    shortest = shortest_seconds(database)
    for *row, wrong_start, wrong_end in database.execute(f"{_WITH_STRETCH} ORDER BY shard, shard_start"):
        yield from kept_beside(_excerpt(row), (wrong_start, wrong_end), shortest)


def _excerpt(row: list[Any]) -> LiveExcerpt:
    """Return a row of `COLUMNS`."""
    row[3] = row[3] or ""
    return LiveExcerpt(*row)


def kept_beside(excerpt: LiveExcerpt, wrong: tuple[float, float], shortest: float) -> Iterator[LiveExcerpt]:
    """Yield the parts before and after the stretch ``wrong`` (seconds of the track) of at least ``shortest`` seconds.

    >>> excerpt = LiveExcerpt(1, 1, "drums", "a.h5", 100, 20_000, 40.0, 20.0, 0.9, 0.8, None, "rejected")
    >>> [(part.shard_start, part.frames, part.start_seconds) for part in kept_beside(excerpt, (42.0, 50.0), 5.0)]
    [(10100, 10000, 50.0)]
    """
    rate = excerpt.frames / excerpt.seconds
    first_wrong = max(0, int((wrong[0] - excerpt.start_seconds) * rate))
    after_wrong = min(excerpt.frames, -int(-(wrong[1] - excerpt.start_seconds) * rate // 1))
    for first, end in ((0, first_wrong), (after_wrong, excerpt.frames)):
        if end - first >= shortest * rate - 0.5:
            yield LiveExcerpt(
                excerpt.excerpt_id,
                excerpt.track_id,
                excerpt.source,
                excerpt.shard,
                excerpt.shard_start + first,
                end - first,
                excerpt.start_seconds + first / rate,
                (end - first) / rate,
                excerpt.probability_mean,
                excerpt.probability_min,
                excerpt.expected_volume_db,
                excerpt.review,
            )


def check_audio_stored(folder: Path, database: sqlite3.Connection) -> None:
    """Raise `DataError` for a folder that was mined without audio."""
    if database.execute("SELECT 1 FROM excerpts WHERE shard IS NULL LIMIT 1").fetchone() is not None:
        raise DataError(
            f"{folder} was mined without audio (detect --no-audio); cut it with "
            f"remix-miner remine {folder} --out FOLDER, or write labels with export --format labels"
        )


def shortest_seconds(database: sqlite3.Connection) -> float:
    """Return the scan's shortest excerpt length, which also bounds the parts kept beside a wrong stretch."""
    row = database.execute("SELECT value FROM meta WHERE key = 'settings_json'").fetchone()
    return float(json.loads(row[0]).get("min_seconds", SHORTEST_SECONDS)) if row else SHORTEST_SECONDS


_WITH_STRETCH = (
    f"SELECT {COLUMNS}, wrong_start_seconds, wrong_end_seconds FROM excerpts "
    f"JOIN reviews ON reviews.id = {LATEST.format(excerpt='excerpts.id')} "
    "WHERE excerpts.id IN (SELECT excerpt_id FROM reviews WHERE wrong_start_seconds IS NOT NULL AND NOT undone) "
    "AND review = 'rejected' AND decision = 'rejected' AND wrong_start_seconds IS NOT NULL"
)
