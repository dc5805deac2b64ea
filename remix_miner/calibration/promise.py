"""Purity bound of a harvest: a lower bound of the share of harvested seconds in which the source is silent.

The bound is that of `bounds.lower_bound` over artists. It is computed on the audio of the kept spans, not on single
windows, because a scan yields spans and most false windows do not lie in spans of five seconds.

Results on songs that trained the detector are too good. Such songs can lower the bound, but they neither raise it nor
count as artists.
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
"""Candidate thresholds: steps of 1/8 in the logit, from P = 0.047 to 0.9999."""

JUDGED_SECONDS = 20.0
"""Least harvest of an artist to which the artist floor applies; less is too small a sample."""

CONFIDENCES = (0.8, 0.9, 0.95)
WORST_ARTISTS = (0.75, 0.5)


def not_trained_on(songs: Sequence[LabelledSong]) -> list[LabelledSong]:
    """Return the songs that did not train the detector, or all of them when all did."""
    return [song for song in songs if not song.trained_on] or list(songs)


def purity_curve(songs: Sequence[LabelledSong], source: int, settings: CalibrationSettings) -> PurityCurve:
    """Return the purity curve of one source at THRESHOLDS."""
    return curve_of(measure_harvests(songs, source, settings), settings)


@dataclass(frozen=True)
class Harvests:
    """Harvests of one source at THRESHOLDS: of the songs that did not train the detector, and of all songs.

    ``all_songs`` is None where no song trained the detector.
    """

    fresh: list[Harvest]
    all_songs: list[Harvest] | None


def measure_harvests(songs: Sequence[LabelledSong], source: int, settings: CalibrationSettings) -> Harvests:
    """Return the harvests of one source at THRESHOLDS."""
    rate = settings.silence_rates.get(SOURCES[source])

    def at_thresholds(some: Sequence[LabelledSong]) -> list[Harvest]:
        windows = windows_of(some, source, settings.volume_db, rate)
        return [harvest(windows, HarvestRule(threshold, settings.min_seconds)) for threshold in THRESHOLDS]

    fresh = not_trained_on(songs)
    return Harvests(at_thresholds(fresh), None if len(fresh) == len(songs) else at_thresholds(songs))


def curve_of(harvests: Harvests, settings: CalibrationSettings) -> PurityCurve:
    """Return the purity curve of ``harvests`` at the confidence of ``settings``."""
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
    """Return the counts of harvested windows and of silent ones among them, per artist and rule."""
    windows = harvests[0].windows
    accepted = [_sum_by_artist(windows, found.kept_by_song) for found in harvests]
    silent = [_sum_by_artist(windows, found.pure_by_song) for found in harvests]
    names = tuple(sorted({song.artist for song in windows.songs}))
    return Acceptance(np.array(THRESHOLDS[: len(harvests)]), np.stack(accepted, 1), np.stack(silent, 1), names)


def _bound(table: Acceptance, settings: CalibrationSettings) -> Float[np.ndarray, " J"]:
    return lower_bound(table, settings.precision, settings.confidence, settings.worst_artist, settings.seed)


def _worst_artist(found: Harvest) -> float:
    """Return the least share of silent windows of an artist with enough harvest, unweighted; nan without one.

    With the weights of the assumed silence rate one false excerpt would outweigh many right ones.
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
    """Thresholds that the songs support at one ``confidence`` and ``worst_artist``.

    Per source: ``thresholds`` at the target (None where it is not reached), and the ``highest`` lower bound.
    """

    confidence: float
    worst_artist: float
    thresholds: dict[str, float | None]
    highest: dict[str, float]


def supported(songs: Sequence[LabelledSong], settings: CalibrationSettings) -> list[Support]:
    """Return the supported thresholds for each confidence and worst artist, the lowest confidence first."""
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
