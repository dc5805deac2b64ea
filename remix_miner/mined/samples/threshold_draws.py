"""Samples around a threshold in the catalogue of a mined folder: drawn stretches of tracks, and their answers.

The draw is stored before the first answer. Answers are rows of `reviews` with the purpose 'threshold' and the weight of
the draw, which is all that a calibration reads; `merge` keeps them.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from remix_miner.mined.catalogue_db import has_table

SCHEMA = """
CREATE TABLE IF NOT EXISTS threshold_samples (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    started TEXT NOT NULL,              -- UTC, ISO 8601
    settings_json TEXT NOT NULL,        -- threshold, planned, seed
    population_json TEXT NOT NULL       -- tracks, and seconds of each stratum
);
CREATE TABLE IF NOT EXISTS threshold_draws (
    sample_id INTEGER NOT NULL REFERENCES threshold_samples (id),
    position INTEGER NOT NULL,
    track_id INTEGER NOT NULL REFERENCES tracks (id),
    start_seconds REAL NOT NULL,        -- of the stretch, in the track
    seconds REAL NOT NULL,
    stratum TEXT NOT NULL,              -- below, near or far
    weight REAL NOT NULL,               -- seconds of the library's harvest that the stretch stands for
    decision TEXT,
    PRIMARY KEY (sample_id, position)
) WITHOUT ROWID
"""
STRATA = ("below", "near", "far")
"""Below the threshold; the less probable half of the harvest above it; the other half."""


@dataclass(frozen=True)
class ThresholdDraw:
    """A drawn stretch of a track. ``decision`` is None until it is answered."""

    track_id: int
    start_seconds: float
    seconds: float
    stratum: str
    weight: float
    decision: str | None = None


def create_sample(
    database: sqlite3.Connection,
    source: str,
    reviewer: str,
    settings: dict[str, Any],
    population: dict[str, Any],
    draws: Sequence[ThresholdDraw],
) -> int:
    """Store a sample and its draws, in the order in which they are played, within a transaction. Return its id."""
    for statement in SCHEMA.split(";\n"):
        database.execute(statement)
    cursor = database.execute(
        "INSERT INTO threshold_samples (source, reviewer, started, settings_json, population_json) "
        "VALUES (?, ?, ?, ?, ?)",
        (source, reviewer, datetime.now(UTC).isoformat(), json.dumps(settings), json.dumps(population)),
    )
    sample_id = int(cursor.lastrowid or 0)
    database.executemany(
        "INSERT INTO threshold_draws (sample_id, position, track_id, start_seconds, seconds, stratum, weight) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (sample_id, position, draw.track_id, draw.start_seconds, draw.seconds, draw.stratum, draw.weight)
            for position, draw in enumerate(draws)
        ],
    )
    return sample_id


def latest_sample(
    database: sqlite3.Connection, source: str, reviewer: str
) -> tuple[int, dict[str, Any], dict[str, Any]] | None:
    """Return id, settings and population of the reviewer's latest sample of a source, or None."""
    if not has_table(database, "threshold_samples"):
        return None
    row = database.execute(
        "SELECT id, settings_json, population_json FROM threshold_samples WHERE source = ? AND reviewer = ? "
        "ORDER BY id DESC LIMIT 1",
        (source, reviewer),
    ).fetchone()
    return None if row is None else (row[0], json.loads(row[1]), json.loads(row[2]))


def sample_draws(database: sqlite3.Connection, sample_id: int) -> list[ThresholdDraw]:
    """Return all draws of a sample by position."""
    rows = database.execute(
        "SELECT track_id, start_seconds, seconds, stratum, weight, decision FROM threshold_draws "
        "WHERE sample_id = ? ORDER BY position",
        (sample_id,),
    )
    return [ThresholdDraw(*row) for row in rows]


def answer_position(database: sqlite3.Connection, sample_id: int, position: int, decision: str) -> None:
    """Record the answer at a position within a transaction."""
    database.execute(
        "UPDATE threshold_draws SET decision = ? WHERE sample_id = ? AND position = ?", (decision, sample_id, position)
    )
