"""The promise of a calibration: a lower bound of the share of harvested seconds in which the source is silent.

The bound is that of `bounds.lower_bound` over artists. What counts is the audio that the span rule keeps, not single
windows: that is what a library gives, and most false windows do not lie in spans of five seconds.

Songs that the detector learned from flatter it. They can lower the bound (a fault on them is a fault), but they
neither raise it nor count as artists.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from remix_miner.calibration.bounds import Acceptance, lower_bound
from remix_miner.calibration.harvest import Harvest, HarvestRule, harvest, perfect_harvest
from remix_miner.calibration.labelled_songs import LabelledSong
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.window_table import SourceWindows, artist_numbers, windows_of
from remix_miner.detector.purity_curve import PurityCurve
from remix_miner.sources import SOURCES

THRESHOLDS = tuple(float(f"{threshold:.5g}") for threshold in expit(np.arange(-3, 9.01, 0.125)))
"""Candidates: steps of 1/8 in the logit, from P = 0.047 to 0.9999."""

JUDGED_SECONDS = 20.0
"""An artist with less harvest than this is too small a sample for the floor of an artist's share."""

CONFIDENCES = (0.8, 0.9, 0.95)
WORST_ARTISTS = (0.75, 0.5)


def unheard(songs: Sequence[LabelledSong]) -> list[LabelledSong]:
    """The songs that the detector did not learn from; all of them when it learned from all."""
    return [song for song in songs if not song.trained_on] or list(songs)


def purity_curve(songs: Sequence[LabelledSong], source: int, settings: CalibrationSettings) -> PurityCurve:
    """Measure the harvest of one source at each of THRESHOLDS."""
    return curve_of(measure_harvests(songs, source, settings), settings)


@dataclass(frozen=True)
class Harvests:
    """The harvest of one source at each of THRESHOLDS; of songs that the detector did not learn from, and of all.

    ``all_songs`` is None where the two are the same songs.
    """

    fresh: list[Harvest]
    all_songs: list[Harvest] | None


def measure_harvests(songs: Sequence[LabelledSong], source: int, settings: CalibrationSettings) -> Harvests:
    """Harvest one source at each of THRESHOLDS."""
    rate = settings.silence_rates.get(SOURCES[source])

    def at_thresholds(some: Sequence[LabelledSong]) -> list[Harvest]:
        windows = windows_of(some, source, settings.volume_db, rate)
        return [harvest(windows, HarvestRule(threshold, settings.min_seconds)) for threshold in THRESHOLDS]

    fresh = unheard(songs)
    return Harvests(at_thresholds(fresh), None if len(fresh) == len(songs) else at_thresholds(songs))


def curve_of(harvests: Harvests, settings: CalibrationSettings) -> PurityCurve:
    """What each threshold promises at the confidence of ``settings``."""
    table = by_artist(harvests.fresh)
    bound = _bound(table, settings)
    worst = np.array([_worst_artist(found) for found in harvests.fresh])  # nan where no artist has enough
    if harvests.all_songs is not None:
        bound = np.minimum(bound, _bound(by_artist(harvests.all_songs), settings))
        worst = np.fmin(worst, [_worst_artist(found) for found in harvests.all_songs])
    perfect = perfect_harvest(harvests.fresh[0].windows, settings.min_seconds).kept
    return PurityCurve(
        threshold=list(THRESHOLDS),
        lower_bound=[round(float(value), 5) for value in bound],
        purity=[_rounded(found.purity) for found in harvests.fresh],
        worst_artist=[_rounded(None if np.isnan(share) else share) for share in worst],
        recall=[round(float((found.kept & perfect).sum() / max(perfect.sum(), 1)), 5) for found in harvests.fresh],
        artists=[int(count) for count in table.artists_accepted],
        artist_floor=settings.artist_floor,
    )


def by_artist(harvests: Sequence[Harvest]) -> Acceptance:
    """Harvested windows, and those of them that are silent, per artist and rule."""
    windows = harvests[0].windows
    accepted = [_sum_by_artist(windows, found.kept_by_song) for found in harvests]
    silent = [_sum_by_artist(windows, found.pure_by_song) for found in harvests]
    names = tuple(sorted({song.artist for song in windows.songs}))
    return Acceptance(np.array(THRESHOLDS[: len(harvests)]), np.stack(accepted, 1), np.stack(silent, 1), names)


def _bound(table: Acceptance, settings: CalibrationSettings) -> Float[np.ndarray, " J"]:
    return lower_bound(table, settings.precision, settings.confidence, settings.worst_artist, settings.seed)


def _worst_artist(found: Harvest) -> float:
    """Least share of silent windows of an artist with enough harvest, unweighted; nan for none.

    The weights of the assumed silence rate would make one false excerpt outweigh many right ones.
    """
    windows = found.windows
    size = int(windows.artists.max(initial=0)) + 1
    seconds = _sum_by_artist(windows, found.seconds)
    kept = np.bincount(windows.artists, found.kept, minlength=size)
    pure = np.bincount(windows.artists, found.kept & windows.silent, minlength=size)
    judged = (seconds >= JUDGED_SECONDS) & (kept > 0)
    return float((pure[judged] / kept[judged]).min()) if judged.any() else float("nan")


def _sum_by_artist(windows: SourceWindows, per_song: Float[np.ndarray, " K"]) -> Float[np.ndarray, " A"]:
    return np.bincount(artist_numbers(windows.songs), per_song)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(float(share), 5)


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
