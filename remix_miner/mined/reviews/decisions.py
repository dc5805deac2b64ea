"""Reviews: decisions of listeners about excerpts, in the table `reviews` of the catalogue.

Each decision is one row, which is never removed. The column `excerpts.review` holds the decision that counts: the
latest one that was not undone. A review also stores its stretch of the track, so that it can be applied to excerpts
that are cut again.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue_db import (
    CATALOGUE_NAME,
    check_version,
    connect,
    has_table,
    transaction,
)

DECISIONS = ("accepted", "rejected", "unsure")
PURPOSES = ("browse", "audit", "control", "threshold", "applied")
"""Why an excerpt was judged: chosen by the listener, drawn by an audit, a control of an audit, near the threshold.
'applied': not judged itself; derived from a decision about audio that it shares (`reviews.by_stretch`)."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS reviews (
    id INTEGER PRIMARY KEY,
    excerpt_id INTEGER REFERENCES excerpts (id) ON DELETE SET NULL,  -- NULL: a control, or an excerpt that is gone
    track_id INTEGER NOT NULL REFERENCES tracks (id),
    track_sha256 TEXT,
    source TEXT NOT NULL,
    start_seconds REAL NOT NULL,        -- of what was judged, in the track
    seconds REAL NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('accepted', 'rejected', 'unsure')),
    wrong_start_seconds REAL,           -- the stretch that is wrong, in the track; NULL: none marked
    wrong_end_seconds REAL,
    reviewer TEXT NOT NULL,
    reviewed_at TEXT NOT NULL,          -- UTC, ISO 8601
    purpose TEXT NOT NULL,              -- browse, audit, control, threshold, applied
    weight REAL,                        -- seconds of the harvest that a drawn excerpt stands for; NULL: not drawn
    undone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS reviews_by_excerpt ON reviews (excerpt_id);
CREATE INDEX IF NOT EXISTS reviews_by_track ON reviews (track_id)
"""

LATEST = (
    "(SELECT id FROM reviews WHERE excerpt_id = {excerpt} AND NOT undone ORDER BY reviewed_at DESC, id DESC LIMIT 1)"
)
"""The review of an excerpt that counts; format it with the excerpt's id or a column."""


@dataclass(frozen=True)
class Review:
    """One decision to record. ``stretch``: start and end of what is wrong, in seconds of the track."""

    track_id: int
    source: str
    start_seconds: float
    seconds: float
    decision: str
    reviewer: str
    purpose: str = "browse"
    excerpt_id: int | None = None
    stretch: tuple[float, float] | None = None
    weight: float | None = None

    def __post_init__(self) -> None:
        if self.decision not in DECISIONS:
            raise UsageError(f"a decision is one of {', '.join(DECISIONS)}, got {self.decision!r}")
        if self.purpose not in PURPOSES:
            raise UsageError(f"the purpose of a review is one of {', '.join(PURPOSES)}, got {self.purpose!r}")
        if self.stretch is None:
            return
        if self.decision != "rejected":
            raise UsageError(f"only a rejected excerpt has a stretch that is wrong; the decision is {self.decision!r}")
        start, end = self.stretch
        if not self.start_seconds - 0.01 <= start < end <= self.start_seconds + self.seconds + 0.01:
            raise UsageError(
                f"the stretch {start:.2f} to {end:.2f} s does not lie in the excerpt, "
                f"{self.start_seconds:.2f} to {self.start_seconds + self.seconds:.2f} s"
            )


def has_reviews(database: sqlite3.Connection, schema: str = "main") -> bool:
    """Return whether the catalogue has the table. Folders of earlier versions or without reviews have none."""
    return has_table(database, "reviews", schema)


def create_reviews(database: sqlite3.Connection) -> None:
    """Create the table if it is missing, within a transaction."""
    for statement in SCHEMA.split(";\n"):
        database.execute(statement)


@contextlib.contextmanager
def review_transaction(folder: Path) -> Iterator[sqlite3.Connection]:
    """Run the block as a transaction on the catalogue of ``folder``, with the table created: committed or rolled back.

    It needs no lock on the folder: SQLite serialises the writes of scan and review, and each transaction is short.
    """
    path = Path(folder) / CATALOGUE_NAME
    if not path.is_file():
        raise DataError(f"{folder} holds no {CATALOGUE_NAME}; name a folder written by `remix-miner detect --out`")
    database = connect(path, "rw")
    try:
        check_version(database, path)
        with transaction(database, path):
            create_reviews(database)
            yield database
    finally:
        database.close()


def record(database: sqlite3.Connection, review: Review) -> int:
    """Add a review within a transaction, make it the one that counts, and return its id.

    A superseded excerpt (its file has changed) stays superseded.
    """
    start, end = review.stretch or (None, None)
    cursor = database.execute(
        "INSERT INTO reviews (excerpt_id, track_id, track_sha256, source, start_seconds, seconds, decision, "
        "wrong_start_seconds, wrong_end_seconds, reviewer, reviewed_at, purpose, weight) "
        "SELECT ?, id, sha256, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM tracks WHERE id = ?",
        (
            review.excerpt_id,
            review.source,
            review.start_seconds,
            review.seconds,
            review.decision,
            start,
            end,
            review.reviewer,
            datetime.now(UTC).isoformat(timespec="microseconds"),
            review.purpose,
            review.weight,
            review.track_id,
        ),
    )
    if cursor.rowcount != 1:
        raise DataError(f"the catalogue has no track {review.track_id}")
    if review.excerpt_id is not None:
        apply_latest(database, review.excerpt_id)
    return int(cursor.lastrowid or 0)


def undo(database: sqlite3.Connection, reviewer: str) -> int | None:
    """Undo the reviewer's latest decision within a transaction. Return its excerpt, or None if there is none.

    Answers to an audit cannot be undone, so that the sample stays random.
    """
    row = database.execute(
        "SELECT id, excerpt_id FROM reviews WHERE reviewer = ? AND NOT undone AND excerpt_id IS NOT NULL "
        "AND purpose NOT IN ('audit', 'control', 'applied') ORDER BY reviewed_at DESC, id DESC LIMIT 1",
        (reviewer,),
    ).fetchone()
    if row is None:
        return None
    database.execute("UPDATE reviews SET undone = 1 WHERE id = ?", (row[0],))
    apply_latest(database, row[1])
    return int(row[1])


def apply_latest(database: sqlite3.Connection, excerpt_id: int | None = None) -> None:
    """Update `excerpts.review` from the reviews, for one excerpt or for all that have reviews."""
    chosen = "id = ?" if excerpt_id is not None else "id IN (SELECT excerpt_id FROM reviews)"
    database.execute(
        f"UPDATE excerpts SET review = (SELECT decision FROM reviews WHERE id = {LATEST.format(excerpt='excerpts.id')})"
        f" WHERE {chosen} AND review IS NOT 'superseded'",
        () if excerpt_id is None else (excerpt_id,),
    )
