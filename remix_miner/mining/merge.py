"""Merge of mined folders, for example the shares of ``detect --shard i/n``, into one.

For each part, shard files are put in place first (a hard link if the file system has them, else a verified copy). Then
one transaction records the part. A repeated merge after an interruption therefore has the same result, a part that was
merged before adds nothing, and the parts stay unchanged.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from remix_miner.atomic import write_json
from remix_miner.datasets.library import Skipped
from remix_miner.duplicates.merge_filter import choose, take_fingerprints
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue import Catalogue, differing_settings
from remix_miner.mined.catalogue_db import CATALOGUE_NAME, reading_errors
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.lock import FolderLock
from remix_miner.mined.probabilities import PROBABILITIES_NAME, ProbabilityStore
from remix_miner.mining.merge_part import Merged, merge_part
from remix_miner.mining.report import REPORT_NAME, RunTally, report_of
from remix_miner.progress import track


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
                merge_part(catalogue, part, copy, merged)
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
