"""Calibration file of a detector: thresholds per source and tables of expected volume, measured on labelled songs.

`remix_miner.calibration.fit` makes it; scans, catalogues and reports read it. Format: docs/guide/calibration.md.
"""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.atomic import write_json
from remix_miner.config import from_mapping
from remix_miner.detector.artist_counts import ArtistCounts
from remix_miner.detector.evidence import Evidence, Fusion, difference
from remix_miner.detector.left_out import LeftOut
from remix_miner.detector.purity_curve import PurityCurve
from remix_miner.errors import DataError, UsageError
from remix_miner.sources import SOURCES

FORMAT = "remix-miner/calibration"
FORMAT_VERSION = 1
VOLUME_FLOOR_DB = -80.0
"""Lower limit of stored and averaged relative volumes; a silent source has -inf."""


@dataclass(frozen=True)
class Percentiles:
    """Percentiles of the relative volume V over windows, in dB; None without windows."""

    p50: float | None
    p90: float | None
    p95: float | None


@dataclass(frozen=True)
class SpanRule:
    """Effect of the minimum span length on the windows with P >= threshold.

    ``kept``: share of these windows that lie in spans of at least ``min_seconds``. ``precision``: share of the kept
    windows with V at most ``volume_db``. ``seconds``: kept of ``labelled_seconds``, at the assumed silence rate.
    """

    min_seconds: float
    kept: float
    precision: float | None
    seconds: float
    labelled_seconds: float
    before: Percentiles
    after: Percentiles


@dataclass(frozen=True)
class SourceCalibration:
    """Calibration of one source. ``threshold`` is None where the target is not reached; ``reason`` is the cause.

    ``precision``: share of the windows with P >= threshold that have V <= ``volume_db``;
    ``precision_lower_bound``: its confidence bound over artists (bound 'bootstrap'); ``held_out_precision``: the same
    share over artists that had no part in the choice (bound 'crossval'). ``recall``: share of the silent windows
    with P >= threshold. ``windows``, ``silent_windows``, ``accepted_windows``, ``tracks``, ``artists``: counts;
    ``artists_accepted``: with accepted windows. ``silence_rate``: share of silent windows in the data;
    ``assumed_silence_rate``: that to which precision is referred. The tables are isotonic: at ``probability``, the
    expected V in dB and the share of windows with V <= ``volume_db``. ``curve``: what other thresholds give;
    ``artist_counts``: the harvest of each artist at the curve's thresholds (both None in files of older versions);
    ``left_out``: per target, the harvest of artists that are left out of the choice of the threshold (empty likewise).
    """

    threshold: float | None
    reason: str | None
    volume_db: float
    precision_target: float
    precision: float | None
    precision_lower_bound: float | None
    held_out_precision: float | None
    recall: float | None
    windows: int
    silent_windows: int
    accepted_windows: int
    tracks: int
    artists: int
    artists_accepted: int
    silence_rate: float
    assumed_silence_rate: float
    spans: SpanRule | None
    probability: list[float] = field(default_factory=list)
    expected_volume_db: list[float] = field(default_factory=list)
    expected_silent: list[float] = field(default_factory=list)
    curve: PurityCurve | None = None
    artist_counts: ArtistCounts | None = None
    left_out: list[LeftOut] = field(default_factory=list)

    def threshold_for(self, purity: float) -> float | None:
        """Return the lowest threshold whose lower bound of purity reaches ``purity``; None where there is none.

        The bound is of the harvested seconds, at the confidence of the calibration's settings. There is no threshold
        either where the bound does not hold (`below_floor_left_out`). Without a curve (files of older versions) the one
        threshold is returned for any purity up to its own target.
        """
        if purity == self.precision_target:
            return self.threshold
        if self.curve is None:
            return self.threshold if purity < self.precision_target else None
        return None if self.below_floor_left_out(purity) else self.curve.threshold_for(purity)

    def below_floor_left_out(self, target: float) -> LeftOut | None:
        """Return the least pure harvest of left-out artists up to ``target`` if its purity is below the artist floor.

        The bound does not hold for this source then: too few of its artists stand for the next one.
        """
        floor = 0.0 if self.curve is None else self.curve.artist_floor
        rows = [row for row in self.left_out if row.target <= target and row.purity is not None]
        worst = min(rows, key=lambda row: row.purity or 0.0, default=None)
        return worst if worst is not None and worst.purity is not None and worst.purity < floor else None

    def left_out_at(self, target: float) -> LeftOut | None:
        """Return the harvest of left-out artists at ``target``; None where it is not in the file."""
        return next((row for row in self.left_out if row.target == target), None)

    @property
    def span_recall(self) -> float | None:
        """Share of the calibration songs' silent spans that is harvested; None without a row of the curve."""
        return self.harvest_at(self.threshold)[1]

    def harvest_at(self, threshold: float | None) -> tuple[float | None, float | None]:
        """Return the purity of the calibration songs' harvest, and the found share of their silent spans.

        Both are None where the file does not state them for ``threshold``.
        """
        purity = None if self.spans is None or threshold != self.threshold else self.spans.precision
        if threshold is None or self.curve is None or threshold not in self.curve.threshold:
            return purity, None
        row = self.curve.threshold.index(threshold)
        return self.curve.purity[row] if purity is None else purity, self.curve.recall[row]


@dataclass(frozen=True)
class FusedSource:
    """Fusion of one source with an evidence, and the calibration of its joint probabilities."""

    fusion: Fusion
    calibration: SourceCalibration


@dataclass(frozen=True)
class Calibration:
    """Thresholds and tables per source, for the detector whose weights have ``detector_sha256``.

    ``settings``: of the calibration. ``data``: names of the tracks and artists, and the muted variants. ``fused``: the
    sources with an evidence; `with_evidence` replaces their calibration.
    """

    detector: str
    detector_sha256: str
    settings: dict[str, Any]
    data: dict[str, Any]
    sources: dict[str, SourceCalibration]
    versions: dict[str, str] = field(default_factory=dict)
    fused: dict[str, FusedSource] = field(default_factory=dict)

    def __repr__(self) -> str:
        thresholds = {source: fitted.threshold for source, fitted in self.sources.items()}
        shown = (f"{source} {'refused' if at is None else format(at, '.3f')}" for source, at in thresholds.items())
        return f"Calibration({self.detector!r}: {', '.join(shown)})"

    def with_evidence(self, evidence: Evidence | None) -> tuple["Calibration", Fusion | None, str | None]:
        """Return (joint calibration, its fusion, None), or (self, None, reason) without ``evidence``.

        The reason states the loss of recall. Without a fused source it is None.
        """
        for source, joint in self.fused.items():
            problem = (
                f"{joint.fusion.evidence} is not installed" if evidence is None else difference(joint.fusion, evidence)
            )
            if problem is not None:
                return self, None, f"{source} by the detector alone: {problem}; {_loss(self.sources[source], joint)}"
            return self.joint(source), joint.fusion, None
        return self, None, None

    def joint(self, source: str) -> "Calibration":
        """Return this calibration with that of the joint probabilities of ``source``."""
        return dataclasses.replace(self, sources={**self.sources, source: self.fused[source].calibration})

    def threshold(self, source: str) -> float | None:
        """Return p_i, or None where this source must not be mined."""
        return self._source(source).threshold

    def threshold_for(self, source: str, purity: float) -> float | None:
        """Return `SourceCalibration.threshold_for` of ``source``."""
        return self._source(source).threshold_for(purity)

    def expected_volume_db(self, source: str, probability: float) -> float:
        """Return the expected relative volume in dB at P_i = ``probability``; nan where unknown."""
        return _interpolate(probability, self._source(source), "expected_volume_db")

    def expected_silent(self, source: str, probability: float) -> float:
        """Return the expected share of windows with V <= volume_db at P_i = ``probability``, or nan."""
        return _interpolate(probability, self._source(source), "expected_silent")

    def check_detector(self, sha256: str) -> None:
        """Raise `DataError` when this calibration was made for another detector."""
        if sha256 != self.detector_sha256:
            raise DataError(
                f"this calibration was made for the detector {self.detector!r} ({self.detector_sha256[:12]}...), "
                f"not for the one with SHA-256 {sha256[:12]}...: its thresholds are not valid there; "
                "run remix-miner calibrate with the detector in use"
            )

    def save(self, path: str | Path) -> None:
        """Write the JSON file, whole or not at all."""
        write_json(path, {"format": FORMAT, "format_version": FORMAT_VERSION, **dataclasses.asdict(self)})

    @classmethod
    def load(cls, path: str | Path) -> "Calibration":
        """Read and check a file written by `save`; raise `DataError` where it is damaged."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read as a calibration: {error}") from error
        return cls.from_json(values, str(path))

    @classmethod
    def from_json(cls, values: Any, where: str = "calibration") -> "Calibration":
        """Return the calibration of the parsed JSON ``values``; ``where`` is for messages."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise DataError(f"{where} is not a calibration (format {FORMAT!r}); make one with remix-miner calibrate")
        if values.get("format_version") != FORMAT_VERSION:
            raise DataError(
                f"{where} has format version {values.get('format_version')!r}, this program reads {FORMAT_VERSION}: "
                "calibrate again, or update"
            )
        sources = values.get("sources")
        if not isinstance(sources, dict) or not sources or not set(sources) <= set(SOURCES):
            raise DataError(f"{where}: 'sources' must be an object over some of {', '.join(SOURCES)}")
        apart = ("format", "format_version", "sources", "fused")
        rest = {name: value for name, value in values.items() if name not in apart}
        try:
            read = {
                name: from_mapping(SourceCalibration, fitted, f"sources.{name}.") for name, fitted in sources.items()
            }
            joint = values.get("fused", {}).items()
            fused = {name: from_mapping(FusedSource, fitted, f"fused.{name}.") for name, fitted in joint}
            calibration = dataclasses.replace(from_mapping(cls, {**rest, "sources": {}}), sources=read, fused=fused)
        except (UsageError, AttributeError) as error:
            raise DataError(f"{where} is damaged or from another version: {error}; calibrate again") from error
        for source, fitted in [*read.items(), *((name, each.calibration) for name, each in fused.items())]:
            _check(source, fitted, where)
        return calibration

    def _source(self, source: str) -> SourceCalibration:
        if source not in self.sources:
            raise DataError(f"the calibration has no source {source!r}; it has {', '.join(self.sources)}")
        return self.sources[source]


def _loss(alone: SourceCalibration, fused: FusedSource) -> str:
    """Return a sentence with the recall on the calibration songs, without and with the evidence."""
    shares = [fitted.span_recall or 0.0 for fitted in (alone, fused.calibration)]
    return f"it finds {shares[0]:.0%} of the silent audio of the calibration songs, with the evidence {shares[1]:.0%}"


def _interpolate(probability: float, source: SourceCalibration, table: str) -> float:
    if not source.probability:
        return math.nan
    return float(np.interp(probability, source.probability, getattr(source, table)))


def _check(source: str, fitted: SourceCalibration, where: str) -> None:
    if fitted.threshold is not None and not 0 <= fitted.threshold <= 1:
        raise DataError(f"{where}: threshold of {source} is {fitted.threshold}, not a probability")
    if fitted.threshold is None and not fitted.reason:
        raise DataError(f"{where}: {source} has neither a threshold nor a reason for its absence")
    lengths = {len(fitted.probability), len(fitted.expected_volume_db), len(fitted.expected_silent)}
    if len(lengths) != 1 or any(np.diff(fitted.probability) < 0):
        raise DataError(f"{where}: the tables of {source} must have equal lengths and ascending probabilities")
    if fitted.curve is not None and (problem := fitted.curve.problem()):
        raise DataError(f"{where}: the curve of {source} has {problem}; calibrate again")
    thresholds = 0 if fitted.curve is None else len(fitted.curve.threshold)
    if fitted.artist_counts is not None and (problem := fitted.artist_counts.problem(thresholds)):
        raise DataError(f"{where}: the artist counts of {source} have {problem}; calibrate again")
