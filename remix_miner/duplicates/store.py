"""Fingerprints of a mined folder, kept in ``fingerprints.sqlite`` so that no file is decoded twice for them.

Made in processes of their own, since a decoder may crash on a damaged file: it then costs that file its fingerprint.
"""

import contextlib
import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from remix_miner.audio import display_name
from remix_miner.datasets.library import LibraryFile, storable_text
from remix_miner.datasets.tracks import Track
from remix_miner.duplicates.fingerprints import FINGERPRINT_VERSION, PEAK, Peaks, fingerprint, fingerprint_file
from remix_miner.errors import DataError, RemixMinerError
from remix_miner.processes import exit_with_parent, worker_environment
from remix_miner.progress import Progress

STORE_NAME = "fingerprints.sqlite"
BLOCK_SECONDS = 10
BATCH = 32
"""Recordings per process that are stored together."""

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


@dataclass(frozen=True)
class Recording:
    """Something to take a fingerprint of, a file or a song of a stem corpus; ``name``, size and time identify it."""

    name: str
    audio: Path | Track
    size: int
    mtime_ns: int
    excluded: bool = False

    @classmethod
    def of_file(cls, file: LibraryFile, excluded: bool = False) -> "Recording":
        name = storable_text(str(file.path.absolute())) if excluded else file.name
        return cls(name, file.path, file.size, file.mtime_ns, excluded)

    @classmethod
    def of_track(cls, track: Track) -> "Recording":
        """A song that must not be mined: its mixture, or the sum of its stems."""
        files = [track.mixture] if track.mixture else [file for files in track.files.values() for file in files]
        status = [file.path.stat() for file in files]
        return cls(
            storable_text(str(track.folder.absolute() / track.name)),
            track,
            sum(one.st_size for one in status),
            max((one.st_mtime_ns for one in status), default=0),
            excluded=True,
        )


@dataclass(frozen=True)
class Fingerprint:
    """Peaks of a recording and its length. One that could not be decoded has neither."""

    peaks: Peaks
    seconds: float


NO_FINGERPRINT = Fingerprint(np.zeros(0, dtype=PEAK), 0.0)


class FingerprintStore:
    """The fingerprints of a mined folder, for one process at a time (the one that holds the folder's catalogue)."""

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
        """Whether the last scan mined every copy of a recording, because it was told to."""
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
        """The fingerprint of each recording, stored or made now by ``workers`` processes (0: here).

        When ``stopping`` says so, what is finished is stored and `KeyboardInterrupt` raised.
        """
        known = self.known()
        missing = [one for one in recordings if _key(one) not in known]
        with Progress("listening for duplicates", len(missing), unit="tracks") as progress, self._clear_errors():
            for batch in _made(missing, workers, stopping):
                self.database.execute("BEGIN")
                for recording, made in batch:
                    known[_key(recording)] = made
                    self.database.execute(
                        "INSERT OR REPLACE INTO fingerprints VALUES (?, ?, ?, ?, ?, ?, ?)",
                        (
                            recording.name,
                            FINGERPRINT_VERSION,
                            recording.size,
                            recording.mtime_ns,
                            made.seconds,
                            made.peaks.tobytes(),
                            recording.excluded,
                        ),
                    )
                self.database.execute("COMMIT")
                progress.advance(len(batch))
        return [known[_key(one)] for one in recordings]

    def excluded(self) -> list[tuple[str, Fingerprint]]:
        """Name and fingerprint of every recording that this folder was ever told to keep out."""
        return sorted(((name, made) for (name, *_), made in self.known(1).items()), key=lambda pair: pair[0])

    def forget_excluded(self) -> None:
        """Begin anew: what was excluded before counts no more."""
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
        """Everything stored, by name, size, time of change, and whether it is to be kept out (1: only such)."""
        with self._clear_errors():
            if not self._has("fingerprints"):
                return {}
            rows = self.database.execute(
                "SELECT name, size, mtime_ns, excluded, peaks, seconds FROM fingerprints "
                "WHERE version = ? AND excluded >= ?",
                (FINGERPRINT_VERSION, least_excluded),
            )
            return {
                (name, size, mtime_ns, bool(excluded)): Fingerprint(np.frombuffer(peaks, dtype=PEAK), seconds)
                for name, size, mtime_ns, excluded, peaks, seconds in rows
            }

    def _has(self, table: str, database: str = "main") -> bool:
        """A store has no tables when its maker was killed before it had made them, and then holds nothing."""
        found = self.database.execute(f"SELECT 1 FROM {database}.sqlite_master WHERE name = ?", (table,))
        return found.fetchone() is not None

    @contextlib.contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DataError(
                f"{display_name(self.path)}: {error}; make room if the disk is full, else delete the file: it is made "
                "anew, but name what to --exclude again"
            ) from error


def take(recording: Recording) -> Fingerprint:
    """The fingerprint of a recording; of one that cannot be decoded (the scan will say so) an empty one.

    A song to exclude raises instead: to leave it out in silence would be a leak.
    """
    if isinstance(recording.audio, Track):
        track = recording.audio
        step = BLOCK_SECONDS * track.sample_rate
        blocks = (track.read_mixture(start, min(step, track.frames - start)) for start in range(0, track.frames, step))
        return Fingerprint(fingerprint(blocks, track.sample_rate), track.seconds)
    try:
        return Fingerprint(*fingerprint_file(recording.audio))
    except (RemixMinerError, OSError):
        if recording.excluded:
            raise
        return NO_FINGERPRINT


def _made(
    recordings: Sequence[Recording], workers: int, stopping: Callable[[], bool]
) -> Iterator[list[tuple[Recording, Fingerprint]]]:
    """Fingerprints in batches."""
    size = BATCH * max(workers, 1)
    with _Takers(workers) as takers:
        for start in range(0, len(recordings), size):
            made = []
            for recording, one in zip(
                recordings[start : start + size], takers.take(recordings[start : start + size]), strict=False
            ):
                made.append((recording, one))
                if stopping():
                    break
            yield made
            if stopping():
                raise KeyboardInterrupt


class _Takers:
    """Processes that take fingerprints; when one of them dies, all are replaced and what was under way is repeated."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def take(self, recordings: Sequence[Recording]) -> Iterable[Fingerprint]:
        """One fingerprint for each recording, in order."""
        if not self.workers:
            yield from map(take, recordings)
            return
        futures = [self._submit(recording) for recording in recordings]
        for recording, future in zip(recordings, futures, strict=True):
            try:
                yield future.result()
            except BrokenProcessPool:
                yield self._take_alone(recording)

    def _take_alone(self, recording: Recording) -> Fingerprint:
        """Try again what was under way when a process died, one at a time, to find the recording that did it."""
        try:
            return self._submit(recording).result()
        except BrokenProcessPool:
            if recording.excluded:
                raise DataError(
                    f"{display_name(recording.name)} is to be excluded and ends the process that decodes it; "
                    "replace the file"
                ) from None
            return NO_FINGERPRINT

    def _submit(self, recording: Recording) -> Future[Fingerprint]:
        with worker_environment():  # the pool starts its processes when it is given work
            if self._pool is not None:
                with contextlib.suppress(BrokenProcessPool):
                    return self._pool.submit(take, recording)
            self.close()
            self._pool = ProcessPoolExecutor(
                self.workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=exit_with_parent,
                initargs=(os.getpid(),),
            )
            return self._pool.submit(take, recording)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> "_Takers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _key(recording: Recording) -> tuple[str, int, int, bool]:
    return recording.name, recording.size, recording.mtime_ns, recording.excluded


def _uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"
