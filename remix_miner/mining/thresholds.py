"""The thresholds of a scan: which sources are mined, at which probability, and what that promises."""

from collections.abc import Iterable
from dataclasses import dataclass

from remix_miner.detector.calibration import Calibration
from remix_miner.detector.loading import LoadedDetector
from remix_miner.errors import DataError, UsageError
from remix_miner.sources import MINED_SOURCES


@dataclass(frozen=True)
class Thresholds:
    """The least probability of each source to mine, the reason for each one refused, and their calibration."""

    of_sources: dict[str, float]
    refused: dict[str, str]
    calibration: Calibration

    def promises(self) -> list[str]:
        """Return what the calibration lets one expect of each source: purity and yield."""
        return [line for source in self.of_sources if (line := promise(self.calibration, source)) is not None]


def choose_thresholds(
    detector: LoadedDetector,
    calibration: Calibration | None,
    sources: Iterable[str] = MINED_SOURCES,
    purity: float | None = None,
) -> Thresholds:
    """Take the thresholds of ``sources`` from ``calibration``, or from the one beside the detector.

    ``purity``: the share of the harvested seconds that is promised, on the calibration's curve; None takes the
    calibration's own thresholds. Raises `DataError` without a calibration, with one that was made for another detector,
    or when every source is refused.
    """
    calibration = calibration or detector.calibration
    if calibration is None:
        raise DataError(
            f"detector {detector.name!r} has no calibration beside it; make one with remix-miner calibrate and pass it "
            "with --calibration"
        )
    calibration.check_detector(detector.sha256)
    return thresholds_of(calibration, sources, purity)


def thresholds_of(calibration: Calibration, sources: Iterable[str], purity: float | None = None) -> Thresholds:
    """Take the thresholds of ``sources`` from ``calibration``; `DataError` when every one is refused."""
    if purity is not None and not 0 < purity < 1:
        raise UsageError(f"--purity is a share between 0 and 1, for example 0.95; got {purity:g}")
    thresholds, refused = {}, {}
    for source in sources:
        if source not in calibration.sources:
            refused[source] = "the calibration does not have it"
            continue
        chosen = calibration.threshold(source) if purity is None else calibration.threshold_for(source, purity)
        if chosen is not None:
            thresholds[source] = float(chosen)
        elif purity is not None:
            refused[source] = f"the calibration promises no purity of {purity:.0%} at any threshold"
        else:
            refused[source] = calibration.sources[source].reason or "the calibration has no threshold for it"
    if not thresholds:
        reasons = "; ".join(f"{source}: {reason}" for source, reason in refused.items())
        raise DataError(f"no source can be mined ({reasons}); choose other --sources or another --calibration")
    return Thresholds(thresholds, refused, calibration)


def promise(calibration: Calibration, source: str) -> str | None:
    """Return what the calibration states of ``source``; None where it states no precision."""
    measured = calibration.sources[source]
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
