"""Detector metrics on labelled songs, with bootstrap intervals over artists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Float, Int

from remix_miner.calibration.harvest import HarvestRule, harvest, perfect_harvest
from remix_miner.calibration.intervals import BootstrapSettings, Estimate, estimate, ratio, resampled
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.window_table import SourceWindows, artist_numbers, windows_of
from remix_miner.config import AN_HOUR, LEVEL_DB, Settings
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB, SILENT_TRAINING_DB

DRAWS_AT_ONCE = 64


@dataclass(frozen=True)
class ScoreSettings(Settings):
    """Settings of a score: a source is silent at or below ``volume_db``; excerpts last at least ``min_seconds``."""

    volume_db: Annotated[float, LEVEL_DB] = SILENT_MINING_DB
    min_seconds: Annotated[float, AN_HOUR] = 5.0
    bootstrap: BootstrapSettings = field(default_factory=BootstrapSettings)


@dataclass(frozen=True)
class SourceScore:
    """Metrics of one source over one or more songs.

    ``auc``, ``auc_training``: area under the ROC curve of P for V <= -20 dB and for V <= -13 dB against the rest.
    At ``threshold``: ``precision`` and ``recall`` over windows; then over the harvested excerpts: ``seconds``,
    ``span_recall`` (share of the windows of truly silent spans that are harvested; ``silent_span_seconds`` is the
    length of those spans), ``purity`` (share of harvested windows with V <= -20 dB), ``volume_p50_db`` and
    ``volume_p95_db`` (percentiles of V over harvested windows; -80 stands for that or less).
    """

    songs: int
    artists: int
    windows: int
    silence_rate: float | None
    threshold: float | None
    auc: Estimate
    auc_training: Estimate
    precision: Estimate
    recall: Estimate
    seconds: float
    silent_span_seconds: float
    span_recall: Estimate
    purity: Estimate
    volume_p50_db: Estimate
    volume_p95_db: Estimate


def score_songs(
    songs: Sequence[LabelledSong], thresholds: Mapping[str, float | None], settings: ScoreSettings | None = None
) -> dict[str, SourceScore]:
    """Return the scores per source with labels. Raises `DataError` when no window has a label."""
    scores = {
        name: score_source(songs, source, thresholds.get(name), settings)
        for source, name in enumerate(SOURCES)
        if any(song.known(source).any() for song in songs)
    }
    if not scores:
        raise DataError("no window has a label: every song is digital silence, or there are no songs")
    return scores


def score_source(
    songs: Sequence[LabelledSong], source: int, threshold: float | None, settings: ScoreSettings | None = None
) -> SourceScore:
    """Return the score of one source over the songs with labels of it; `DataError` when there is none."""
    settings = settings or ScoreSettings()
    windows = windows_of(songs, source, settings.volume_db)
    if not windows.songs:
        raise DataError(f"no song has a label for {SOURCES[source]}, so nothing can be scored")
    rule = None if threshold is None else HarvestRule(threshold, settings.min_seconds)
    found, perfect = harvest(windows, rule), perfect_harvest(windows, settings.min_seconds)
    accepted = np.zeros(len(windows), dtype=bool) if threshold is None else windows.probabilities >= threshold
    numbers = np.array(artist_numbers(windows.songs))
    artists = int(numbers.max()) + 1
    times = resampled(artists, settings.bootstrap)  # (D, A)

    def total(mask: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " D"]:
        return times @ np.bincount(numbers, windows.per_song(mask), minlength=artists)

    def share(part: Bool[np.ndarray, " N"], whole: Bool[np.ndarray, " N"]) -> Estimate:
        undefined = threshold is None
        return Estimate(None) if undefined else estimate(ratio(total(part), total(whole)), artists, settings.bootstrap)

    def area(silent: Bool[np.ndarray, " N"]) -> Estimate:
        areas = auc_of_draws(windows.probabilities, silent, windows.artists, times)
        return estimate(areas, artists, settings.bootstrap)

    levels = bool(windows.levels_known.all())
    volume_p50_db, volume_p95_db = (
        estimate(_volume_quantiles(windows, found.kept, times, quantile), artists, settings.bootstrap)
        if levels
        else Estimate(None)
        for quantile in (0.5, 0.95)
    )
    return SourceScore(
        songs=len({song.name for song in windows.songs}),
        artists=artists,
        windows=len(windows),
        silence_rate=windows.silence_rate,
        threshold=threshold,
        auc=area(windows.silent),
        auc_training=area(windows.volumes <= SILENT_TRAINING_DB) if levels else Estimate(None),
        precision=share(accepted & windows.silent, accepted),
        recall=share(accepted & windows.silent, windows.silent),
        seconds=float(found.seconds.sum()),
        silent_span_seconds=float(perfect.seconds.sum()),
        span_recall=share(perfect.kept & found.kept, perfect.kept),
        purity=share(found.kept & windows.silent, found.kept),
        volume_p50_db=volume_p50_db,
        volume_p95_db=volume_p95_db,
    )


def auc_of_draws(
    probabilities: Float[np.ndarray, " N"],
    silent: Bool[np.ndarray, " N"],
    artists: Int[np.ndarray, " N"],
    times: Float[np.ndarray, "D A"],
) -> Float[np.ndarray, " D"]:
    """Return the area under the ROC curve with artists counted ``times``; nan where it is undefined.

    The area is the share of pairs (silent window, sounding window) in which the silent one has the higher P, ties
    counting half. Pairs are counted once for each pair of artists.

    >>> auc_of_draws(np.array([0.9, 0.2, 0.4]), np.array([True, False, True]), np.zeros(3, dtype=int), np.ones((1, 1)))
    array([1.])
    """
    artist_count = times.shape[1]
    of_silent, owners = probabilities[silent], artists[silent]
    wins = np.zeros((artist_count, artist_count))  # (artist of the silent window, artist of the sounding window)
    for artist in range(artist_count):
        sounding = np.sort(probabilities[~silent & (artists == artist)])
        below = np.searchsorted(sounding, of_silent, "left") + np.searchsorted(sounding, of_silent, "right")
        wins[:, artist] = np.bincount(owners, below / 2, minlength=artist_count)
    pairs = (times @ np.bincount(owners, minlength=artist_count)) * (
        times @ np.bincount(artists[~silent], minlength=artist_count)
    )
    return ratio(((times @ wins) * times).sum(1), pairs)


def _volume_quantiles(
    windows: SourceWindows, kept: Bool[np.ndarray, " N"], times: Float[np.ndarray, "D A"], quantile: float
) -> Float[np.ndarray, " D"]:
    """Return a quantile of V in dB over the kept windows, for each draw; nan where the harvest is empty."""
    order = np.flatnonzero(kept)[np.argsort(windows.volumes[kept], kind="stable")]
    if not len(order):
        return np.full(len(times), np.nan)
    quantiles = []
    for first in range(0, len(times), DRAWS_AT_ONCE):
        cumulative = np.cumsum(times[first : first + DRAWS_AT_ONCE, windows.artists[order]], axis=1)  # (draws, kept)
        position = (cumulative < quantile * cumulative[:, -1:] * (1 - 1e-12)).sum(1)
        quantiles.append(np.where(cumulative[:, -1] > 0, windows.volumes[order][position], np.nan))
    return np.concatenate(quantiles)
