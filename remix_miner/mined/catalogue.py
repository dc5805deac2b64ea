"""Catalogue of a mined folder: every file, excerpt and run, in one SQLite file.

Shards are closed on the disk first. Then one transaction records them, their excerpts, and the tracks as done. A killed
scan leaves at most shards that no transaction recorded. The next scan removes these and scans their tracks again, so
that no excerpt is lost or duplicated.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remix_miner.audio import display_name
from remix_miner.errors import DataError
from remix_miner.mined.catalogue_db import (
    CATALOGUE_NAME,
    check_version,
    connect,
    create,
    reading_errors,
    transaction,
)
from remix_miner.mined.catalogue_rows import ADD_EXCERPT, ScannedTrack, excerpt_row, unstored_row
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.lock import FolderLock
from remix_miner.mined.probabilities import PROBABILITIES_NAME
from remix_miner.mined.shards.files import ClosedShard, shard_paths, temporary_paths
from remix_miner.mined.uncompared import add_uncompared

if TYPE_CHECKING:
    from remix_miner.datasets.library import LibraryFile


class Catalogue(CatalogueView):
    """Catalogue open for writing, by one process at a time: `Catalogue.open`. `Catalogue.read` opens it read-only."""

    def __init__(self, folder: Path, database: sqlite3.Connection, lock: FolderLock) -> None:
        super().__init__(folder, database)
        self._lock = lock

    @classmethod
    def open(cls, folder: str | os.PathLike[str], settings: Mapping[str, Any], *, restart: bool = False) -> "Catalogue":
        """Open the catalogue of ``folder`` for writing; create it if there is none. Other writers are locked out.

        ``settings`` holds everything that decides which excerpts are found (detector, thresholds, sources, lengths,
        sample rate and so on) as JSON values. Raises `DataError` for a catalogue with other settings. ``restart``
        deletes all earlier results. Leftovers of a killed scan are removed: temporary files, and closed shards that
        were never recorded. Tracks whose shard has been deleted become pending again.
        """
        folder = Path(folder)
        lock = FolderLock(folder)
        try:
            path = folder / CATALOGUE_NAME
            if restart:
                path.unlink(missing_ok=True)
                path.with_name(f"{CATALOGUE_NAME}-journal").unlink(missing_ok=True)
                (folder / PROBABILITIES_NAME).unlink(missing_ok=True)
                (folder / f"{PROBABILITIES_NAME}-journal").unlink(missing_ok=True)
                for shard in [*shard_paths(folder), *temporary_paths(folder)]:
                    shard.unlink()
            if not path.exists() and (lost := shard_paths(folder)):
                raise DataError(
                    f"{folder} holds {len(lost)} shards but no {CATALOGUE_NAME}: put it back, write to another folder "
                    "with --out, or delete them with --restart"
                )
            catalogue = cls(folder, connect(path, "rwc"), lock)
            with reading_errors(path):
                catalogue._create_or_check(_canonical(settings))
                catalogue._remove_leftovers()
            return catalogue
        except BaseException:
            lock.release()
            raise

    def register(self, files: Iterable["LibraryFile"], *, retry_failed: bool = False) -> list["LibraryFile"]:
        """Add ``files`` to the catalogue and return those to scan, in their order.

        Files to scan are new, changed (in size or modification time), or pending (interrupted, or failed for a
        temporary reason). ``retry_failed`` adds the files that failed. The old excerpts of a changed file are marked
        'superseded': their audio stays in its shard, which is never altered, and readers leave it out. Files that no
        longer exist keep their excerpts (`duplicates.moved` finds those that moved).
        """
        files = list(files)
        wanted = "('pending', 'failed')" if retry_failed else "('pending')"
        with self.transaction() as database:
            database.execute("CREATE TEMP TABLE found (position INTEGER PRIMARY KEY, path, size, mtime_ns)")
            database.executemany(
                "INSERT INTO found VALUES (?, ?, ?, ?)",
                ((at, file.name, file.size, file.mtime_ns) for at, file in enumerate(files)),
            )
            changed = database.execute(
                "SELECT found.size, found.mtime_ns, tracks.id FROM found JOIN tracks USING (path) "
                "WHERE tracks.size != found.size OR tracks.mtime_ns != found.mtime_ns"
            ).fetchall()
            database.executemany(
                "UPDATE tracks SET size = ?, mtime_ns = ?, status = 'pending', sha256 = NULL, error = NULL "
                "WHERE id = ?",
                changed,
            )
            database.executemany(
                "UPDATE excerpts SET review = 'superseded' WHERE track_id = ?", [(row[-1],) for row in changed]
            )
            database.execute(
                "INSERT OR IGNORE INTO tracks (path, size, mtime_ns, status) "
                "SELECT path, size, mtime_ns, 'pending' FROM found ORDER BY position"
            )
            positions = database.execute(
                f"SELECT min(position) FROM found JOIN tracks USING (path) WHERE status IN {wanted} "
                "GROUP BY path ORDER BY 1"
            ).fetchall()
            database.execute("DROP TABLE found")
        return [files[position] for (position,) in positions]

    def finish_tracks(
        self, tracks: Sequence[ScannedTrack], shards: Sequence[ClosedShard], uncompared: Iterable[str] = ()
    ) -> int:
        """Record tracks as done, and the closed shards with all their excerpts, in one transaction.

        Every excerpt in ``shards`` must be of one of ``tracks``. A track may have no excerpts, or excerpts without
        audio (`ScannedTrack.spans`). A track that is done
        already (an engine repeated it) stays unchanged and its new excerpts are not recorded, so that there are no
        duplicates. ``uncompared``: names of tracks to be compared with all others when the scan is complete, see
        `remix_miner.mined.uncompared`. Returns the number of recorded excerpts.
        """
        recorded = 0
        with self.transaction() as database:
            ids: dict[str, int | None] = {}
            for track in tracks:
                track_id, status = self._track(track.name)
                ids[track.name] = None if status == "done" else track_id
                if status != "done":
                    database.execute(
                        "UPDATE tracks SET status = 'done', sha256 = ?, seconds = ?, sample_rate = ?, channels = ?, "
                        "error = ? WHERE id = ?",
                        (track.sha256, track.seconds, track.sample_rate, track.channels, track.problem, track_id),
                    )
                    database.executemany(ADD_EXCERPT, (unstored_row(track_id, span) for span in track.spans))
                    recorded += len(track.spans)
            add_uncompared(database, [name for name in uncompared if ids[name] is not None])
            for shard in shards:
                self.add_shard(shard)
                rows = []
                for excerpt in shard.excerpts:
                    if excerpt["track"] not in ids:
                        raise ValueError(
                            f"{shard.path.name} holds an excerpt of {display_name(excerpt['track'])}, which is not "
                            "among the tracks finished with it"
                        )
                    if (owner := ids[excerpt["track"]]) is not None:
                        rows.append(excerpt_row(owner, shard, excerpt))
                database.executemany(ADD_EXCERPT, rows)
                recorded += len(rows)
        return recorded

    def finish_track(self, track: ScannedTrack, shards: Sequence[ClosedShard] = ()) -> int:
        """Record one track as done, as `finish_tracks` does."""
        return self.finish_tracks([track], shards)

    def fail_track(self, name: str, reason: str, *, passing: bool = False) -> None:
        """Record why a file could not be scanned. With ``passing`` (a temporary reason) it stays pending.

        A track that is done stays done.
        """
        with self.transaction() as database:
            track_id, _ = self._track(name)
            database.execute(
                "UPDATE tracks SET status = ?, error = ? WHERE id = ? AND status != 'done'",
                ("pending" if passing else "failed", reason, track_id),
            )

    def rename_tracks(self, moved: Iterable[tuple[str, str, int]]) -> None:
        """Record that files moved: (old name, new name, new modification time) of each. Their excerpts stay."""
        with self.transaction() as database:
            for old, new, mtime_ns in moved:
                database.execute("UPDATE tracks SET path = ?, mtime_ns = ? WHERE path = ?", (new, mtime_ns, old))

    def start_run(self, versions: Mapping[str, str], detector_sha256: str | None = None) -> int:
        """Record the start of a scan and return its id for `finish_run`."""
        with self.transaction() as database:
            cursor = database.execute(
                "INSERT INTO runs (started, settings_json, versions_json, detector_sha256) VALUES (?, ?, ?, ?)",
                (_now(), _canonical(self.settings), _canonical(versions), detector_sha256),
            )
        return int(cursor.lastrowid or 0)

    def finish_run(self, run: int) -> None:
        """Record the end of a scan. A run without an end was interrupted."""
        with self.transaction() as database:
            database.execute("UPDATE runs SET finished = ? WHERE id = ?", (_now(), run))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one transaction: after an error or a kill nothing of it is recorded."""
        with transaction(self.database, self.folder / CATALOGUE_NAME) as database:
            yield database

    def add_shard(self, shard: ClosedShard) -> None:
        """Record a closed shard within a transaction."""
        self.database.execute(
            "INSERT INTO shards (name, source, sha256, excerpts, frames, sample_rate, bytes) VALUES (?,?,?,?,?,?,?)",
            (
                shard.path.name,
                shard.source,
                shard.sha256,
                len(shard.excerpts),
                shard.frames,
                shard.sample_rate,
                shard.bytes,
            ),
        )

    def close(self) -> None:
        super().close()
        self._lock.release()

    def _track(self, name: str) -> tuple[int, str]:
        row = self.database.execute("SELECT id, status FROM tracks WHERE path = ?", (name,)).fetchone()
        if row is None:
            raise ValueError(f"{display_name(name)} was not registered")
        return row[0], row[1]

    def _create_or_check(self, settings_json: str) -> None:
        if self.database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            with self.transaction() as database:
                create(database)
                database.execute("INSERT INTO meta VALUES ('settings_json', ?)", (settings_json,))
            return
        check_version(self.database, self.folder / CATALOGUE_NAME)
        if differences := differing_settings(self.settings, json.loads(settings_json)):
            raise DataError(
                f"{self.folder} was mined with other settings ({'; '.join(differences)}): use the same, write to "
                "another folder with --out, or begin anew with --restart, which deletes what is there"
            )

    def _remove_leftovers(self) -> None:
        known = {name for (name,) in self.database.execute("SELECT name FROM shards")}
        present = {path.name: path for path in shard_paths(self.folder)}
        for path in [*temporary_paths(self.folder), *(present[name] for name in present.keys() - known)]:
            path.unlink(missing_ok=True)
        if lost := sorted(known - present.keys()):
            with self.transaction() as database:
                for name in lost:
                    affected = "(SELECT track_id FROM excerpts WHERE shard = ? AND review IS NOT 'superseded')"
                    database.execute(f"UPDATE tracks SET status = 'pending' WHERE id IN {affected}", (name,))
                    database.execute(f"UPDATE excerpts SET review = 'superseded' WHERE track_id IN {affected}", (name,))
                    database.execute("DELETE FROM excerpts WHERE shard = ?", (name,))
                    database.execute("DELETE FROM shards WHERE name = ?", (name,))


def differing_settings(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return 'name: value there, value here' for each setting that differs.

    A setting that is missing (in a folder of an older version) equals one that is off. The promised ``purity`` is not
    compared: what it decides are the thresholds.
    """
    return [
        f"{name}: {stored.get(name)!r} there, {wanted.get(name)!r} here"
        for name in sorted((stored.keys() | wanted.keys()) - {"purity"})
        if (stored.get(name) or None) != (wanted.get(name) or None)
    ]


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
