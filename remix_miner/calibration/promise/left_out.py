"""Harvest of left-out artists: each at the threshold that the rule chooses on all other artists.

Purity and recall at a threshold are too good on the songs that chose it. The counts of a calibration hold the harvest
of each artist at every threshold, so the choice can be made again without each artist in turn, and no audio is needed.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int

from remix_miner.calibration.bounds import DRAWS
from remix_miner.calibration.fit import prior_counts
from remix_miner.calibration.intervals import ratio
from remix_miner.calibration.promise.curve import JUDGED_SECONDS, THRESHOLDS, bound_of
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.window_table import silent_weight_of
from remix_miner.config import from_mapping
from remix_miner.detector.artist_counts import ArtistCounts
from remix_miner.detector.calibration import Calibration, SourceCalibration
from remix_miner.detector.left_out import LeftOut, LeftOutArtist
from remix_miner.progress import Progress

TARGETS = (0.8, 0.85, 0.9, 0.95, 0.98)
"""Targets that a calibration states the harvest of left-out artists for, beside its own."""


def with_left_out(calibration: Calibration) -> Calibration:
    """Return ``calibration`` with the harvest of left-out artists, of every source with counts of its artists.

    A source loses its threshold where that harvest is less pure than the artist floor.

    Other bounds than 'harvest' choose by other counts; their calibrations are returned as they are.
    """
    settings = from_mapping(CalibrationSettings, calibration.settings)
    if settings.bound != "harvest":
        return calibration
    with Progress("artists left out", len(calibration.sources) + len(calibration.fused)) as progress:

        def measured(source: str, fitted: SourceCalibration) -> SourceCalibration:
            counts = prior_counts(fitted)
            rate = settings.silence_rates.get(source)
            rows = [] if counts is None else left_out(counts, settings.of_source(source), rate)
            progress.advance()
            return without_failed_threshold(dataclasses.replace(fitted, left_out=rows))

        sources = {source: measured(source, fitted) for source, fitted in calibration.sources.items()}
        fused = {
            source: dataclasses.replace(joint, calibration=measured(source, joint.calibration))
            for source, joint in calibration.fused.items()
        }
    return dataclasses.replace(calibration, sources=sources, fused=fused)


def without_failed_threshold(fitted: SourceCalibration) -> SourceCalibration:
    """Return ``fitted`` without its threshold where the purity on left-out artists is below the artist floor."""
    failed = fitted.below_floor_left_out(fitted.precision_target)
    if failed is None or fitted.threshold is None:
        return fitted
    return dataclasses.replace(
        fitted,
        threshold=None,
        reason=failed.refusal,
        precision=None,
        precision_lower_bound=None,
        recall=None,
        accepted_windows=0,
        artists_accepted=0,
        spans=None,
    )


def left_out(
    counts: ArtistCounts,
    settings: CalibrationSettings,
    silence_rate: float | None,
    targets: Iterable[float] = TARGETS,
    draws: int = DRAWS,
) -> list[LeftOut]:
    """Return the harvest of left-out artists at ``targets`` and at that of ``settings``, the lowest target first.

    The curve of each choice is that of a calibration with ``settings`` without the artist, so the thresholds are those
    of `PurityCurve.threshold_for` there. Artists whose songs all trained the detector are never left out.
    """
    fresh = counts.not_trained_on()
    targets = sorted({settings.precision, *targets})
    choices = np.full((len(fresh.artists), len(targets)), -1)  # columns of THRESHOLDS; -1: none
    for row, artist in enumerate(fresh.artists):
        curve = bound_of(counts.without({artist}), settings, silence_rate, draws)
        for column, target in enumerate(targets):
            threshold = curve.threshold_for(target)
            if threshold is not None:
                choices[row, column] = THRESHOLDS.index(threshold)
    return [_pooled(fresh, choices[:, column], settings, target, silence_rate) for column, target in enumerate(targets)]


def _pooled(
    fresh: ArtistCounts,
    choice: Int[np.ndarray, " A"],
    settings: CalibrationSettings,
    target: float,
    silence_rate: float | None,
) -> LeftOut:
    """Return the harvest of all artists, each at its own choice of a threshold."""
    (kept, pure), seconds = fresh.arrays()
    kept, pure, seconds = (_chosen(table, choice) for table in (kept, pure, seconds))
    weight = silent_weight_of(sum(fresh.silent_windows), sum(fresh.windows), silence_rate)
    spans = fresh.spans()
    thresholds = np.array(THRESHOLDS)[choice[choice >= 0]]
    return LeftOut(
        target=target,
        purity=_share(weight * pure.sum(), (kept - pure).sum() + weight * pure.sum()),
        unweighted_purity=_share(pure.sum(), kept.sum()),
        found=None if spans is None else _share(_chosen(spans[1], choice).sum(), max(spans[0].sum(), 1)),
        silent_windows_found=_share(pure.sum(), max(sum(fresh.silent_windows), 1)) or 0.0,
        artists=len(fresh.artists),
        without_threshold=int((choice < 0).sum()),
        lowest_threshold=float(thresholds.min()) if len(thresholds) else None,
        highest_threshold=float(thresholds.max()) if len(thresholds) else None,
        below_floor=[
            LeftOutArtist(artist, THRESHOLDS[at], round(float(length), 1), round(float(share), 5))
            for artist, at, length, share in zip(fresh.artists, choice, seconds, ratio(pure, kept), strict=True)
            if length >= JUDGED_SECONDS and share < settings.artist_floor
        ],
    )


def _chosen(table: np.ndarray, choice: Int[np.ndarray, " A"]) -> Float[np.ndarray, " A"]:
    """Return the column of each row that was chosen, 0 where none was."""
    values: np.ndarray = np.where(choice >= 0, table[np.arange(len(choice)), choice], 0).astype(np.float64)
    return values


def _share(part: float, whole: float) -> float | None:
    return round(float(part / whole), 5) if whole > 0 else None
