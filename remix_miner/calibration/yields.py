"""Seconds against purity of harvest rules on labelled songs, also with thresholds chosen on other artists."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from remix_miner.calibration.harvest import Harvest, HarvestRule, harvest
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.window_table import artist_numbers, windows_of
from remix_miner.errors import DataError


@dataclass(frozen=True)
class OperatingPoint:
    """The harvest of one rule.

    ``seconds``: harvested audio. ``purity``: share of the harvested windows with V at most the given volume (None where
    nothing is harvested). ``volume_p95_db``: 95th percentile of V over them. ``recall``: share of all silent windows.
    """

    rule: HarvestRule
    seconds: float
    purity: float | None
    volume_p95_db: float | None
    recall: float


@dataclass(frozen=True)
class HarvestTable:
    """Harvest of each song (rows) and rule (columns): seconds, windows kept, and silent windows among them.

    ``kept`` and ``pure`` are weighted as in `window_table.windows_of`. ``points``: one for each rule, over all songs.
    ``artists``: the number of each song's artist.
    """

    points: tuple[OperatingPoint, ...]
    seconds: Float[np.ndarray, "K R"]
    kept: Float[np.ndarray, "K R"]
    pure: Float[np.ndarray, "K R"]
    artists: Int[np.ndarray, " K"]

    @property
    def lengths(self) -> list[float]:
        """Shortest spans of the rules, ascending."""
        return sorted({point.rule.min_seconds for point in self.points})

    def held_out(self, min_seconds: float, purity: float) -> tuple[float, float | None]:
        """Return (seconds, purity) with the threshold of each artist chosen on the other artists.

        The chosen rule has the largest harvest among those with ``min_seconds`` that reach ``purity`` on the other
        artists. Without such a rule nothing of the artist is harvested.
        """
        columns = np.array([i for i, point in enumerate(self.points) if point.rule.min_seconds == min_seconds])
        seconds = kept = pure = 0.0
        for artist in np.unique(self.artists):
            others, mine = self.artists != artist, self.artists == artist
            kept_by_others = self.kept[np.ix_(others, columns)].sum(0)
            pure_by_others = self.pure[np.ix_(others, columns)].sum(0)
            enough = (kept_by_others > 0) & (pure_by_others >= purity * kept_by_others)
            if not enough.any():
                continue
            gain = np.where(enough, self.seconds[np.ix_(others, columns)].sum(0), -1.0)
            best = columns[int(gain.argmax())]
            seconds += self.seconds[mine, best].sum()
            kept += self.kept[mine, best].sum()
            pure += self.pure[mine, best].sum()
        return float(seconds), float(pure / kept) if kept else None


def measure(
    songs: Sequence[LabelledSong],
    source: int,
    rules: Sequence[HarvestRule],
    volume_db: float,
    silence_rate: float | None = None,
) -> HarvestTable:
    """Apply every rule to every song with labels of ``source``; `DataError` where there is none."""
    windows = windows_of(songs, source, volume_db, silence_rate)
    if not windows.songs:
        raise DataError("no song has a label for this source, so nothing can be measured")
    silent = windows.weights[windows.silent].sum()
    points, columns = [], []
    for rule in rules:
        found = harvest(windows, rule)
        points.append(_point(rule, found, silent))
        columns.append((found.seconds, found.kept_by_song, found.pure_by_song))
    seconds, kept, pure = (np.stack(part, axis=1) for part in zip(*columns, strict=True))  # (K, R)
    return HarvestTable(tuple(points), seconds, kept, pure, np.array(artist_numbers(windows.songs)))


def _point(rule: HarvestRule, found: Harvest, silent: float) -> OperatingPoint:
    return OperatingPoint(
        rule=rule,
        seconds=float(found.seconds.sum()),
        purity=found.purity,
        volume_p95_db=found.volume_db(0.95),
        recall=float(found.pure_by_song.sum() / max(silent, 1e-12)),
    )


def best_at_purity(points: Sequence[OperatingPoint], purity: float) -> OperatingPoint | None:
    """Return the point with the largest harvest among those of at least ``purity``; None where there is none."""
    pure = [point for point in points if point.purity is not None and point.purity >= purity]
    return max(pure, key=lambda point: point.seconds, default=None)
