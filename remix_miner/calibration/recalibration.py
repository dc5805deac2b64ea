"""Thresholds from the answers of listeners to random samples of a mined folder (`reviewed_songs`)."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from remix_miner.calibration.reviewed_songs import ReviewedDraw, reviewed_draws
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.thresholds import Threshold, choose_threshold
from remix_miner.detector.calibration import Calibration, SourceCalibration
from remix_miner.errors import DataError
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.probabilities import ProbabilityStore


def recalibrate(folder: Path, calibration: Calibration, settings: CalibrationSettings) -> Calibration:
    """Return ``calibration`` with new thresholds for the sources with answers in ``folder``.

    A source whose answers do not reach the target gets no threshold but a ``reason``. Statistics of the old threshold
    are dropped. Rule 'harvest' needs whole songs; 'bootstrap', the bound over tracks, replaces it. Where the scan
    joined a source with a second network, its joint calibration is the one that changes. Raises `DataError` where
    nothing was answered, the folder has no stored probabilities, or it was mined with another detector.
    """
    with CatalogueView.read(folder) as catalogue, ProbabilityStore(folder, to_read=True) as store:
        scan = catalogue.settings
        calibration.check_detector(scan.get("detector_sha256") or "unknown")
        reviewed = {
            source: found
            for source in calibration.sources
            if (found := reviewed_draws(catalogue.database, store, source))
        }
    if not reviewed:
        raise DataError(
            f"{folder} holds no answers to a random sample: make some with remix-miner review "
            "--around-threshold SOURCE or --audit SOURCE"
        )
    joined = (scan.get("fusion") or {}).get("source")
    sources, fused = dict(calibration.sources), dict(calibration.fused)
    for source, draws in reviewed.items():
        of_source = settings.of_source(source)
        chosen = threshold_from_draws(draws, of_source)
        if source == joined and source in fused:
            changed = _with_threshold(fused[source].calibration, chosen, of_source)
            fused[source] = dataclasses.replace(fused[source], calibration=changed)
        else:
            sources[source] = _with_threshold(sources[source], chosen, of_source)
    answers = {source: sum(draw.draws for draw in draws) for source, draws in reviewed.items()}
    data = {**calibration.data, "reviewed_draws": answers}
    return dataclasses.replace(calibration, data=data, sources=sources, fused=fused)


def _with_threshold(before: SourceCalibration, chosen: Threshold, settings: CalibrationSettings) -> SourceCalibration:
    return dataclasses.replace(
        before,
        threshold=chosen.value,
        reason=chosen.reason,
        precision_target=settings.precision,
        precision=chosen.precision,
        precision_lower_bound=chosen.lower_bound,
        held_out_precision=chosen.held_out,
        artists_accepted=chosen.artists,
        recall=None,
        spans=None,
        curve=None,
        artist_counts=None,
        left_out=[],
    )


def threshold_from_draws(draws: Sequence[ReviewedDraw], settings: CalibrationSettings) -> Threshold:
    """Return the lowest threshold at which enough of the harvested seconds are silent; tracks are the units."""
    probabilities = np.concatenate([draw.thresholds for draw in draws]).astype(np.float64)
    silent = np.concatenate([draw.silent for draw in draws])
    tracks = np.concatenate([np.full(len(draw.silent), draw.track) for draw in draws])
    weights = np.concatenate([np.full(len(draw.silent), draw.weight / max(len(draw.silent), 1)) for draw in draws])
    if not len(probabilities):
        return Threshold(None, "no harvested window lies wholly in a reviewed excerpt")
    rule = "bootstrap" if settings.bound == "harvest" else settings.bound
    return choose_threshold(
        probabilities,
        silent,
        tracks,
        target=settings.precision,
        rule=rule,
        confidence=settings.confidence,
        worst_artist=settings.worst_artist,
        weights=weights,
        seed=settings.seed,
    )
