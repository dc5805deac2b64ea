"""List of a mined folder's excerpts, by source, track, length, place and review."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remix_miner.errors import UsageError
from remix_miner.mined.catalogue_db import CATALOGUE_NAME, LIVE, reading_errors
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.sources import SOURCES

COLUMNS = (
    "id",
    "track",
    "source",
    "start_seconds",
    "seconds",
    "probability_mean",
    "probability_min",
    "expected_volume_db",
    "review",
    "shard",
    "shard_start",
    "frames",
)
REVIEWS = {
    "live": LIVE,
    "none": "review IS NULL",
    "accepted": "review = 'accepted'",
    "rejected": "review = 'rejected'",
    "superseded": "review = 'superseded'",
    "all": "true",
}
"""Conditions by name; 'live' are those that training reads."""


@dataclass(frozen=True)
class ListFilter:
    """Filter of listed excerpts: without ``source``, of tracks whose name contains ``track``, of at least
    ``min_seconds`` and ``min_probability`` (mean), and of the review state ``review``.
    """

    source: str | None = None
    track: str = ""
    min_seconds: float = 0.0
    min_probability: float = 0.0
    review: str = "live"

    def __post_init__(self) -> None:
        if self.source is not None and self.source not in SOURCES:
            raise UsageError(f"unknown source {self.source!r}; choose among {', '.join(SOURCES)}")
        if self.review not in REVIEWS:
            raise UsageError(f"unknown review state {self.review!r}; choose among {', '.join(REVIEWS)}")


def list_excerpts(folder: Path, wanted: ListFilter = ListFilter()) -> Iterator[dict[str, Any]]:
    """Yield the excerpts of ``folder`` that pass ``wanted``, ordered by track, place and source, with `COLUMNS`."""
    with reading_errors(folder / CATALOGUE_NAME), CatalogueView.read(folder) as catalogue:
        rows = catalogue.database.execute(
            "SELECT excerpts.id, path, source, start_seconds, excerpts.seconds, probability_mean, probability_min, "
            "expected_volume_db, review, shard, shard_start, frames "
            "FROM excerpts JOIN tracks ON tracks.id = track_id "
            f"WHERE {REVIEWS[wanted.review]} AND source = ifnull(?, source) AND (? = '' OR instr(path, ?)) "
            "AND excerpts.seconds >= ? AND probability_mean >= ? ORDER BY path, start_seconds, source",
            (wanted.source, wanted.track, wanted.track, wanted.min_seconds, wanted.min_probability),
        )
        for row in rows:
            yield dict(zip(COLUMNS, row, strict=True))
