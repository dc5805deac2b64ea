"""List of excerpts for the review page: filters and orders as SQL, with keyset pagination."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remix_miner.errors import UsageError
from remix_miner.sources import SOURCES

PAGE_ROWS = 100

ORDERS = {
    "scan": "excerpts.id",
    "doubtful": "probability_mean",
    "long": "-excerpts.seconds",
    "mixed": "(excerpts.id * 2654435761) % 4294967296",
}
"""By name: order of the scan, least probable first, longest first, shuffled (the same each time)."""

REVIEWS = {
    "all": "1",
    "open": "review IS NULL",
    "done": "review IS NOT NULL",
    "accepted": "review = 'accepted'",
    "rejected": "review = 'rejected'",
    "unsure": "review = 'unsure'",
}


@dataclass(frozen=True)
class Filter:
    """Filter and order of the list.

    ``track``: a part of the name, in any case. Probabilities are means over the excerpt.
    """

    source: str | None = None
    review: str = "all"
    order: str = "scan"
    track: str = ""
    min_probability: float = 0.0
    max_probability: float = 1.0
    min_seconds: float = 0.0
    max_seconds: float = float("inf")

    def __post_init__(self) -> None:
        for name, value, known in (
            ("source", self.source, (None, *SOURCES)),
            ("review", self.review, tuple(REVIEWS)),
            ("order", self.order, tuple(ORDERS)),
        ):
            if value not in known:
                raise UsageError(f"{name} is one of {', '.join(map(str, known))}, got {value!r}")

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filter":
        """Return the filter of a URL query. Raises `UsageError` for an unknown value or an invalid number."""
        values: dict[str, Any] = {name: query[name] for name in ("review", "order", "track") if query.get(name)}
        values["source"] = query.get("source") or None
        for name in ("min_probability", "max_probability", "min_seconds", "max_seconds"):
            if query.get(name):
                try:
                    values[name] = float(query[name])
                except ValueError:
                    raise UsageError(f"{name} is a number, got {query[name]!r}") from None
        return cls(**values)

    def condition(self) -> tuple[str, list[Any]]:
        """Return an SQL condition over excerpts joined with tracks, and its arguments."""
        clauses, arguments = ["review IS NOT 'superseded'", REVIEWS[self.review]], []
        for clause, value, needed in (
            ("source = ?", self.source, self.source is not None),
            ("probability_mean >= ?", self.min_probability, self.min_probability > 0),
            ("probability_mean <= ?", self.max_probability, self.max_probability < 1),
            ("excerpts.seconds >= ?", self.min_seconds, self.min_seconds > 0),
            ("excerpts.seconds <= ?", self.max_seconds, self.max_seconds < float("inf")),
            ("instr(lower(path), lower(?))", self.track, bool(self.track)),
        ):
            if needed:
                clauses.append(clause)
                arguments.append(value)
        return " AND ".join(clauses), arguments


def list_page(database: sqlite3.Connection, wanted: Filter, after: tuple[float, int] | None) -> dict[str, Any]:
    """Return ``rows`` after the place ``after`` (None: from the top), and ``after``, where the next page begins."""
    condition, arguments = wanted.condition()
    order = ORDERS[wanted.order]
    if after is not None:
        # By id alone the second part would only repeat the first, and keep SQLite from starting at the right row.
        condition += " AND excerpts.id > ?" if wanted.order == "scan" else f" AND ({order}, excerpts.id) > (?, ?)"
        arguments += [after[1]] if wanted.order == "scan" else list(after)
    rows = database.execute(
        "SELECT excerpts.id, path, source, start_seconds, excerpts.seconds, probability_mean, review, "
        f"{order} FROM excerpts JOIN tracks ON tracks.id = track_id WHERE {condition} "
        f"ORDER BY {order}, excerpts.id LIMIT {PAGE_ROWS}",
        arguments,
    ).fetchall()
    names = ("id", "track", "source", "start_seconds", "seconds", "probability", "review")
    return {
        "rows": [dict(zip(names, row[:-1], strict=True)) for row in rows],
        "after": [rows[-1][-1], rows[-1][0]] if len(rows) == PAGE_ROWS else None,
    }


def count_listed(database: sqlite3.Connection, wanted: Filter) -> dict[str, Any]:
    """Return the number of listed excerpts, their seconds, and how many of them are reviewed."""
    condition, arguments = wanted.condition()
    tracks = "JOIN tracks ON tracks.id = track_id " if wanted.track else ""
    excerpts, seconds, reviewed = database.execute(
        f"SELECT count(*), total(excerpts.seconds), count(review) FROM excerpts {tracks}WHERE {condition}", arguments
    ).fetchone()
    return {"excerpts": excerpts, "seconds": seconds, "reviewed": reviewed}
