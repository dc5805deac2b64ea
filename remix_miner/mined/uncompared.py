"""Tracks of a catalogue that are not yet compared for copies, and the removal of tracks that turn out to be copies.

A scan takes the fingerprint of a track with its excerpts, so a copy is recognised only after it is scanned. The table
`uncompared` lists the tracks that were scanned since copies were last looked for. The choice among copies removes the
others and empties the table in one transaction; until then all of them have excerpts.
"""

import sqlite3
from collections.abc import Iterable

from remix_miner.mined.catalogue_db import has_table

SCHEMA = "CREATE TABLE IF NOT EXISTS uncompared (track_id INTEGER PRIMARY KEY)"


def add_uncompared(database: sqlite3.Connection, names: Iterable[str]) -> None:
    """List tracks as not yet compared, within a transaction."""
    names = list(names)
    if not names:
        return
    database.execute(SCHEMA)
    database.executemany(
        "INSERT OR IGNORE INTO uncompared SELECT id FROM tracks WHERE path = ?", [(name,) for name in names]
    )


def uncompared_tracks(database: sqlite3.Connection) -> set[str]:
    """Return the names of the tracks that are done and not yet compared. Folders of older versions have none."""
    if not has_table(database, "uncompared"):
        return set()
    query = "SELECT path FROM uncompared JOIN tracks ON tracks.id = track_id WHERE status = 'done'"
    return {name for (name,) in database.execute(query)}


def end_comparison(database: sqlite3.Connection) -> None:
    """List no track as uncompared any more, within a transaction."""
    if has_table(database, "uncompared"):
        database.execute("DELETE FROM uncompared")


def judged_tracks(database: sqlite3.Connection) -> set[str]:
    """Return the names of the tracks that have a review, or a place in the draw of an audit or of a threshold."""
    conditions = {
        "reviews": "id IN (SELECT track_id FROM reviews WHERE track_sha256 IS tracks.sha256)",
        "audit_draws": "id IN (SELECT track_id FROM excerpts WHERE id IN (SELECT excerpt_id FROM audit_draws))",
        "threshold_draws": "id IN (SELECT track_id FROM threshold_draws)",
    }
    chosen = " OR ".join(["false", *(text for table, text in conditions.items() if has_table(database, table))])
    return {name for (name,) in database.execute(f"SELECT path FROM tracks WHERE {chosen}")}


def drop_tracks(database: sqlite3.Connection, names: Iterable[str]) -> None:
    """Remove tracks with their excerpts, within a transaction. The audio stays in its shards, which no reader takes.

    Reviews and draws of such a track, which are of an earlier version of its file, are removed, too.
    """
    database.execute("CREATE TEMP TABLE dropped (id INTEGER PRIMARY KEY)")
    database.executemany("INSERT INTO dropped SELECT id FROM tracks WHERE path = ?", [(name,) for name in names])
    for table in ("uncompared", "threshold_draws", "reviews", "excerpts"):
        if has_table(database, table):
            database.execute(f"DELETE FROM {table} WHERE track_id IN (SELECT id FROM dropped)")
    database.execute("DELETE FROM tracks WHERE id IN (SELECT id FROM dropped)")
    database.execute("DROP TABLE dropped")


def unread_frames(database: sqlite3.Connection) -> int:
    """Return the frames in shards that no reader takes: of copies, and of files that have changed since."""
    (stored,) = database.execute("SELECT ifnull(sum(frames), 0) FROM shards").fetchone()
    query = "SELECT ifnull(sum(frames), 0) FROM excerpts WHERE shard IS NOT NULL AND review IS NOT 'superseded'"
    return int(stored) - int(database.execute(query).fetchone()[0])
