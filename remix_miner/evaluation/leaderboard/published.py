"""Published scores, each with its paper, its exact table and the variant of the metric.

published.json holds them as the papers print them: nothing in it is computed, rounded or averaged. Scores whose metric
is defined as in this project are shown beside measured rows, other scores in a table of their own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remix_miner.sources import SOURCES

PUBLISHED = Path(__file__).parent / "published.json"


@dataclass(frozen=True)
class PublishedRow:
    """A line of a paper's table. ``values`` in dB: sources, 'average' (mean of the sources), 'all_pooled'."""

    paper: str
    table: str
    corpus: str
    metric: str
    aggregate: str
    variant: str
    system: str
    training: str
    values: Mapping[str, float]
    deviations: Mapping[str, float] = field(default_factory=dict)
    other: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def average_is_computed(self) -> bool:
        """Return whether the table gives the four sources and no average of them."""
        return "average" not in self.values and set(SOURCES) <= set(self.values)

    @property
    def figures(self) -> dict[str, float]:
        """Return the values, with the mean of the four sources as 'average' if the table gives no average."""
        if not self.average_is_computed:
            return dict(self.values)
        return {**self.values, "average": sum(self.values[source] for source in SOURCES) / len(SOURCES)}


def published_rows() -> list[PublishedRow]:
    """Return all rows, in the order of the papers and their tables."""
    return [
        PublishedRow(
            paper["citation"],
            table["table"],
            table["corpus"],
            table["metric"],
            table["aggregate"],
            table["variant"],
            **row,
        )
        for paper in _document()["papers"]
        for table in paper["tables"]
        for row in table["rows"]
    ]


def papers_without_rows() -> list[tuple[str, str]]:
    """Return (citation, reason) of papers without rows."""
    return [(paper["citation"], paper["note"]) for paper in _document()["papers"] if not paper["tables"]]


def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    return document
