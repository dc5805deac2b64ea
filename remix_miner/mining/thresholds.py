"""Thresholds of a scan: mined sources, their least probabilities, and the promised purity."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remix_miner.detector.calibration import Calibration
from remix_miner.detector.description import DetectorDescription
from remix_miner.detector.evidence import Fusion
from remix_miner.detector.voice_activity import load_voice_activity
from remix_miner.errors import DataError, UsageError
from remix_miner.sources import MINED_SOURCES

if TYPE_CHECKING:
    from remix_miner.detector.loading import LoadedDetector


@dataclass(frozen=True)
class Thresholds:
    """The least probability of each source to mine, the reason for each one refused, and their calibration."""

    of_sources: dict[str, float]
    refused: dict[str, str]
    calibration: Calibration
    fusion: Fusion | None = None
    """Of the joint probabilities of one source, where a second network is used."""
    loss: str | None = None
    """The recall that is lost because the second network of the calibration is not installed."""

    def promises(self) -> list[str]:
        """Return the expected purity and yield of each source by the calibration."""
        return [line for source in self.of_sources if (line := promise(self.calibration, source)) is not None]


def choose_thresholds(
    detector: "DetectorDescription | LoadedDetector",
    calibration: Calibration | None,
    sources: Iterable[str] = MINED_SOURCES,
    purity: float | None = None,
) -> Thresholds:
    """Take the thresholds of ``sources`` from ``calibration``, or from the one beside the detector.

    ``purity``: the share of the harvested seconds that is promised, on the calibration's curve; None takes the
    calibration's own thresholds. A source with joint probabilities takes the threshold of these where the second
    network is installed. Raises `DataError` without a calibration, with one that was made for another detector, or when
    every source is refused.
    """
    calibration = calibration or detector.calibration
    if calibration is None:
        raise DataError(
            f"detector {detector.name!r} has no calibration beside it; make one with remix-miner calibrate and pass it "
            "with --calibration"
        )
    calibration.check_detector(detector.sha256)
    return _with_a_source(joint_thresholds(calibration, sources, purity))


def joint_thresholds(calibration: Calibration, sources: Iterable[str], purity: float | None = None) -> Thresholds:
    """Take the thresholds of ``sources``: joint ones where the calibration has them and their network is installed.

    Every source may be refused.
    """
    evidence = load_voice_activity() if calibration.fused else None
    calibration, fusion, loss = calibration.with_evidence(evidence)
    return dataclasses.replace(_thresholds(calibration, sources, purity), fusion=fusion, loss=loss)


def thresholds_of(calibration: Calibration, sources: Iterable[str], purity: float | None = None) -> Thresholds:
    """Take the thresholds of ``sources`` from ``calibration``; `DataError` when every one is refused."""
    return _with_a_source(_thresholds(calibration, sources, purity))


def _thresholds(calibration: Calibration, sources: Iterable[str], purity: float | None) -> Thresholds:
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
    return Thresholds(thresholds, refused, calibration)


def _with_a_source(thresholds: Thresholds) -> Thresholds:
    """Return ``thresholds``; raise `DataError` when they refuse every source."""
    if not thresholds.of_sources:
        reasons = "; ".join(f"{source}: {reason}" for source, reason in thresholds.refused.items())
        raise DataError(f"no source can be mined ({reasons}); choose other --sources or another --calibration")
    return thresholds


def joint_as_scanned(calibration: Calibration, settings: Mapping[str, Any]) -> Calibration:
    """Return the calibration of the probabilities stored in a folder with these recorded settings.

    Raises `DataError` when they were joined with a second opinion in another way than ``calibration`` states.
    """
    recorded = settings.get("fusion")
    if recorded is None:
        return calibration
    source = recorded["source"]
    fused = calibration.fused.get(source)
    if fused is None or dataclasses.replace(fused.fusion, min_seconds=recorded["min_seconds"]) != Fusion(**recorded):
        raise DataError(
            f"the probabilities of {source} were joined with {recorded['evidence']} in another way than this "
            "calibration states: name the one of the scan with --calibration, or scan again"
        )
    return calibration.joint(source)


def fusion_for(thresholds: Thresholds, min_seconds: float) -> Fusion | None:
    """Return the fusion of a scan with excerpts of at least ``min_seconds``; None if its source is not mined."""
    fusion = thresholds.fusion
    if fusion is None or fusion.source not in thresholds.of_sources:
        return None
    return dataclasses.replace(fusion, min_seconds=min(fusion.min_seconds, float(min_seconds)))


def promise(calibration: Calibration, source: str) -> str | None:
    """Return what the calibration states of ``source``; None where it states no precision."""
    measured = calibration.sources[source]
    if measured.threshold is None or measured.precision is None:
        return None
    if calibration.settings.get("bound") == "harvest":
        return _promise_of_seconds(calibration, source)
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


def _promise_of_seconds(calibration: Calibration, source: str) -> str:
    """Return the promise of a bound on harvested seconds, with the harvest of the calibration songs."""
    measured, settings = calibration.sources[source], calibration.settings
    text = (
        f"without {source}: at least {measured.precision_target:.0%} of the seconds silent (at or below "
        f"{measured.volume_db:g} dB), with {settings['confidence']:.0%} confidence"
    )
    if measured.spans is not None and measured.spans.precision is not None:
        text += f"; {measured.spans.precision:.1%} on the calibration songs"
        found = measured.span_recall
        text += f", where {found:.0%} of the silent audio is found" if found is not None else ""
    return text
