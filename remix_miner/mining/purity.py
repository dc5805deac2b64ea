"""Purity of a harvest, measured on planted songs."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Purity:
    """Purity of the harvest of one source from the planted songs.

    ``purity``: share of the harvested audio's windows (0.64 s, every 64 ms) with V <= ``volume_db``; None without
    harvest. ``low``, ``high``: 95% bootstrap interval of it over the songs with a harvest; None for a single one,
    and too narrow for a handful. ``median_db`` and ``percentile_95_db``: of V over those windows (-80 stands for this
    or less).
    """

    songs: int
    songs_harvested: int
    excerpts: int
    seconds: float
    purity: float | None
    low: float | None
    high: float | None
    median_db: float | None
    percentile_95_db: float | None
    volume_db: float


def purity_json(purities: Mapping[str, Purity]) -> dict[str, dict[str, float | int | None]]:
    """Return the purity per source, as in report.json."""
    return {source: dataclasses.asdict(purity) for source, purity in purities.items()}
