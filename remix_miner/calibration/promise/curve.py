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
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from remix_miner.calibration.bounds import DRAWS, Acceptance, lower_bound
from remix_miner.calibration.harvest import Harvest, HarvestRule, harvest, perfect_harvest
from remix_miner.calibration.intervals import ratio
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.window_table import silent_weight_of, windows_of
from remix_miner.detector.artist_counts import ArtistCounts
from remix_miner.detector.purity_curve import PurityCurve
from remix_miner.sources import SOURCES

THRESHOLDS = tuple(float(f"{threshold:.5g}") for threshold in expit(np.arange(-3, 9.01, 0.125)))
"""Candidate thresholds: steps of 1/8 in the logit, from P = 0.047 to 0.9999."""

JUDGED_SECONDS = 20.0
"""Least harvest of an artist to which the artist floor applies; less is too small a sample."""


def not_trained_on(songs: Sequence[LabelledSong]) -> list[LabelledSong]:
    """Return the songs that did not train the detector, or all of them when all did."""
    return [song for song in songs if not song.trained_on] or list(songs)


def purity_curve(
    songs: Sequence[LabelledSong], source: int, settings: CalibrationSettings, prior: ArtistCounts | None = None
) -> PurityCurve:
    """Return the purity curve of one source at THRESHOLDS; for ``prior`` see `curve_of`."""
    return curve_of(measure_harvests(songs, source, settings), settings, prior)


@dataclass(frozen=True)
class Harvests:
    """Harvests of one source at THRESHOLDS: of the songs that did not train the detector, and of all songs.

    ``all_songs`` is None where no song trained the detector. ``min_seconds``: shortest span.
    """

    fresh: list[Harvest]
    all_songs: list[Harvest] | None
    min_seconds: float

    def counts(self) -> ArtistCounts:
        """Return the counts of each artist, songs that trained the detector apart."""
        harvests = self.all_songs or self.fresh
        windows = harvests[0].windows
        keys = [(song.artist, self.all_songs is not None and song.trained_on) for song in windows.songs]
        rows = sorted(set(keys))
        row = np.array([rows.index(key) for key in keys], dtype=int)
        size = len(rows)

        def count(mask: Bool[np.ndarray, " N"]) -> Int[np.ndarray, " A"]:
            return np.bincount(row[windows.song[mask]], minlength=size)

        perfect = perfect_harvest(windows, self.min_seconds).kept
        return ArtistCounts.of(
            [artist for artist, _ in rows],
            [trained_on for _, trained_on in rows],
            np.stack((count(np.ones(len(windows), dtype=bool)), count(windows.silent))),
            np.stack(
                (
                    np.stack([count(found.kept) for found in harvests], axis=1),
                    np.stack([count(found.kept & windows.silent) for found in harvests], axis=1),
                )
            ),
            np.stack([np.bincount(row, found.seconds, minlength=size) for found in harvests], axis=1),
            (count(perfect), np.stack([count(found.kept & perfect) for found in harvests], axis=1)),
        )


def measure_harvests(songs: Sequence[LabelledSong], source: int, settings: CalibrationSettings) -> Harvests:
    """Return the harvests of one source at THRESHOLDS."""
    rate = settings.silence_rates.get(SOURCES[source])

    def at_thresholds(some: Sequence[LabelledSong]) -> list[Harvest]:
        windows = windows_of(some, source, settings.volume_db, rate)
        return [harvest(windows, HarvestRule(threshold, settings.min_seconds)) for threshold in THRESHOLDS]

    fresh = not_trained_on(songs)
    everything = None if len(fresh) == len(songs) else at_thresholds(songs)
    return Harvests(at_thresholds(fresh), everything, settings.min_seconds)


def curve_of(harvests: Harvests, settings: CalibrationSettings, prior: ArtistCounts | None = None) -> PurityCurve:
    """Return the purity curve of ``harvests`` at the confidence of ``settings``.

    Artists of ``prior`` count like those of the songs for the bound, the artist floor and the number of artists. An
    artist in both counts with the songs alone. Purity and recall are those of the songs.
    """
    rate = settings.silence_rates.get(SOURCES[harvests.fresh[0].windows.source])
    perfect = perfect_harvest(harvests.fresh[0].windows, settings.min_seconds).kept
    return dataclasses.replace(
        bound_of(with_prior(harvests.counts(), prior), settings, rate),
        purity=[_rounded(found.purity) for found in harvests.fresh],
        recall=[round(float((found.kept & perfect).sum() / max(perfect.sum(), 1)), 5) for found in harvests.fresh],
    )


def bound_of(
    counts: ArtistCounts, settings: CalibrationSettings, silence_rate: float | None, draws: int = DRAWS
) -> PurityCurve:
    """Return the curve of ``counts``, without purity and recall: what the choice of a threshold depends on.

    The bound is 0 where no row is of songs that did not train the detector.
    """
    if all(counts.trained_on):
        return PurityCurve(
            threshold=list(THRESHOLDS),
            lower_bound=[0.0 for _ in THRESHOLDS],
            worst_artist=[None for _ in THRESHOLDS],
            artists=[0 for _ in THRESHOLDS],
        )
    fresh = counts.not_trained_on()
    table = by_artist(fresh, silence_rate)
    bound, worst = _bound(table, settings, draws), _worst_artist(fresh)  # nan where no artist has enough
    if any(counts.trained_on):
        bound = np.minimum(bound, _bound(by_artist(counts, silence_rate), settings, draws))
        worst = np.fmin(worst, _worst_artist(counts))
    return PurityCurve(
        threshold=list(THRESHOLDS),
        lower_bound=[round(float(value), 5) for value in bound],
        worst_artist=[_rounded(None if np.isnan(share) else share) for share in worst],
        artists=[int(count) for count in table.artists_accepted],
        artist_floor=settings.artist_floor,
    )


def with_prior(counts: ArtistCounts, prior: ArtistCounts | None) -> ArtistCounts:
    """Return ``counts`` and the rows of ``prior`` of artists that are not in it."""
    return counts if prior is None else counts.joined(prior.without(set(counts.artists)))


def by_artist(counts: ArtistCounts, silence_rate: float | None = None) -> Acceptance:
    """Return the weighted windows in the harvest and the silent ones among them, per artist and threshold.

    Silent windows are weighted to the ``silence_rate`` over all rows, as in `window_table.windows_of`.
    """
    names, rows = np.unique(np.array(counts.artists, dtype=object), return_inverse=True)
    (kept, pure), _ = counts.arrays()
    weight = silent_weight_of(sum(counts.silent_windows), sum(counts.windows), silence_rate)
    silent = _sum_rows(rows, len(names), weight * pure)
    return Acceptance(np.array(THRESHOLDS), _sum_rows(rows, len(names), kept - pure) + silent, silent, tuple(names))


def _sum_rows(rows: Int[np.ndarray, " A"], size: int, values: np.ndarray) -> Float[np.ndarray, "K J"]:
    total = np.zeros((size, values.shape[1]))
    np.add.at(total, rows, values)
    return total


def _bound(table: Acceptance, settings: CalibrationSettings, draws: int) -> Float[np.ndarray, " J"]:
    return lower_bound(table, settings.precision, settings.confidence, settings.worst_artist, settings.seed, draws)


def _worst_artist(counts: ArtistCounts) -> Float[np.ndarray, " J"]:
    """Return the least share of silent windows of an artist with enough harvest, unweighted; nan without one.

    With the weights of the assumed silence rate one false excerpt would outweigh many right ones.
    """
    names, rows = np.unique(np.array(counts.artists, dtype=object), return_inverse=True)
    (kept, pure), seconds = counts.arrays()
    kept, pure, seconds = (_sum_rows(rows, len(names), values) for values in (kept, pure, seconds))
    shares = np.where((seconds >= JUDGED_SECONDS) & (kept > 0), ratio(pure, kept), np.inf).min(axis=0, initial=np.inf)
    return np.where(np.isinf(shares), np.nan, shares)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(float(share), 5)
