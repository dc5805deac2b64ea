"""Fusion of detector and evidence: logistic regression, fitted across artists on labelled songs.

The same songs fit and calibrate. Each gets the joint probabilities of a model fitted on the other artists
(cross-fitting); the stored model is fitted on all of them.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import logit

from remix_miner.calibration.promise.curve import not_trained_on
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.window_table import windows_of
from remix_miner.detector.evidence import DETECTOR_EDGE, LARGEST_LOG_ODDS, Evidence, Fusion
from remix_miner.sources import SOURCES

WEAK_PENALTY = 1e6
"""scikit-learn's C; at this value the fit is that of maximum likelihood."""


def fit_fusion(songs: Sequence[LabelledSong], evidence: Evidence, settings: CalibrationSettings) -> Fusion | None:
    """Fit a logistic regression of silence on the two logits; None where the songs do not allow it.

    Every artist has the same weight, and silent windows make up the assumed silence rate. Songs that trained
    the detector are left out, since they would give it too large a weight. A negative weight counts as no fit.
    """
    from sklearn.linear_model import LogisticRegression

    source = SOURCES.index(evidence.source)
    songs = [song for song in not_trained_on(songs) if song.evidence is not None and song.known(source).any()]
    if not songs:
        return None
    windows = windows_of(songs, source, settings.volume_db)
    if windows.silent.all() or not windows.silent.any():
        return None
    odds = np.concatenate([_evidence_of(song)[known] for song, known in windows.with_known()])
    inputs = np.stack((_logit(windows.probabilities), np.clip(odds, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)), axis=1)
    weights = 1 / np.bincount(windows.artists)[windows.artists]
    rate = settings.silence_rates.get(evidence.source, float(np.average(windows.silent, weights=weights)))
    weights = _at_rate(weights, windows.silent, rate) * len(windows)
    fit = LogisticRegression(C=WEAK_PENALTY).fit(inputs, windows.silent, sample_weight=weights)
    detector_weight, evidence_weight = (float(f"{value:.6g}") for value in fit.coef_[0])
    if detector_weight < 0 or evidence_weight < 0:
        return None
    return Fusion(
        evidence=evidence.name,
        version=evidence.version,
        sha256=evidence.sha256,
        licence=evidence.licence,
        source=evidence.source,
        intercept=float(f"{fit.intercept_[0]:.6g}"),
        detector_weight=detector_weight,
        evidence_weight=evidence_weight,
        gate=settings.evidence_gate,
        sure=settings.evidence_sure,
        min_seconds=settings.min_seconds,
    )


def cross_fused(
    songs: Sequence[LabelledSong], evidence: Evidence, settings: CalibrationSettings
) -> list[LabelledSong] | None:
    """Return every song with joint probabilities of a model fitted on the other artists; None where a fit fails."""
    fused = []
    fusions: dict[str, Fusion] = {}
    for song in songs:
        if song.artist not in fusions:
            fusion = fit_fusion([other for other in songs if other.artist != song.artist], evidence, settings)
            if fusion is None:
                return None
            fusions[song.artist] = fusion
        fused.append(fused_song(song, fusions[song.artist]))
    return fused


def fused_song(song: LabelledSong, fusion: Fusion) -> LabelledSong:
    """Return the song with the joint probabilities of ``fusion``; unchanged where it has no evidence."""
    if song.evidence is None:
        return song
    row = SOURCES.index(fusion.source)
    probabilities = song.probabilities.copy()
    open_ = fusion.open_windows(probabilities[row])
    probabilities[row] = fusion.joint(probabilities[row], open_, song.evidence)
    return dataclasses.replace(song, probabilities=probabilities)


def _evidence_of(song: LabelledSong) -> np.ndarray:
    assert song.evidence is not None
    return song.evidence


def _at_rate(weights: Float[np.ndarray, " N"], silent: Bool[np.ndarray, " N"], rate: float) -> Float[np.ndarray, " N"]:
    """Return ``weights`` scaled to a total of 1, in which silent windows have the share ``rate``."""
    scale = np.where(silent, rate / weights[silent].sum(), (1 - rate) / weights[~silent].sum())
    scaled: np.ndarray = weights * scale
    return scaled


def _logit(probabilities: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    logits: np.ndarray = logit(np.clip(probabilities, DETECTOR_EDGE, 1 - DETECTOR_EDGE))
    return logits
