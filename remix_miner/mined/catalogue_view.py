"""Read-only view of a mined folder's catalogue."""

import json
import os
import sqlite3
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Int64

from remix_miner.mined.catalogue_db import LIVE, connect_to_read
from remix_miner.mined.live_excerpts import kept_parts
from remix_miner.mined.uncompared import unread_frames
from remix_miner.sources import SOURCES


class CatalogueView:
    """Catalogue of ``folder``, read-only. Open it with `CatalogueView.read`; a scan may run concurrently."""

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self.folder = folder
        self.database = database

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "CatalogueView":
        """Open read-only. Raises `DataError` if there is no catalogue or it cannot be read."""
        return CatalogueView(Path(folder), connect_to_read(Path(folder)))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the scan, the same for every track of this catalogue."""
        (text,) = self.database.execute("SELECT value FROM meta WHERE key = 'settings_json'").fetchone()
        found: dict[str, Any] = json.loads(text)
        return found

    @property
    def runs(self) -> list[dict[str, Any]]:
        """All runs, oldest first: id, started, finished, settings, versions, detector_sha256."""
        rows = self.database.execute(
            "SELECT id, started, finished, settings_json, versions_json, detector_sha256 FROM runs ORDER BY id"
        )
        names = ("id", "started", "finished", "settings", "versions", "detector_sha256")
        return [
            dict(zip(names, (*row[:3], json.loads(row[3]), json.loads(row[4]), row[5]), strict=True)) for row in rows
        ]

    def track_counts(self) -> dict[str, int]:
        """Return the number of tracks by status."""
        return dict(self.database.execute("SELECT status, count(*) FROM tracks GROUP BY status"))

    def done_tracks(self) -> list[str]:
        """Return the names of the tracks that are done."""
        rows = self.database.execute("SELECT path FROM tracks WHERE status = 'done' ORDER BY path")
        return [name for (name,) in rows]

    def unread_bytes(self) -> int:
        """Return the bytes of audio in shards that no reader takes: of copies, and of files that have changed since."""
        return int(unread_frames(self.database) * self.settings.get("channels", 2) * 2)

    def seconds_scanned(self) -> float:
        """Return the total length of all tracks that are done."""
        (seconds,) = self.database.execute("SELECT total(seconds) FROM tracks WHERE status = 'done'").fetchone()
        return float(seconds)

    def harvest(self) -> dict[str, dict[str, float]]:
        """Return, for each source with live excerpts, the numbers of excerpts and of their tracks, and the seconds.

        The rest of an excerpt beside a wrong stretch counts as an excerpt. Its track counts if it has whole excerpts.
        """
        rows = self.database.execute(
            "SELECT source, sum(excerpts), count(*), sum(seconds) FROM (SELECT source, count(*) AS excerpts, "
            f"sum(seconds) AS seconds FROM excerpts WHERE {LIVE} GROUP BY source, track_id) GROUP BY source"
        )
        found = {source: {"excerpts": row[0], "tracks": row[1], "seconds": row[2]} for source, *row in rows}
        for part in kept_parts(self.database):
            row = found.setdefault(part.source, {"excerpts": 0, "tracks": 0, "seconds": 0.0})
            row["excerpts"] += 1
            row["seconds"] += part.seconds
        return {source: found[source] for source in SOURCES if source in found}

    def troubles(self) -> list[tuple[str, str, str]]:
        """Return (track, status, problem) of every track with a remark or failure, sorted by name."""
        return self.database.execute(
            "SELECT path, status, error FROM tracks WHERE error IS NOT NULL ORDER BY path"
        ).fetchall()

    def shards(self) -> dict[str, dict[str, Any]]:
        """Return each shard's source, sha256, excerpts, frames, sample_rate and bytes, by file name."""
        columns = ("source", "sha256", "excerpts", "frames", "sample_rate", "bytes")
        rows = self.database.execute(f"SELECT name, {', '.join(columns)} FROM shards ORDER BY name")
        return {name: dict(zip(columns, row, strict=True)) for name, *row in rows}

    def excerpt_places(self, shard: str) -> Int64[np.ndarray, "N 2"]:
        """Return (start_frame, frames) of each excerpt that is recorded in ``shard``."""
        rows = self.database.execute("SELECT shard_start, frames FROM excerpts WHERE shard = ?", (shard,)).fetchall()
        return np.array(rows, dtype=np.int64).reshape(-1, 2)

    def status(self, name: str) -> tuple[str, str | None] | None:
        """Return (status, error) of a file, or None if it was never registered."""
        row = self.database.execute("SELECT status, error FROM tracks WHERE path = ?", (name,)).fetchone()
        return None if row is None else (row[0], row[1])

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
