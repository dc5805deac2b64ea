"""Promises of a calibration: purity and found share at a threshold in words, and the harvest at other purities."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float32

from remix_miner.detector.calibration import Calibration
from remix_miner.detector.left_out import LeftOut
from remix_miner.detector.spans import silent_spans
from remix_miner.mining.settings import ScanSettings
from remix_miner.sources import SOURCES

PURITIES = (0.9, 0.95, 0.98)
"""Promises of purity for which the report states what they would give."""


def percent(share: float) -> str:
    """Return a share in per cent, with the digits that it was given with.

    >>> percent(0.95), percent(0.975)
    ('95%', '97.5%')
    """
    return f"{100 * share:.6g}%"


def left_out_at(calibration: Calibration, purity: Mapping[str, float]) -> dict[str, LeftOut]:
    """Return, per source, the harvest of artists left out of the choice at ``purity``, where the file has it."""
    found = {
        source: calibration.sources[source].left_out_at(share)
        for source, share in purity.items()
        if source in calibration.sources
    }
    return {source: row for source, row in found.items() if row is not None and row.purity is not None}


def promise(calibration: Calibration, source: str, purity: float) -> str | None:
    """Return what the calibration states of ``source`` at the threshold for ``purity``; None where it states nothing.

    A threshold of the curve has a bound of seconds, whatever the bound of the calibration's own.
    """
    measured = calibration.sources[source]
    on_curve = purity != measured.precision_target and measured.curve is not None
    if on_curve or (calibration.settings.get("bound") == "harvest" and measured.precision is not None):
        return _promise_of_seconds(calibration, source, purity)
    if measured.threshold is None or measured.precision is None:
        return None
    bound = ""
    if measured.precision_lower_bound is not None:
        confidence = calibration.settings.get("confidence")
        stated = f", {confidence:.0%} sure" if isinstance(confidence, float) else ""
        bound = f" (at least {measured.precision_lower_bound:.1%}{stated})"
    elif measured.held_out_precision is not None:
        bound = f" ({measured.held_out_precision:.1%} on artists left out; no bound)"
    text = f"without {source}: {measured.precision:.1%} of windows at or below {measured.volume_db:g} dB{bound}"
    if measured.recall is not None:
        text += f", {measured.recall:.0%} of the silent ones found"
    if measured.spans is not None and measured.spans.labelled_seconds:
        per_hour = 60 * measured.spans.seconds / measured.spans.labelled_seconds
        text += f"; {per_hour:.1f} minutes from an hour of the {measured.tracks} calibration songs"
    return text


def _promise_of_seconds(calibration: Calibration, source: str, purity: float) -> str:
    """Return the promise of a bound on harvested seconds, with the harvest of the calibration songs."""
    measured, settings = calibration.sources[source], calibration.settings
    text = (
        f"without {source}: at least {percent(purity)} of the seconds silent (at or below "
        f"{measured.volume_db:g} dB), with {settings['confidence']:.0%} confidence"
    )
    share, found = measured.harvest_at(measured.threshold_for(purity))
    if share is not None:
        text += f"; {share:.1%} on the calibration songs"
        text += f", where {found:.0%} of the silent audio is found" if found is not None else ""
    row = left_out_at(calibration, {source: purity}).get(source)
    if row is not None:
        text += f"; the rule gives {row.purity:.1%} on artists left out of the choice, with {row.finds} found"
    return text


def seconds_at_purities(
    probabilities: Float32[np.ndarray, "S W"],
    valid: Bool[np.ndarray, " W"],
    seconds: float,
    settings: ScanSettings,
    calibration: Calibration | None,
) -> list[tuple[float, str, float]]:
    """Return (purity, source, seconds) that a scan at each of `PURITIES` finds in a track, where it is promised.

    The list is empty for a scan of sources that are silent together.
    """
    found: list[tuple[float, str, float]] = []
    if settings.together:
        return found
    for purity in PURITIES if calibration is not None else ():
        for source in settings.thresholds:
            assert calibration is not None
            threshold = calibration.threshold_for(source, purity) if source in calibration.sources else None
            if threshold is not None:
                row = probabilities[SOURCES.index(source)]
                spans = silent_spans(row, threshold, seconds, settings.min_seconds, valid)
                found.append((purity, source, sum(span.seconds for span in spans)))
    return found
