"""Audits in the catalogue of a mined folder: drawn excerpts, answers, results.

The draw is stored before the first answer, so that neither an interruption nor the listener's choice can change it.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from remix_miner.atomic import write_json
from remix_miner.mined.catalogue_db import has_table

SCHEMA = """
CREATE TABLE IF NOT EXISTS audits (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    started TEXT NOT NULL,              -- UTC, ISO 8601
    settings_json TEXT NOT NULL,        -- confidence, promise, planned, seed
    population_json TEXT NOT NULL,      -- excerpts, tracks and seconds that were drawn from
    result_json TEXT                    -- after the latest answer
);
CREATE TABLE IF NOT EXISTS audit_draws (
    audit_id INTEGER NOT NULL REFERENCES audits (id),
    position INTEGER NOT NULL,
    excerpt_id INTEGER,                 -- NULL: a control
    track_id INTEGER,                   -- of a control, once it is found
    start_seconds REAL,
    seconds REAL,
    decision TEXT,
    clean_share REAL,                   -- of the seconds drawn, by the answer
    answered_at TEXT,
    PRIMARY KEY (audit_id, position)
) WITHOUT ROWID
"""
REPORT_NAME = "report.json"


@dataclass(frozen=True)
class Draw:
    """One drawn excerpt, or a control (``excerpt_id`` None) whose stretch is None until one is found."""

    position: int
    excerpt_id: int | None
    track_id: int | None
    start_seconds: float | None
    seconds: float | None
    decision: str | None
    clean_share: float | None

    @property
    def is_control(self) -> bool:
        return self.excerpt_id is None


def create_audit(
    database: sqlite3.Connection,
    source: str,
    reviewer: str,
    settings: dict[str, Any],
    population: dict[str, Any],
    excerpt_ids: Sequence[int | None],
) -> int:
    """Store an audit and its draw (None: a place for a control) within a transaction. Return its id."""
    for statement in SCHEMA.split(";\n"):
        database.execute(statement)
    cursor = database.execute(
        "INSERT INTO audits (source, reviewer, started, settings_json, population_json) VALUES (?, ?, ?, ?, ?)",
        (source, reviewer, _now(), json.dumps(settings), json.dumps(population)),
    )
    audit_id = int(cursor.lastrowid or 0)
    database.executemany(
        "INSERT INTO audit_draws (audit_id, position, excerpt_id) VALUES (?, ?, ?)",
        [(audit_id, position, excerpt_id) for position, excerpt_id in enumerate(excerpt_ids)],
    )
    return audit_id


def has_audits(database: sqlite3.Connection) -> bool:
    """Return whether the catalogue has the tables of audits."""
    return has_table(database, "audits")


def latest_audit(database: sqlite3.Connection, source: str, reviewer: str) -> tuple[int, dict[str, Any]] | None:
    """Return id and settings of the reviewer's latest audit of a source, or None."""
    if not has_audits(database):
        return None
    row = database.execute(
        "SELECT id, settings_json FROM audits WHERE source = ? AND reviewer = ? ORDER BY id DESC LIMIT 1",
        (source, reviewer),
    ).fetchone()
    return None if row is None else (row[0], json.loads(row[1]))


def draws_of(database: sqlite3.Connection, audit_id: int) -> list[Draw]:
    """Return all draws of an audit by position."""
    rows = database.execute(
        "SELECT position, excerpt_id, track_id, start_seconds, seconds, decision, clean_share FROM audit_draws "
        "WHERE audit_id = ? ORDER BY position",
        (audit_id,),
    )
    return [Draw(*row) for row in rows]


def answered_draws(draws: Sequence[Draw], planned: int) -> list[Draw]:
    """Return the draws that count: answered ones before the first open one, without controls that were not found.

    An answer also fills the later draws of its excerpt. Draws after the ``planned`` ones count once one of them was
    played.
    """
    answered: list[Draw] = []
    for draw in draws:
        if draw.decision is not None:
            answered.append(draw)
        elif not (draw.is_control and draw.track_id is None):
            break
    known: set[int | None] = set()
    counted, planned_end = 0, 0
    for place, draw in enumerate(answered):
        if planned_end == 0:
            known.add(draw.excerpt_id)
            counted += not draw.is_control
            planned_end = place + 1 if counted == planned else 0
        elif draw.excerpt_id not in known:
            return answered
    return answered[: planned_end or len(answered)]


def place_control(
    database: sqlite3.Connection, audit_id: int, position: int, track_id: int, start_seconds: float, seconds: float
) -> None:
    """Store the stretch of a control within a transaction."""
    database.execute(
        "UPDATE audit_draws SET track_id = ?, start_seconds = ?, seconds = ? WHERE audit_id = ? AND position = ? "
        "AND excerpt_id IS NULL AND decision IS NULL",
        (track_id, start_seconds, seconds, audit_id, position),
    )


def answer_draw(database: sqlite3.Connection, audit_id: int, draw: Draw, decision: str, clean_share: float) -> None:
    """Record an answer within a transaction: for this draw and for every later draw of the same excerpt."""
    same = "excerpt_id = ?" if draw.excerpt_id is not None else "position = ?"
    database.execute(
        f"UPDATE audit_draws SET decision = ?, clean_share = ?, answered_at = ? WHERE audit_id = ? AND {same}",
        (
            decision,
            clean_share,
            _now(),
            audit_id,
            draw.position if draw.excerpt_id is None else draw.excerpt_id,
        ),
    )


def store_result(database: sqlite3.Connection, audit_id: int, result: dict[str, Any]) -> None:
    """Store the result so far within a transaction."""
    database.execute("UPDATE audits SET result_json = ? WHERE id = ?", (json.dumps(result), audit_id))


def audit_results(database: sqlite3.Connection) -> dict[str, list[dict[str, Any]]]:
    """Return the results of all audits with an answer, by source, oldest first, as in `audits` of report.json."""
    found: dict[str, list[dict[str, Any]]] = {}
    if has_audits(database):
        rows = database.execute("SELECT source, result_json FROM audits WHERE result_json IS NOT NULL ORDER BY id")
        for source, text in rows:
            found.setdefault(source, []).append(json.loads(text))
    return found


def write_audits(folder: Path, database: sqlite3.Connection) -> None:
    """Update `audits` in ``folder/report.json``. The rest of the report is kept."""
    path = folder / REPORT_NAME
    report = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_json(path, {**report, "audits": audit_results(database)})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
