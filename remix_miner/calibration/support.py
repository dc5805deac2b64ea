"""What labelled songs support: the purity that they can promise, and at which confidence."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from remix_miner.calibration.labelled_songs import LabelledSong
from remix_miner.calibration.promise import curve_of, measure_harvests
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.sources import SOURCES

CONFIDENCES = (0.8, 0.9, 0.95)
WORST_ARTISTS = (0.75, 0.5)


@dataclass(frozen=True)
class Support:
    """One choice of ``confidence`` and ``worst_artist``.

    Per source: ``thresholds`` at the asked purity (None: not reached) and the highest purity that can be promised.
    """

    confidence: float
    worst_artist: float
    thresholds: dict[str, float | None]
    highest: dict[str, float]


def supported(songs: Sequence[LabelledSong], settings: CalibrationSettings) -> list[Support]:
    """What ``songs`` promise of harvested seconds for each confidence and worst artist, the boldest first."""
    known = [source for source in range(len(SOURCES)) if any(song.known(source).any() for song in songs)]
    harvests = {
        source: measure_harvests([song for song in songs if song.known(source).any()], source, settings)
        for source in known
    }
    rows = []
    for confidence in CONFIDENCES:
        for worst_artist in WORST_ARTISTS:
            changed = dataclasses.replace(settings, confidence=confidence, worst_artist=worst_artist)
            curves = {SOURCES[source]: curve_of(harvests[source], changed) for source in known}
            rows.append(
                Support(
                    confidence,
                    worst_artist,
                    {source: curve.threshold_for(settings.precision) for source, curve in curves.items()},
                    {source: curve.highest_bound for source, curve in curves.items()},
                )
            )
    return rows
