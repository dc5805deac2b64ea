"""Store of a mined folder's fingerprints, ``fingerprints.sqlite``: its tracks, their copies, and what is excluded."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from remix_miner.audio import display_name
from remix_miner.duplicates.fingerprints import FINGERPRINT_VERSION, PEAK
from remix_miner.duplicates.recordings import Fingerprint, Recording
from remix_miner.duplicates.taking import fingerprints_of
from remix_miner.errors import DataError, RemixMinerError, WriteError
from remix_miner.mined.catalogue_db import NO_ROOM
from remix_miner.progress import Progress

STORE_NAME = "fingerprints.sqlite"
COMMIT_SECONDS = 5.0
"""Fingerprints are stored at least this often."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS fingerprints (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    seconds REAL NOT NULL,
    peaks BLOB NOT NULL,            -- pairs of float32: seconds, semitones
    excluded INTEGER NOT NULL,      -- 1: of a recording that must not be mined
    PRIMARY KEY (name, excluded)
);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID
"""

TAKE_OVER = """
INSERT INTO main.fingerprints SELECT * FROM part.fingerprints WHERE version = ?
ON CONFLICT (name, excluded) DO UPDATE SET (version, size, mtime_ns, seconds, peaks) =
    (excluded.version, excluded.size, excluded.mtime_ns, excluded.seconds, excluded.peaks)
WHERE excluded.mtime_ns > fingerprints.mtime_ns OR excluded.version != fingerprints.version
"""


class FingerprintStore:
    """Fingerprints of a mined folder. Only the process that holds the catalogue's lock may write."""

    def __init__(self, folder: Path, *, to_read: bool = False) -> None:
        self.path = folder / STORE_NAME
        with self._clear_errors():
            if to_read:
                # With write access SQLite can first undo what a killed scan left half-written.
                mode = "rw" if os.access(self.path, os.W_OK) and os.access(folder, os.W_OK) else "ro"
                self.database = sqlite3.connect(_uri(self.path, mode), uri=True)
                self.database.execute("PRAGMA query_only = ON")
                return
            self.database = sqlite3.connect(_uri(self.path, "rwc"), uri=True, isolation_level=None)
            self.database.execute("BEGIN")
            for statement in SCHEMA.split(";"):
                self.database.execute(statement)
            self.database.execute("COMMIT")

    @property
    def keeps_copies(self) -> bool:
        """Whether the last scan mined every copy of a recording, with ``--keep-duplicates``."""
        with self._clear_errors():
            if not self._has("meta"):
                return False
            row = self.database.execute("SELECT value FROM meta WHERE key = 'keeps_copies'").fetchone()
            return row is not None and bool(row[0])

    @keeps_copies.setter
    def keeps_copies(self, value: bool) -> None:
        with self._clear_errors():
            self.database.execute("INSERT OR REPLACE INTO meta VALUES ('keeps_copies', ?)", (value,))

    def fingerprints(
        self, recordings: Sequence[Recording], workers: int, stopping: Callable[[], bool] = lambda: False
    ) -> list[Fingerprint]:
        """Return the fingerprint of each recording, stored or computed by ``workers`` processes (0: in this process).

        When ``stopping`` returns True, finished fingerprints are stored and `KeyboardInterrupt` is raised.
        """
        known = self.known()
        missing = [recording for recording in recordings if _key(recording) not in known]
        with Progress("finding duplicates", len(missing), unit="tracks") as progress, self._clear_errors():
            for batch in _batches(fingerprints_of(missing, workers, stopping)):
                known |= {_key(recording): made for recording, made in batch}
                self.write(batch)
                progress.advance(len(batch))
        return [known[_key(recording)] for recording in recordings]

    def write(self, made: Iterable[tuple[Recording, Fingerprint]]) -> None:
        """Store fingerprints in one transaction; existing ones of the same names are replaced."""
        rows = [
            (
                recording.name,
                FINGERPRINT_VERSION,
                recording.size,
                recording.mtime_ns,
                fingerprint.seconds,
                fingerprint.peaks.tobytes(),
                recording.excluded,
            )
            for recording, fingerprint in made
        ]
        with self._clear_errors():
            self.database.execute("BEGIN")
            self.database.executemany("INSERT OR REPLACE INTO fingerprints VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self.database.execute("COMMIT")

    def rename(self, moved: Iterable[tuple[str, str, int]]) -> None:
        """Record that files moved: (old name, new name, new modification time) of each."""
        with self._clear_errors():
            self.database.execute("BEGIN")
            self.database.executemany(
                "UPDATE OR REPLACE fingerprints SET name = ?, mtime_ns = ? WHERE name = ? AND NOT excluded",
                [(new, mtime_ns, old) for old, new, mtime_ns in moved],
            )
            self.database.execute("COMMIT")

    def excluded(self) -> list[tuple[str, Fingerprint]]:
        """Return name and fingerprint of every recording excluded from this folder."""
        return sorted(((name, made) for (name, *_), made in self.known(1).items()), key=lambda pair: pair[0])

    def delete_excluded(self) -> None:
        """Delete the fingerprints of excluded recordings."""
        with self._clear_errors():
            self.database.execute("DELETE FROM fingerprints WHERE excluded")

    def take_over(self, folder: Path) -> None:
        """Copy the fingerprints of another mined folder, of two versions of a file the later one."""
        with self._clear_errors():
            self.database.execute("ATTACH ? AS part", (_uri(folder / STORE_NAME, "ro"),))
            if self._has("fingerprints", "part"):
                self.database.execute(TAKE_OVER, (FINGERPRINT_VERSION,))
            self.database.execute("DETACH part")

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> "FingerprintStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def known(self, least_excluded: int = 0) -> dict[tuple[str, int, int, bool], Fingerprint]:
        """Return fingerprints by name, size, modification time, excluded. ``least_excluded`` 1: only excluded ones."""
        with self._clear_errors():
            if not self._has("fingerprints"):
                return {}
            rows = self.database.execute(
                "SELECT name, size, mtime_ns, excluded, peaks, seconds FROM fingerprints "
                "WHERE version = ? AND excluded >= ?",
                (FINGERPRINT_VERSION, least_excluded),
            )
            return {
                (name, size, mtime_ns, bool(excluded)): self._from_row(name, peaks, seconds)
                for name, size, mtime_ns, excluded, peaks, seconds in rows
            }

    def _from_row(self, name: str, stored: bytes, seconds: float) -> Fingerprint:
        """Return a stored fingerprint; `DataError` if it cannot be one."""
        try:
            peaks = np.frombuffer(stored, dtype=PEAK)
            usable = all(np.isfinite(peaks[column]).all() for column in PEAK.names or ())
            if usable and (np.diff(peaks["seconds"]) >= 0).all() and 0 <= seconds < float("inf"):
                return Fingerprint(peaks, float(seconds))
            problem = "peaks out of order or not finite"
        except (ValueError, TypeError) as error:
            problem = str(error)
        raise DataError(
            f"{display_name(self.path)} is damaged at {display_name(str(name))} ({problem}); delete the file: it is "
            "made anew, but name what to --exclude again"
        )

    def keys(self) -> set[tuple[str, int, int]]:
        """Return name, size and modification time of every stored file that is not excluded."""
        with self._clear_errors():
            query = "SELECT name, size, mtime_ns FROM fingerprints WHERE version = ? AND NOT excluded"
            return set(self.database.execute(query, (FINGERPRINT_VERSION,)))

    def _has(self, table: str, database: str = "main") -> bool:
        """Return whether a table exists. A store whose process was killed before creating its tables has none."""
        found = self.database.execute(f"SELECT 1 FROM {database}.sqlite_master WHERE name = ?", (table,))
        return found.fetchone() is not None

    @contextlib.contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if str(error).endswith(NO_ROOM):
                raise WriteError(f"{display_name(self.path)}: {error}; make room: what was stored is intact") from error
            raise DataError(
                f"{display_name(self.path)}: {error}; make room if the disk is full, else delete the file: it is made "
                "anew, but name what to --exclude again"
            ) from error


def _batches(
    made: Iterator[tuple[Recording, Fingerprint]],
) -> Iterator[list[tuple[Recording, Fingerprint]]]:
    """Yield batches to store: `COMMIT_SECONDS` of work each, or less before an interrupt or error."""
    batch: list[tuple[Recording, Fingerprint]] = []
    begun = time.monotonic()
    try:
        for item in made:
            batch.append(item)
            if time.monotonic() - begun > COMMIT_SECONDS:
                yield batch
                batch, begun = [], time.monotonic()
    except (KeyboardInterrupt, RemixMinerError):
        yield batch
        raise
    yield batch


def _key(recording: Recording) -> tuple[str, int, int, bool]:
    return recording.name, recording.size, recording.mtime_ns, recording.excluded


def _uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"
