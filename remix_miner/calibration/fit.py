"""Calibration of a detector on labelled songs: thresholds p_i with their statistics."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from remix_miner.calibration.bounds import artists_needed
from remix_miner.calibration.fusion import cross_fused, fit_fusion, fused_song
from remix_miner.calibration.harvest import HarvestRule
from remix_miner.calibration.promise.curve import THRESHOLDS, curve_of, measure_harvests, not_trained_on, with_prior
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.statistics import isotonic_tables, span_rule
from remix_miner.calibration.thresholds import Threshold, choose_threshold
from remix_miner.calibration.window_table import SourceWindows, windows_of
from remix_miner.checkpoint import versions
from remix_miner.detector.artist_counts import ArtistCounts
from remix_miner.detector.calibration import Calibration, FusedSource, SourceCalibration
from remix_miner.detector.evidence import Evidence, difference
from remix_miner.detector.purity_curve import PurityCurve
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES


def calibrate(
    songs: Sequence[LabelledSong],
    detector: str,
    detector_sha256: str,
    settings: CalibrationSettings | None = None,
    data: Mapping[str, Any] | None = None,
    evidence: Evidence | None = None,
    prior: Calibration | None = None,
) -> Calibration:
    """Calibrate every source with labels.

    ``data``: further fields of the file about the songs. ``evidence``: the one whose log-odds the songs hold; its
    source is calibrated without and with it. ``prior``: an earlier calibration of the detector, whose artists count as
    further artists (`promise.curve.curve_of`) and whose weights join the evidence.

    Raises `DataError` for fewer than two songs, or when no source has both silent and sounding windows.
    """
    settings = settings or CalibrationSettings()
    names = sorted({song.name for song in songs})
    if len(names) < 2:
        raise DataError(
            f"{len(names)} song cannot calibrate a detector: a threshold of one song does not carry over to another; "
            "give songs by as many artists as possible"
        )
    sources = {
        name: calibrate_source(
            songs, source, settings, None if prior is None else prior_counts(prior.sources.get(name))
        )
        for source, name in enumerate(SOURCES)
        if any(song.known(source).any() for song in songs)
    }
    if not sources:
        raise DataError("no window has a label: every song is digital silence, or shorter than a window")
    if all(fitted.silent_windows in (0, fitted.windows) for fitted in sources.values()):
        kind = "silent" if all(fitted.silent_windows == 0 for fitted in sources.values()) else "sounding"
        raise DataError(
            f"no window of any source is {kind} at {settings.volume_db} dB, so no threshold can be chosen; "
            "use songs in which sources pause, or --mute 1"
        )
    return Calibration(
        detector=detector,
        detector_sha256=detector_sha256,
        settings=dataclasses.asdict(settings),
        data={**(data or {}), "tracks": names, "artists": sorted({song.artist for song in songs})},
        sources=sources,
        versions=versions(),
        fused=_fused(songs, evidence, settings, prior) if evidence is not None else {},
    )


def _fused(
    songs: Sequence[LabelledSong], evidence: Evidence, settings: CalibrationSettings, prior: Calibration | None
) -> dict[str, FusedSource]:
    """Return the calibration of the evidence's source with joint probabilities; empty where no fusion can be fitted.

    The fusion of ``prior`` is kept: its artists' joint probabilities are those of its weights.
    """
    source = SOURCES.index(evidence.source)
    before = None if prior is None else prior.fused.get(evidence.source)
    if before is not None and difference(before.fusion, evidence) is None:
        joint, fusion = [fused_song(song, before.fusion) for song in songs], before.fusion
        calibrated = calibrate_source(joint, source, settings, prior_counts(before.calibration))
        return {evidence.source: FusedSource(fusion, calibrated)}
    crossed, fitted = cross_fused(songs, evidence, settings), fit_fusion(songs, evidence, settings)
    if crossed is None or fitted is None:
        return {}
    return {evidence.source: FusedSource(fitted, calibrate_source(crossed, source, settings))}


def prior_counts(fitted: SourceCalibration | None) -> ArtistCounts | None:
    """Return the counts of a source's artists, None where the calibration has none at the present thresholds."""
    if fitted is None or fitted.curve is None or fitted.curve.threshold != list(THRESHOLDS):
        return None
    return fitted.artist_counts


def calibrate_source(
    songs: Sequence[LabelledSong], source: int, settings: CalibrationSettings, prior: ArtistCounts | None = None
) -> SourceCalibration:
    """Return threshold and statistics of one source, over the songs with labels of it; see `calibrate`."""
    settings = settings.of_source(SOURCES[source])
    songs = [song for song in songs if song.known(source).any()]
    harvests = measure_harvests(songs, source, settings)
    curve = curve_of(harvests, settings, prior)
    songs = not_trained_on(songs)
    windows = windows_of(songs, source, settings.volume_db, settings.silence_rates.get(SOURCES[source]))
    chosen = _choose(windows, curve, settings)
    accepted = windows.probabilities >= (np.inf if chosen.value is None else chosen.value)
    silent_weight = windows.weights[windows.silent].sum()
    probability, expected_volume_db, expected_silent = isotonic_tables(windows)
    return SourceCalibration(
        threshold=chosen.value,
        reason=chosen.reason,
        volume_db=settings.volume_db,
        precision_target=settings.precision,
        precision=chosen.precision,
        precision_lower_bound=chosen.lower_bound,
        held_out_precision=chosen.held_out,
        recall=None
        if chosen.value is None
        else float(windows.weights[accepted & windows.silent].sum() / silent_weight),
        windows=len(windows),
        silent_windows=int(windows.silent.sum()),
        accepted_windows=int(accepted.sum()),
        tracks=len({song.name for song in songs}),
        artists=len({song.artist for song in songs}),
        artists_accepted=chosen.artists,
        silence_rate=windows.silence_rate,
        assumed_silence_rate=float(silent_weight / windows.weights.sum()),
        spans=span_rule(windows, HarvestRule(chosen.value, settings.min_seconds))
        if chosen.value is not None and accepted.any()
        else None,
        probability=probability,
        expected_volume_db=expected_volume_db,
        expected_silent=expected_silent,
        curve=curve,
        artist_counts=with_prior(harvests.counts(), prior),
    )


def _choose(windows: SourceWindows, curve: PurityCurve, settings: CalibrationSettings) -> Threshold:
    if not windows.silent.any():
        return Threshold(None, f"no window has V <= {settings.volume_db} dB: the songs have no silence of it")
    if windows.silent.all():
        return Threshold(None, f"every window has V <= {settings.volume_db} dB: the songs have no sound of it")
    if settings.bound == "harvest":
        return _of_curve(windows, curve, settings)
    return choose_threshold(
        windows.probabilities,
        windows.silent,
        windows.artists,
        target=settings.precision,
        rule=settings.bound,
        confidence=settings.confidence,
        worst_artist=settings.worst_artist,
        weights=windows.weights,
        seed=settings.seed,
    )


def _of_curve(windows: SourceWindows, curve: PurityCurve, settings: CalibrationSettings) -> Threshold:
    """Return the lowest threshold whose bound in ``curve`` reaches the target, or the reason why there is none."""
    value = curve.threshold_for(settings.precision)
    if value is None:
        most = max(curve.artists, default=0)
        needed = artists_needed(settings.precision, settings.confidence, settings.worst_artist)
        if most < needed:
            return Threshold(
                None,
                f"{most} artists have a harvest; a {settings.confidence:.0%} bound of {settings.precision:.0%} takes "
                f"at least {needed} even without an error (if an unseen artist may reach only "
                f"{settings.worst_artist:.0%}): add songs by other artists, or choose another bound",
            )
        return Threshold(
            None,
            f"the {settings.confidence:.0%} lower bound of the harvest's purity reaches {curve.highest_bound:.1%} at "
            f"most (where each artist's is {settings.artist_floor:.0%} or more)",
        )
    row = curve.threshold.index(value)
    accepted = windows.probabilities >= value
    share = None  # with earlier artists, a threshold that no window of these songs reaches
    if accepted.any():
        share = float(windows.weights[accepted & windows.silent].sum() / windows.weights[accepted].sum())
    return Threshold(value, None, share, curve.lower_bound[row], artists=curve.artists[row])
