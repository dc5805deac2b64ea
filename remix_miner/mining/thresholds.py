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
from remix_miner.mining.promises import percent, promise
from remix_miner.sources import MINED_SOURCES, SOURCES, parse_by_source

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
        elif source in asked and (failed := fitted.below_floor_left_out(asked[source])) is not None:
            refused[source] = failed.refusal
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


def joint_as_scanned(
    calibration: Calibration, settings: Mapping[str, Any], sources: Iterable[str] = SOURCES
) -> Calibration:
    """Return the calibration of the probabilities of ``sources`` stored in a folder with these recorded settings.

    Raises `DataError` when they were joined with a second network in another way than ``calibration`` states.
    """
    recorded = settings.get("fusion")
    if recorded is None or recorded["source"] not in sources:
        return calibration
    source = recorded["source"]
    fused = calibration.fused.get(source)
    if fused is None or dataclasses.replace(fused.fusion, min_seconds=recorded["min_seconds"]) != Fusion(**recorded):
        raise DataError(
            f"the probabilities of {source} were joined with {recorded['evidence']} in another way than this "
            "calibration states: name the one of the scan with --calibration, leave it out of --sources, or scan again"
        )
    return calibration.joint(source)


def fusion_for(thresholds: Thresholds, min_seconds: float) -> Fusion | None:
    """Return the fusion of a scan with excerpts of at least ``min_seconds``; None if its source is not mined."""
    fusion = thresholds.fusion
    if fusion is None or fusion.source not in thresholds.of_sources:
        return None
    return dataclasses.replace(fusion, min_seconds=min(fusion.min_seconds, float(min_seconds)))
