"""SQLite file of a catalogue: tables, connections, errors. `remix_miner.mined.catalogue` fills it.

SQLite runs with its rollback journal and ``synchronous = EXTRA``, not with a write-ahead log. A write-ahead log needs
shared memory, which network file systems lack, and adds two files that every copy must include. Its advantage
(concurrent readers) is small here, since a single writer commits once for many tracks.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from remix_miner.errors import DataError, RemixMinerError, WriteError

CATALOGUE_NAME = "catalogue.sqlite"
FORMAT_VERSION = 1
APPLICATION_ID = 0x524D4341  # 'RMCA', which marks the database as a catalogue

BUSY_SECONDS = 60.0
"""How long a reader waits for a commit."""

CACHE_KIB = 65_536
"""Page cache of one connection: holds the index of a million paths."""

LIVE = "review IS NOT 'rejected' AND review IS NOT 'superseded'"
"""Condition on excerpts that readers take."""

NO_ROOM = ("disk is full", "disk I/O error")
"""Ends of SQLite's messages when a file could not grow."""

SCHEMA = """
CREATE TABLE tracks (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,          -- as scanned: `LibraryFile.name`
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha256 TEXT,
    seconds REAL,
    sample_rate INTEGER,
    channels INTEGER,
    status TEXT NOT NULL CHECK (status IN ('done', 'failed', 'pending')),
    error TEXT                          -- why it failed or, of a done track, what was wrong with the file
);
CREATE INDEX tracks_by_status ON tracks (status) WHERE status != 'done';
CREATE INDEX tracks_by_sha256 ON tracks (sha256);
CREATE TABLE shards (
    name TEXT PRIMARY KEY,              -- file name in shards/
    source TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    excerpts INTEGER NOT NULL,          -- rows in its table, live or not
    frames INTEGER NOT NULL,
    sample_rate INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE excerpts (
    id INTEGER PRIMARY KEY,
    track_id INTEGER NOT NULL REFERENCES tracks (id),
    source TEXT NOT NULL,
    start_seconds REAL NOT NULL,        -- in the track
    seconds REAL NOT NULL,
    probability_mean REAL NOT NULL,
    probability_min REAL NOT NULL,
    expected_volume_db REAL,            -- by the calibration; NULL when unknown
    shard TEXT REFERENCES shards (name),  -- NULL: the audio is not stored (`detect --no-audio`)
    shard_start INTEGER NOT NULL,       -- row in /audio; without a shard, frame of the track's file
    frames INTEGER NOT NULL,
    review TEXT                         -- NULL, 'accepted', 'rejected' or 'superseded' (the file has changed since)
);
CREATE INDEX excerpts_by_track ON excerpts (track_id);
CREATE INDEX excerpts_by_shard ON excerpts (shard, shard_start);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    started TEXT NOT NULL,              -- UTC, ISO 8601
    finished TEXT,                      -- NULL: interrupted, or still running
    settings_json TEXT NOT NULL,
    versions_json TEXT NOT NULL,
    detector_sha256 TEXT
);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


LONGEST_SECONDS = 1e8
"""Three years."""


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the database at ``path`` with SQLite's ``mode`` (rwc: create, rw, ro); transactions are explicit."""
    with clear_errors(path):
        uri = f"{path.absolute().as_uri()}?mode={mode}"
        database = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        database.execute("PRAGMA synchronous = EXTRA")
        database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        database.execute("PRAGMA foreign_keys = ON")
    return database


def connect_to_read(folder: Path) -> sqlite3.Connection:
    """Open the catalogue of a mined folder for reading; a scan may run concurrently. `DataError` if there is none."""
    path = folder / CATALOGUE_NAME
    if not path.is_file():
        raise DataError(f"{folder} holds no {CATALOGUE_NAME}; name a folder written by `remix-miner detect --out`")
    # With write access SQLite can first undo what a killed scan left half-written.
    database = connect(path, "rw" if os.access(path, os.W_OK) and os.access(folder, os.W_OK) else "ro")
    check_version(database, path)
    check_lengths(database, path)
    with clear_errors(path):
        database.execute("PRAGMA query_only = ON")
    return database


def create(database: sqlite3.Connection) -> None:
    """Make the tables, within a transaction."""
    for statement in SCHEMA.split(";\n"):
        database.execute(statement)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")


def check_version(database: sqlite3.Connection, path: Path) -> None:
    """Raise `DataError` unless this is a catalogue of a known format."""
    with clear_errors(path):
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise DataError(f"{path} is not a catalogue of mined excerpts; name a folder written by `remix-miner detect`")
    if version > FORMAT_VERSION:
        raise DataError(
            f"{path} has format version {version}, this Remix Miner reads up to {FORMAT_VERSION}: update it"
        )


def check_lengths(database: sqlite3.Connection, path: Path) -> None:
    """Raise `DataError` where a track or an excerpt has a length or a place that no audio has."""
    with clear_errors(path):
        for table, column in (("tracks", "seconds"), ("excerpts", "seconds"), ("excerpts", "start_seconds")):
            query = f"SELECT {column} FROM {table} WHERE NOT {column} BETWEEN 0 AND {LONGEST_SECONDS} LIMIT 1"
            wrong = database.execute(query).fetchone()
            if wrong is not None:
                raise DataError(
                    f"{path} is damaged: {column} of one of its {table} is {wrong[0]!r}; restore it, or scan into "
                    "another folder"
                )


@contextlib.contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Convert SQLite's errors into a `DataError` that names the file and what to do."""
    try:
        yield
    except (sqlite3.Error, UnicodeError) as error:  # a damaged schema is quoted in messages that are no UTF-8
        if str(error).endswith(NO_ROOM):
            raise WriteError(
                f"{path}: {error}; make room if the disk is full: what was recorded before is intact"
            ) from error
        raise DataError(
            f"{path}: {error}; what was recorded before is intact if the disk is full or busy; if the file itself is "
            "damaged, restore it or begin anew with --restart"
        ) from error


@contextlib.contextmanager
def transaction(database: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """Run the block as one transaction: after an error or a kill nothing of it is recorded. ``path``: for messages."""
    with clear_errors(path):
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Convert all errors of a damaged database, wrong types and texts included, into a `DataError`."""
    try:
        with clear_errors(path):
            yield
    except RemixMinerError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, MemoryError) as error:
        raise DataError(
            f"{path} is damaged: {type(error).__name__}: {error}; restore it, or scan into another folder"
        ) from error


def has_table(database: sqlite3.Connection, name: str, schema: str = "main") -> bool:
    """Return whether a table exists; catalogues of older versions lack some. ``schema``: of an attached database."""
    query = f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'table' AND name = ?"
    return database.execute(query, (name,)).fetchone() is not None
