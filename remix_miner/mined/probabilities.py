"""Probabilities of silence of every track of a mined folder, one byte per window and source.

``MINED/probabilities.sqlite`` lets `remix-miner remine` cut excerpts at another purity and `remix-miner review` draw
curves without running the detector again. An hour of music takes 225 KB before compression.
"""

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.audio import display_name
from remix_miner.errors import DataError
from remix_miner.mined.catalogue_db import clear_errors, connect, transaction
from remix_miner.mined.probability_codes import Codes, Probabilities, decode
from remix_miner.sources import SOURCES

PROBABILITIES_NAME = "probabilities.sqlite"
FORMAT_VERSION = 1
APPLICATION_ID = 0x524D5052  # 'RMPR'

SCHEMA = """
CREATE TABLE IF NOT EXISTS probabilities (
    track TEXT PRIMARY KEY,             -- as in the catalogue: `LibraryFile.name`
    sha256 TEXT NOT NULL,               -- of the file that was scanned
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    frames INTEGER NOT NULL,            -- decoded, at the file's own sample rate
    sample_rate INTEGER NOT NULL,
    windows INTEGER NOT NULL,
    codes BLOB NOT NULL                 -- zlib of uint8 (sources, windows), sources: drums, bass, other, vocals
);
CREATE TABLE IF NOT EXISTS at_purity (  -- what a scan at other purities finds in a track
    track TEXT NOT NULL,
    purity REAL NOT NULL,
    source TEXT NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (track, purity, source)
) WITHOUT ROWID
"""
COLUMNS = "track, sha256, size, mtime_ns, frames, sample_rate, windows, codes"
TAKE_OVER = f"""
INSERT INTO main.probabilities ({COLUMNS}) SELECT {COLUMNS} FROM part.probabilities WHERE true
ON CONFLICT (track) DO UPDATE SET (sha256, size, mtime_ns, frames, sample_rate, windows, codes) =
    (excluded.sha256, excluded.size, excluded.mtime_ns, excluded.frames, excluded.sample_rate, excluded.windows,
     excluded.codes)
WHERE excluded.mtime_ns > probabilities.mtime_ns;
INSERT OR REPLACE INTO main.at_purity SELECT of_part.* FROM part.at_purity AS of_part
JOIN main.probabilities AS of_main USING (track) JOIN part.probabilities AS source_track USING (track)
WHERE of_main.mtime_ns = source_track.mtime_ns
"""


@dataclass(frozen=True)
class StoredTrack:
    """A track of the store: its file as it was scanned, and the codes of its windows."""

    track: str
    sha256: str
    size: int
    mtime_ns: int
    frames: int
    sample_rate: int
    codes: Codes
    at_purity: Sequence[tuple[float, str, float]] = ()
    """Purity, source, and the seconds that a scan at that purity finds; for writing, `read` leaves it empty."""

    @property
    def probabilities(self) -> Probabilities:
        """P (S, W) as `decode` returns it."""
        return decode(self.codes)


class ProbabilityStore:
    """Probabilities of a mined folder. Only the process that holds the catalogue's lock may write.

    ``to_read``: open read-only. Raises `DataError` if there is no store or it is damaged.
    """

    def __init__(self, folder: str | os.PathLike[str], *, to_read: bool = False) -> None:
        self.path = Path(folder) / PROBABILITIES_NAME
        if to_read and not self.path.is_file():
            raise DataError(
                f"{display_name(folder)} holds no {PROBABILITIES_NAME}: it was mined by an older version; scan the "
                "library into another folder to get one"
            )
        self._database = connect(self.path, "ro" if to_read else "rwc")
        with clear_errors(self.path):
            if to_read:
                self._check()
            else:
                self._create()

    def tracks(self) -> list[str]:
        """Return the names of all tracks, sorted."""
        with clear_errors(self.path):
            return [name for (name,) in self._database.execute("SELECT track FROM probabilities ORDER BY track")]

    def files(self) -> Iterator[tuple[str, int, int]]:
        """Yield each track with the size and the modification time (ns) of its file as it was scanned."""
        with clear_errors(self.path):
            yield from self._database.execute("SELECT track, size, mtime_ns FROM probabilities")

    def read(self, track: str) -> Probabilities | None:
        """Return P (S, W) of a track by its name in the catalogue, NaN without label; None for an unknown track."""
        stored = self.stored(track)
        return None if stored is None else stored.probabilities

    def stored(self, track: str) -> StoredTrack | None:
        """Return all that is stored of a track; None for an unknown one."""
        with clear_errors(self.path):
            row = self._database.execute(f"SELECT {COLUMNS} FROM probabilities WHERE track = ?", (track,)).fetchone()
        return None if row is None else self._from_row(row)

    def all(self) -> Iterator[StoredTrack]:
        """Yield every track, in the order of names."""
        with clear_errors(self.path):
            for row in self._database.execute(f"SELECT {COLUMNS} FROM probabilities ORDER BY track"):
                yield self._from_row(row)

    def seconds_at_purities(self) -> dict[float, dict[str, float]]:
        """Return the seconds that scans at other purities find in all tracks, by purity and source."""
        found: dict[float, dict[str, float]] = {}
        with clear_errors(self.path):
            for purity, source, seconds in self._database.execute(
                "SELECT purity, source, sum(seconds) FROM at_purity GROUP BY purity, source ORDER BY purity"
            ):
                found.setdefault(purity, {})[source] = seconds
        return {purity: {source: of[source] for source in SOURCES if source in of} for purity, of in found.items()}

    def write(self, tracks: Iterable[StoredTrack]) -> None:
        """Record tracks in one transaction. Existing tracks of the same name are replaced."""
        tracks = list(tracks)
        rows = [
            (
                track.track,
                track.sha256,
                track.size,
                track.mtime_ns,
                track.frames,
                track.sample_rate,
                track.codes.shape[1],
                zlib.compress(track.codes.tobytes(), 1),
            )
            for track in tracks
        ]
        with transaction(self._database, self.path) as database:
            database.executemany("INSERT OR REPLACE INTO probabilities VALUES (?,?,?,?,?,?,?,?)", rows)
            database.executemany("DELETE FROM at_purity WHERE track = ?", [(row[0],) for row in rows])
            database.executemany(
                "INSERT INTO at_purity VALUES (?, ?, ?, ?)",
                [(track.track, *row) for track in tracks for row in track.at_purity],
            )

    def restate_purities(self, rows: Iterable[tuple[str, float, str, float]]) -> None:
        """Replace what scans at other purities find, in all tracks: (track, purity, source, seconds)."""
        with transaction(self._database, self.path) as database:
            database.execute("DELETE FROM at_purity")
            database.executemany("INSERT INTO at_purity VALUES (?, ?, ?, ?)", rows)

    def rename(self, moved: Iterable[tuple[str, str, int]]) -> None:
        """Record that files moved: (old name, new name, new modification time) of each."""
        with transaction(self._database, self.path) as database:
            for old, new, mtime_ns in moved:
                database.execute(
                    "UPDATE OR REPLACE probabilities SET track = ?, mtime_ns = ? WHERE track = ?", (new, mtime_ns, old)
                )
                database.execute("UPDATE OR REPLACE at_purity SET track = ? WHERE track = ?", (new, old))

    def keep_only(self, tracks: Iterable[str]) -> None:
        """Delete all tracks but these: copies that were removed from the catalogue."""
        kept = set(tracks)
        gone = [(name,) for name in self.tracks() if name not in kept]
        if not gone:
            return
        with transaction(self._database, self.path) as database:
            database.executemany("DELETE FROM probabilities WHERE track = ?", gone)
            database.executemany("DELETE FROM at_purity WHERE track = ?", gone)

    def take_over(self, folder: Path) -> None:
        """Copy the tracks of another mined folder; of two versions of a file, the later one."""
        with ProbabilityStore(folder, to_read=True):
            pass
        with clear_errors(self.path):
            self._database.execute(
                "ATTACH ? AS part", (f"{(folder / PROBABILITIES_NAME).absolute().as_uri()}?mode=ro",)
            )
            try:
                for statement in TAKE_OVER.split(";\n"):
                    self._database.execute(statement)
            finally:
                self._database.execute("DETACH part")

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "ProbabilityStore":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _create(self) -> None:
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:
            self._check()
            return
        self._database.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";\n"):
            self._database.execute(statement)
        self._database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        self._database.execute("COMMIT")

    def _check(self) -> None:
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID or version > FORMAT_VERSION:
            raise DataError(
                f"{display_name(self.path)} is not a store of probabilities of format {FORMAT_VERSION} or older; "
                "update remix-miner, or delete the file"
            )

    def _from_row(self, row: tuple[Any, ...]) -> StoredTrack:
        track, sha256, size, mtime_ns, frames, sample_rate, windows, packed = row
        try:
            codes = np.frombuffer(zlib.decompress(packed), dtype=np.uint8).reshape(len(SOURCES), windows)
            return StoredTrack(track, sha256, size, mtime_ns, frames, sample_rate, codes)
        except (zlib.error, ValueError, TypeError) as error:
            raise DataError(
                f"{display_name(self.path)} is damaged at {display_name(str(row[0]))} ({error}); delete the file and "
                "scan the library into another folder"
            ) from error
