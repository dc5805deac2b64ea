"""Comparison of two results by a paired bootstrap over the songs that both were scored on."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from remix_miner.errors import DataError
from remix_miner.evaluation.metrics.aggregates import (
    AGGREGATES,
    EXTRA_COLUMNS,
    bootstrap,
    number,
    score_matrix,
)
from remix_miner.evaluation.results import Result


@dataclass(frozen=True)
class Difference:
    """A minus B in dB of one aggregate and column, its 95% interval over resampled songs, how often A is above.

    No interval below five songs. ``tracks`` counts the pairs of scores behind it; ``wins`` those where A's is higher.
    """

    metric: str
    aggregate: str
    column: str
    value: float
    low: float | None
    high: float | None
    wins: int
    tracks: int

    @property
    def clear(self) -> bool:
        """Return whether the interval excludes 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def compare(first: Result, second: Result, seed: int = 0) -> list[Difference]:
    """Return the differences for every aggregate that both results have, per source, 'average' and 'all_pooled'.

    Songs are resampled together for both results, so the difficulty of a song, common to both, cancels. A song or
    source that either excludes (silence) is left out of both. Raises `DataError` where the results share no song.
    """
    of_second = {track["name"]: track for track in second.tracks}
    pairs = [(track, of_second[track["name"]]) for track in first.tracks if track["name"] in of_second]
    different = [track["name"] for track, other in pairs if abs(track["seconds"] - other["seconds"]) > 0.01]
    if not pairs or different:
        problem = f"{different[0]!r} has two lengths" if different else "they share no song"
        raise DataError(f"{first.name!r} and {second.name!r} cannot be compared: {problem}; score both on one corpus")
    sources = [source for source in first.sources if source in second.sources]
    found = []
    for aggregate in AGGREGATES:
        mine = score_matrix([track for track, _ in pairs], sources, aggregate.column)
        other = score_matrix([track for _, track in pairs], sources, aggregate.column)
        both = np.isfinite(mine) & np.isfinite(other)
        if not both.any():
            continue
        mine, other = np.where(both, mine, np.nan), np.where(both, other, np.nan)
        values = aggregate.statistics(mine) - aggregate.statistics(other)
        low, high = bootstrap(aggregate, seed, mine, other)
        wins, counts = (mine > other).sum(axis=0), both.sum(axis=0)
        columns = (*sources, *EXTRA_COLUMNS)
        for index, column in enumerate(columns):
            pooled = column in EXTRA_COLUMNS
            if np.isfinite(values[index]):
                found.append(
                    Difference(
                        aggregate.metric,
                        aggregate.name,
                        column,
                        float(values[index]),
                        number(low[index]),
                        number(high[index]),
                        int(wins.sum() if pooled else wins[index]),
                        int(counts.sum() if pooled else counts[index]),
                    )
                )
    return found


def differences_document(differences: list[Difference]) -> list[dict[str, Any]]:
    """Return the JSON document of `compare`."""
    return [{**vars(each), "clear": each.clear} for each in differences]
