"""Thresholds of a scan: mined sources, their least probabilities, and the promised purity."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remix_miner.detector.calibration import Calibration
from remix_miner.detector.description import DetectorDescription
from remix_miner.detector.evidence import Fusion
from remix_miner.detector.left_out import LeftOut
from remix_miner.detector.voice_activity import load_voice_activity
from remix_miner.errors import DataError, UsageError
from remix_miner.sources import MINED_SOURCES, parse_by_source

if TYPE_CHECKING:
    from remix_miner.detector.loading import LoadedDetector


Promise = float | Mapping[str, float] | None
"""A promised share of pure seconds: of every source, or of each that is named."""


def parse_purities(texts: Iterable[str], sources: Iterable[str]) -> dict[str, float]:
    """Return the purity that the values of ``--purity`` ask of each source; one without a value is left out.

    >>> parse_purities(["0.95", "drums=.9"], ("drums", "bass"))
    {'drums': 0.9, 'bass': 0.95}
    """
    sources = tuple(sources)
    of_all, named = parse_by_source(texts, "--purity", sources)
    return named if of_all is None else {source: named.get(source, of_all) for source in sources}


@dataclass(frozen=True)
class Thresholds:
    """The least probability of each source to mine, the reason for each one refused, and their calibration.

    ``purity``: the promised share of pure seconds of each source to mine, or its target where it has no bound.
    """

    of_sources: dict[str, float]
    refused: dict[str, str]
    calibration: Calibration
    purity: dict[str, float]
    fusion: Fusion | None = None
    """Of the joint probabilities of one source, where a second network is used."""
    loss: str | None = None
    """The recall that is lost because the second network of the calibration is not installed."""

    def promises(self) -> list[str]:
        """Return the expected purity and yield of each source by the calibration."""
        lines = (promise(self.calibration, source, self.purity[source]) for source in self.of_sources)
        return [line for line in lines if line is not None]


def choose_thresholds(
    detector: "DetectorDescription | LoadedDetector",
    calibration: Calibration | None,
    sources: Iterable[str] = MINED_SOURCES,
    purity: Promise = None,
) -> Thresholds:
    """Take the thresholds of ``sources`` from ``calibration``, or from the one beside the detector.

    ``purity``: the share of the harvested seconds that is promised, on the calibration's curve, of all sources or of
    each; None, and a source that is not named, takes the calibration's own thresholds. A source with joint
    probabilities takes the threshold of these where the second network is installed. Raises `DataError` without a
    calibration, with one that was made for another detector, or when every source is refused.
    """
    calibration = calibration or detector.calibration
    if calibration is None:
        raise DataError(
            f"detector {detector.name!r} has no calibration beside it; make one with remix-miner calibrate and pass it "
            "with --calibration"
        )
    calibration.check_detector(detector.sha256)
    return _with_a_source(joint_thresholds(calibration, sources, purity))


def joint_thresholds(calibration: Calibration, sources: Iterable[str], purity: Promise = None) -> Thresholds:
    """Take the thresholds of ``sources``: joint ones where the calibration has them and their network is installed.

    Every source may be refused.
    """
    evidence = load_voice_activity() if calibration.fused else None
    calibration, fusion, loss = calibration.with_evidence(evidence)
    return dataclasses.replace(_thresholds(calibration, sources, purity), fusion=fusion, loss=loss)


def thresholds_of(calibration: Calibration, sources: Iterable[str], purity: Promise = None) -> Thresholds:
    """Take the thresholds of ``sources`` from ``calibration``; `DataError` when every one is refused."""
    return _with_a_source(_thresholds(calibration, sources, purity))


def _thresholds(calibration: Calibration, sources: Iterable[str], purity: Promise) -> Thresholds:
    sources = list(sources)
    asked = dict.fromkeys(sources, purity) if isinstance(purity, float | int) else dict(purity or {})
    for source, share in asked.items():
        if source not in sources:
            raise UsageError(f"--purity names {source}, which is not mined; sources: {', '.join(sources)}")
        if not 0 < share < 1:
            raise UsageError(f"--purity is a share between 0 and 1, for example 0.95; got {share:g} for {source}")
    thresholds: dict[str, float] = {}
    refused: dict[str, str] = {}
    promised: dict[str, float] = {}
    for source in sources:
        if source not in calibration.sources:
            refused[source] = "the calibration does not have it"
            continue
        fitted = calibration.sources[source]
        promised[source] = asked.get(source, fitted.precision_target)
        chosen = fitted.threshold_for(promised[source])
        if chosen is not None:
            thresholds[source] = float(chosen)
        elif source in asked:
            refused[source] = f"the calibration promises no purity of {percent(asked[source])} at any threshold"
        else:
            refused[source] = calibration.sources[source].reason or "the calibration has no threshold for it"
    return Thresholds(thresholds, refused, calibration, {source: promised[source] for source in thresholds})


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


def percent(share: float) -> str:
    """Return a share in per cent, with the digits that it was given with.

    >>> percent(0.95), percent(0.975)
    ('95%', '97.5%')
    """
    return f"{100 * share:.6g}%"


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
        text += f"; {row.purity:.1%} on artists left out of the choice, with {row.finds} found"
    return text
