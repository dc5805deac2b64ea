"""Items of a review: excerpts of the catalogue, and stretches of tracks (controls, draws around a threshold)."""

import sqlite3
from dataclasses import dataclass

from remix_miner.errors import DataError
from remix_miner.mined.reviews.decisions import Review

COLUMNS = (
    "excerpts.id, track_id, tracks.path, tracks.seconds, source, start_seconds, excerpts.seconds, probability_mean, "
    "probability_min, expected_volume_db, review, shard, shard_start, frames"
)


@dataclass(frozen=True)
class Item:
    """An excerpt or a stretch. ``track``: name in the catalogue. Without ``shard``, the library's file is read."""

    excerpt_id: int | None
    track_id: int
    track: str
    track_seconds: float
    source: str
    start_seconds: float
    seconds: float
    probability_mean: float | None
    probability_min: float | None
    expected_volume_db: float | None
    review: str | None
    shard: str | None
    shard_start: int = 0
    frames: int = 0

    @classmethod
    def of_stretch(
        cls, track_id: int, track: str, track_seconds: float, source: str, stretch: tuple[float, float]
    ) -> "Item":
        """Return a stretch of a track (start and end in seconds) as an item."""
        start, end = stretch
        return cls(None, track_id, track, track_seconds, source, start, end - start, None, None, None, None, None)

    @property
    def end_seconds(self) -> float:
        return self.start_seconds + self.seconds

    def review_by(self, reviewer: str, decision: str, stretch: tuple[float, float] | None) -> Review:
        """Return the record of a decision; ``stretch``: what is wrong, in seconds of the track."""
        return Review(
            self.track_id,
            self.source,
            self.start_seconds,
            self.seconds,
            decision,
            reviewer,
            excerpt_id=self.excerpt_id,
            stretch=stretch,
        )


def item_of_excerpt(database: sqlite3.Connection, excerpt_id: int) -> Item:
    """Return an excerpt as an item. Raises `DataError` for an excerpt that is not in the catalogue."""
    row = database.execute(
        f"SELECT {COLUMNS} FROM excerpts JOIN tracks ON tracks.id = track_id WHERE excerpts.id = ?", (excerpt_id,)
    ).fetchone()
    if row is None:
        raise DataError(f"the catalogue has no excerpt {excerpt_id}")
    return Item(*row)
