"""Evidence of silence from a second network, and its fusion with the detector's probabilities.

Most windows use the detector alone. In windows without a clear result, the log-odds of silence of both networks are
weighted and added: a logistic regression that `remix_miner.calibration.fusion` fits on labelled songs, across artists.
The calibration file holds the weights of the fusion and the identity of the network.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from remix_miner.detector.windows import HOP_SECONDS, WINDOW_SECONDS
from remix_miner.errors import UsageError

EDGE = 1e-4
"""Probabilities of evidence are clipped to [EDGE, 1 - EDGE] before their log-odds are taken."""

SUREST = 1 - EDGE
LARGEST_LOG_ODDS = math.log(SUREST / (1 - SUREST))
DETECTOR_EDGE = 1e-6


class Evidence(Protocol):
    """A network that estimates the silence of one source.

    ``sha256``: of its weights. ``licence``: of code and weights. ``cost``: approximate seconds of computing on one core
    per second of audio. ``margin_seconds``: context around a window.
    """

    name: str
    version: str
    sha256: str
    licence: str
    source: str
    cost: float
    margin_seconds: float

    def log_odds(self, mono: Float32[np.ndarray, " T"], centres: Int[np.ndarray, " W"]) -> Float[np.ndarray, " W"]:
        """Return log-odds of silence in the 0.64 s around each of ``centres`` (samples); ``mono`` has 16 kHz."""
        ...


@dataclass(frozen=True)
class Fusion:
    """Joint probability of the detector's P and the log-odds of one evidence.

    Joint logit = ``intercept`` + ``detector_weight`` logit(P) + ``evidence_weight`` log-odds. *Open* windows have
    ``gate`` <= P < ``sure`` and lie in a run of at least ``min_seconds`` with P >= ``gate``; the evidence is computed
    for these. In the other windows its log-odds are set to the largest value that agrees with the detector.
    """

    evidence: str
    version: str
    sha256: str
    licence: str
    source: str
    intercept: float
    detector_weight: float
    evidence_weight: float
    gate: float = 0.3
    sure: float = 0.9
    min_seconds: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.gate < self.sure <= 1:
            raise UsageError(f"a fusion needs 0 < gate < sure <= 1, got {self.gate} and {self.sure}")
        if self.detector_weight < 0 or self.evidence_weight < 0:
            raise UsageError(
                f"weights of a fusion cannot be negative, got {self.detector_weight} and {self.evidence_weight}"
            )

    @property
    def shortest_run(self) -> int:
        """Number of windows of the shortest run that can hold a span of ``min_seconds`` (at an end of the track)."""
        return shortest_run(self.min_seconds)

    def open_windows(self, probabilities: Float[np.ndarray, " W"]) -> Bool[np.ndarray, " W"]:
        """Return True for the windows that need the evidence."""
        values = np.asarray(probabilities)
        return in_long_runs(values >= self.gate, self.shortest_run) & (values < self.sure)

    def joint(
        self, probabilities: Float[np.ndarray, " W"], open_: Bool[np.ndarray, " W"], log_odds: Float[np.ndarray, " W"]
    ) -> Float32[np.ndarray, " W"]:
        """Return joint probabilities; ``log_odds`` are used where ``open_`` is true."""
        from scipy.special import expit, logit

        certain = np.where(np.asarray(probabilities) >= self.sure, LARGEST_LOG_ODDS, -LARGEST_LOG_ODDS)
        clipped = np.clip(np.asarray(probabilities, dtype=np.float64), DETECTOR_EDGE, 1 - DETECTOR_EDGE)
        evidence = np.where(open_, np.clip(log_odds, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS), certain)
        joint = expit(self.intercept + self.detector_weight * logit(clipped) + self.evidence_weight * evidence)
        return np.asarray(joint, dtype=np.float32)


def shortest_run(min_seconds: float) -> int:
    """Return the number of windows of the shortest run that can hold a span of ``min_seconds``."""
    return max(1, int((min_seconds - WINDOW_SECONDS / 2) / HOP_SECONDS))


def in_long_runs(mask: Bool[np.ndarray, " W"], windows: int) -> Bool[np.ndarray, " W"]:
    """Return ``mask`` without its runs of fewer than ``windows`` true values.

    >>> in_long_runs(np.array([True, True, False, True]), 2).tolist()
    [True, True, False, False]
    """
    kept = np.zeros(len(mask), dtype=bool)
    for first, after in runs(mask):
        kept[first:after] = after - first >= windows
    return kept


def runs(mask: Bool[np.ndarray, " W"]) -> Iterator[tuple[int, int]]:
    """Return (first, one after the last) of each run of true values.

    >>> list(runs(np.array([True, True, False, True])))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def difference(fusion: Fusion, evidence: Evidence) -> str | None:
    """Return how ``evidence`` differs from the one of ``fusion``, or None where it is the same."""
    if evidence.name != fusion.evidence or evidence.source != fusion.source:
        return f"{evidence.name} on {evidence.source} is not {fusion.evidence} on {fusion.source}"
    if evidence.sha256 != fusion.sha256:
        return (
            f"{evidence.name} {evidence.version} has other weights than {fusion.version}, with which the calibration "
            "was made"
        )
    return None
