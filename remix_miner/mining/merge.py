"""Merge of mined folders, for example the shares of ``detect --shard i/n``, into one.

For each part, shard files are put in place first (a hard link if the file system has them, else a verified copy). Then
one transaction records the part. A repeated merge after an interruption therefore has the same result, a part that was
merged before adds nothing, and the parts stay unchanged.
"""

import contextlib
import errno
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from remix_miner.atomic import atomic_path, sync_folder, write_json
from remix_miner.checkpoint import sha256_of_file
from remix_miner.datasets.library import Skipped
from remix_miner.duplicates.merge_filter import choose, take_fingerprints
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue import Catalogue, differing_settings
from remix_miner.mined.catalogue_db import CATALOGUE_NAME, reading_errors
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.library_folders import take_folders
from remix_miner.mined.lock import FolderLock
from remix_miner.mined.probabilities import PROBABILITIES_NAME, ProbabilityStore
from remix_miner.mined.reviews.by_stretch import apply_by_stretch
from remix_miner.mined.reviews.copying import take_reviews
from remix_miner.mined.shards.files import shard_path
from remix_miner.mining.report import REPORT_NAME, RunTally, report_of
from remix_miner.progress import track

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


def merge(out: Path, parts: Sequence[Path], *, copy: bool = False, duplicates: bool = True) -> Merged:
    """Add mined folders to ``out``, which is created if it is missing. ``copy``: make no links.

    A track that several parts have is recorded once: a finished scan before a failed one, and of two versions of a
    file the later one. ``duplicates``: so is a recording of which several parts have copies, unless their scans kept
    all copies; `duplicates.merge_filter` chooses. Raises `DataError` for parts with other settings or
    detectors, before anything is written, and for a shard that is missing or damaged, when the parts before it are
    done.
    """
    if len({path.resolve() for path in [out, *parts]}) < len(parts) + 1:
        raise UsageError("merge joins different folders into another one: OUT and each PART must be different")
    merged = Merged()
    with contextlib.ExitStack() as stack:
        settings = [stack.enter_context(_reading(part)).settings for part in parts]
        for part, other in zip(parts, settings, strict=True):
            if differences := differing_settings(settings[0], other):
                raise DataError(f"{parts[0]} and {part} were mined with different settings ({'; '.join(differences)})")
        catalogue = stack.enter_context(Catalogue.open(out, settings[0]))
        choice = choose(out, parts, duplicates)
        merged.left_out, merged.without_fingerprint = len(choice.left_out), choice.without_fingerprint
        take_fingerprints(out, parts)
        take_probabilities(out, parts)
        catalogue.database.execute("CREATE TEMP TABLE left_out (path TEXT PRIMARY KEY)")
        catalogue.database.executemany("INSERT INTO left_out VALUES (?)", [(name,) for name in choice.left_out])
        for part in track(parts, "merging"):
            with reading_errors(part / CATALOGUE_NAME):
                _merge_one(catalogue, part, copy, merged)
        skipped = [Skipped(Path(name), reason) for name, reason in sorted(choice.left_out.items())]
        report = report_of(catalogue, refused={}, skipped=skipped, run=RunTally(), planted={})
        write_json(out / REPORT_NAME, report.as_json())
    return merged


def take_probabilities(out: Path, parts: Sequence[Path]) -> None:
    """Copy the parts' probabilities; parts of older versions have none."""
    having = [part for part in parts if (part / PROBABILITIES_NAME).is_file()]
    if having:
        with ProbabilityStore(out) as store:
            for part in having:
                store.take_over(part)


@contextlib.contextmanager
def _reading(part: Path) -> Iterator[CatalogueView]:
    """Open a part's catalogue and lock the part against scans (where the folder can be written)."""
    with reading_errors(part / CATALOGUE_NAME), CatalogueView.read(part) as catalogue:
        lock = FolderLock(part) if os.access(part, os.W_OK) else None
        try:
            yield catalogue
        finally:
            if lock is not None:
                lock.release()


def _merge_one(catalogue: Catalogue, part: Path, copy: bool, merged: Merged) -> None:
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
                _place(source, shard_path(catalogue.folder, new_name), sha256, size, copy)
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


def _place(source: Path, target: Path, sha256: str, size: int, copy: bool) -> None:
    """Put a shard's file in place atomically. Check its size, and its hash if it is copied."""
    if source.is_symlink() or not source.is_file():
        raise DataError(f"{source} is missing or a link; copy it, or run `remix-miner detect` on that part again")
    if source.stat().st_size != size:
        raise DataError(
            f"{source} has {source.stat().st_size} bytes, its catalogue states {size}; see `remix-miner inspect`"
        )
    target.parent.mkdir(exist_ok=True)
    if not copy:
        try:
            os.link(source, target)
            sync_folder(target.parent)
            return
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise DataError(f"{target} cannot be made: {error.strerror}") from error
    try:
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
            if sha256_of_file(temporary) != sha256:
                raise DataError(
                    f"{source} is damaged (another SHA-256 than its catalogue states); see `remix-miner inspect`"
                )
    except OSError as error:
        raise DataError(f"{target} cannot be made: {error.strerror}; run the same command again") from error


_CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
