"""One part of a merge: the tracks that are taken of it, their shards, and one transaction that records them."""

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from remix_miner.errors import DataError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_db import CATALOGUE_NAME
from remix_miner.mined.library_folders import take_folders
from remix_miner.mined.reviews.by_stretch import apply_by_stretch
from remix_miner.mined.reviews.copying import take_reviews
from remix_miner.mined.shards.files import shard_path
from remix_miner.mined.shards.placing import place_shard

KEPT = "review IS NOT 'superseded'"

# A track of the part is taken if the merged folder does not have it, or has it only as failed or pending while the
# part is done with it, or has it done from an older version of the file.
TAKEN = f"""
CREATE TEMP TABLE taken AS
SELECT of_part.id AS part_id, of_main.id AS id FROM part.tracks AS of_part
LEFT JOIN main.tracks AS of_main USING (path)
WHERE path NOT IN (SELECT path FROM left_out)
  AND (of_main.id IS NULL
       OR (of_part.status = 'done' AND of_main.status != 'done')
       OR (of_part.status = 'done' AND of_part.sha256 != of_main.sha256 AND of_part.mtime_ns > of_main.mtime_ns)
       OR (of_part.status = 'failed' AND of_main.status = 'pending'));
CREATE INDEX temp.taken_by_part_id ON taken (part_id);
CREATE INDEX temp.taken_by_id ON taken (id);
CREATE TEMP TABLE wanted AS
SELECT name, sha256, bytes, NULL AS new_name FROM part.shards WHERE name IN (
    SELECT shard FROM part.excerpts WHERE {KEPT} AND track_id IN (SELECT part_id FROM taken)
)
"""

RECORD = f"""
UPDATE main.excerpts SET review = 'superseded' WHERE track_id IN (SELECT id FROM taken);
UPDATE main.tracks SET (size, mtime_ns, sha256, seconds, sample_rate, channels, status, error) = (
    SELECT size, mtime_ns, sha256, seconds, sample_rate, channels, status, error
    FROM part.tracks JOIN taken ON part_id = tracks.id WHERE taken.id = main.tracks.id
) WHERE id IN (SELECT id FROM taken);
INSERT OR IGNORE INTO main.tracks (path, size, mtime_ns, sha256, seconds, sample_rate, channels, status, error)
SELECT path, size, mtime_ns, sha256, seconds, sample_rate, channels, status, error
FROM part.tracks WHERE id IN (SELECT part_id FROM taken) ORDER BY id;
INSERT OR IGNORE INTO main.shards (name, source, sha256, excerpts, frames, sample_rate, bytes)
SELECT new_name, source, part.shards.sha256, excerpts, frames, sample_rate, part.shards.bytes
FROM part.shards JOIN wanted USING (name);
INSERT INTO main.excerpts (track_id, source, start_seconds, seconds, probability_mean, probability_min,
                           expected_volume_db, shard, shard_start, frames, review)
SELECT of_main.id, source, start_seconds, part.excerpts.seconds, probability_mean, probability_min,
       expected_volume_db, new_name, shard_start, frames, review
FROM part.excerpts
JOIN taken ON part_id = track_id
JOIN part.tracks AS of_part ON of_part.id = track_id
JOIN main.tracks AS of_main USING (path)
LEFT JOIN wanted ON wanted.name = shard
WHERE {KEPT} AND (shard IS NULL OR wanted.name IS NOT NULL) ORDER BY part.excerpts.id;
INSERT INTO main.runs (started, finished, settings_json, versions_json, detector_sha256)
SELECT started, finished, settings_json, versions_json, detector_sha256 FROM part.runs AS of_part
WHERE NOT EXISTS (SELECT 1 FROM main.runs AS of_main WHERE of_main.started = of_part.started
                  AND of_main.finished IS of_part.finished AND of_main.versions_json = of_part.versions_json)
ORDER BY id
"""


@dataclass
class Merged:
    """Result of a merge."""

    parts: int = 0
    tracks: int = 0
    excerpts: int = 0
    shards: int = 0
    repeated: int = 0
    """Tracks of parts that were there already."""
    left_out: int = 0
    """Tracks of parts that hold a recording which another track has, or which is excluded: see report.json."""
    without_fingerprint: int = 0
    """Tracks that could be compared by their bytes only."""


def merge_part(catalogue: Catalogue, part: Path, copy: bool, merged: Merged) -> None:
    """Add ``part`` to ``catalogue``, without the tracks of the table ``left_out``, and count it in ``merged``."""
    database = catalogue.database
    database.execute("ATTACH ? AS part", (f"{(part / CATALOGUE_NAME).absolute().as_uri()}?mode=ro",))
    try:
        _run(database, TAKEN)
        for name, sha256, size in database.execute("SELECT name, sha256, bytes FROM wanted").fetchall():
            source = shard_path(part, name)
            if re.fullmatch("[0-9a-f]{64}", str(sha256)) is None:
                raise DataError(f"{part}: the catalogue states no SHA-256 of {name}; see `remix-miner inspect`")
            new_name, known = _name_in(catalogue, name, sha256)
            if not known:
                place_shard(source, shard_path(catalogue.folder, new_name), sha256, size, copy)
                merged.shards += 1
            database.execute("UPDATE wanted SET new_name = ? WHERE name = ?", (new_name, name))
        with catalogue.transaction():
            before = _count(database, "main.excerpts")
            _run(database, RECORD)
            take_folders(database)
            take_reviews(database)
            apply_by_stretch(database)
            merged.excerpts += _count(database, "main.excerpts") - before
        merged.parts += 1
        merged.tracks += _count(database, "taken")
        of_part = "part.tracks WHERE path NOT IN (SELECT path FROM left_out)"
        merged.repeated += _count(database, of_part) - _count(database, "taken")
        _run(database, "DROP TABLE taken; DROP TABLE wanted")
    finally:
        database.execute("DETACH part")


def _run(database: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";"):  # executescript would end the transaction
        database.execute(statement)


def _count(database: sqlite3.Connection, table: str) -> int:
    (number,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(number)


def _name_in(catalogue: Catalogue, name: str, sha256: str) -> tuple[str, bool]:
    """Return a shard's name in the merged folder (its own, unless another shard has it), and whether it is there."""
    for candidate in (name, f"{Path(name).stem}-{sha256[:16]}.h5"):
        row = catalogue.database.execute("SELECT sha256 FROM shards WHERE name = ?", (candidate,)).fetchone()
        if row is None or row[0] == sha256:
            return candidate, row is not None
    raise DataError(f"{catalogue.folder}: two different shards are named {candidate}")
