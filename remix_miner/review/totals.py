"""Totals of a large harvest: counted once per session, then corrected by the reviews."""

import sqlite3

from remix_miner.mined.live_excerpts import kept_parts
from remix_miner.mined.reviews.decisions import has_reviews
from remix_miner.sources import SOURCES

REVIEWED = "id IN (SELECT excerpt_id FROM reviews)"


class Totals:
    """Seconds and excerpts of each source that readers take, and the number of excerpts by decision."""

    def __init__(self) -> None:
        self._all: dict[str, tuple[int, float]] | None = None

    def harvest(self, database: sqlite3.Connection) -> dict[str, dict[str, float]]:
        """Return excerpts and seconds per source, as `CatalogueView.harvest` does, without the number of tracks.

        Excerpts that a concurrent scan adds after the first call are not counted.
        """
        reviewed = has_reviews(database)
        if self._all is None:
            counted = f"OR {REVIEWED}" if reviewed else ""
            self._all = _sums(database, f"review IS NOT 'superseded' AND (review IS NOT 'rejected' {counted})")
        found = {source: list(values) for source, values in self._all.items()}
        if reviewed:
            for source, (excerpts, seconds) in _sums(database, f"review = 'rejected' AND {REVIEWED}").items():
                found[source][0] -= excerpts
                found[source][1] -= seconds
            for part in kept_parts(database):
                found[part.source][0] += 1
                found[part.source][1] += part.seconds
        return {
            source: {"excerpts": found[source][0], "seconds": found[source][1]} for source in SOURCES if source in found
        }

    def decisions(self, database: sqlite3.Connection) -> dict[str, int]:
        """Return the number of reviewed excerpts by decision: accepted, rejected, unsure."""
        if not has_reviews(database):
            return {}
        return dict(
            database.execute(
                f"SELECT review, count(*) FROM excerpts WHERE {REVIEWED} "
                "AND review IN ('accepted', 'rejected', 'unsure') GROUP BY review"
            ).fetchall()
        )


def _sums(database: sqlite3.Connection, condition: str) -> dict[str, tuple[int, float]]:
    rows = database.execute(f"SELECT source, count(*), total(seconds) FROM excerpts WHERE {condition} GROUP BY source")
    return {source: (excerpts, seconds) for source, excerpts, seconds in rows}
