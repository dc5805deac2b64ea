"""Thresholds that songs support at other confidences and worst artists."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from remix_miner.calibration.promise.curve import curve_of, measure_harvests
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.detector.artist_counts import ArtistCounts
from remix_miner.sources import SOURCES

CONFIDENCES = (0.8, 0.9, 0.95)
WORST_ARTISTS = (0.75, 0.5)


@dataclass(frozen=True)
class Support:
    """Thresholds that the songs support at one ``confidence`` and ``worst_artist``.

    Per source: ``thresholds`` at its target (None where that is not reached), and the ``highest`` lower bound.
    """

    confidence: float
    worst_artist: float
    thresholds: dict[str, float | None]
    highest: dict[str, float]


def supported(
    songs: Sequence[LabelledSong], settings: CalibrationSettings, prior: Mapping[str, ArtistCounts] | None = None
) -> list[Support]:
    """Return the supported thresholds for each confidence and worst artist, the lowest confidence first.

    ``prior``: per source, see `curve_of`.
    """
    known = [source for source in range(len(SOURCES)) if any(song.known(source).any() for song in songs)]
    harvests = {
        source: measure_harvests([song for song in songs if song.known(source).any()], source, settings)
        for source in known
    }
    rows = []
    for confidence in CONFIDENCES:
        for worst_artist in WORST_ARTISTS:
            changed = dataclasses.replace(settings, confidence=confidence, worst_artist=worst_artist)
            curves = {
                SOURCES[source]: curve_of(
                    harvests[source], changed.of_source(SOURCES[source]), (prior or {}).get(SOURCES[source])
                )
                for source in known
            }
            rows.append(
                Support(
                    confidence,
                    worst_artist,
                    {
                        source: curve.threshold_for(settings.of_source(source).precision)
                        for source, curve in curves.items()
                    },
                    {source: curve.highest_bound for source, curve in curves.items()},
                )
            )
    return rows
