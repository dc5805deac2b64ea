"""Stratified draw of stretches around a threshold, below it too, from the stored probabilities of a mined folder.

A stretch is a part of a span that a scan at a lower threshold would cut. Its score is the highest threshold at which it
is harvested (`calibration.harvest.harvest_probabilities`). Stretches below the threshold amount to about as many
seconds as the harvest above it. Within each stratum the stretches, ordered by their score, are drawn systematically in
proportion to their seconds, so that every part of the scale is covered.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from remix_miner.calibration.harvest import harvest_probabilities
from remix_miner.detector.spans import Span, silent_spans
from remix_miner.detector.windows import HOP_SECONDS, WINDOW_SECONDS
from remix_miner.mined.probabilities import StoredTrack
from remix_miner.mined.samples.threshold_draws import STRATA, ThresholdDraw

SHARES = {"below": 0.45, "near": 0.35, "far": 0.2}
"""Of the draws in each stratum: more where answers are less certain."""

LOWEST = 0.02
"""Stretches with lower probabilities of silence are never drawn."""

LEAST_SECONDS = 10.0
"""Seconds below the threshold for each planned answer, where the harvest above it is small."""


@dataclass(frozen=True)
class Stretch:
    """A candidate: a stretch of a track, and its score."""

    track_id: int
    start_seconds: float
    seconds: float
    score: float


@dataclass(frozen=True)
class TrackScores:
    """Probabilities of one source in a track, and the highest threshold at which each window is harvested."""

    track_id: int
    seconds: float
    probabilities: Float32[np.ndarray, " W"]
    harvested: Float32[np.ndarray, " W"]


def track_scores(track_id: int, stored: StoredTrack, source: int, min_seconds: float) -> TrackScores:
    """Return the scores of a stored track for the source with this number."""
    seconds, row = stored.frames / stored.sample_rate, stored.probabilities[source]
    return TrackScores(track_id, seconds, row, harvest_probabilities(row, seconds, min_seconds))


def lowest_score(tracks: Sequence[TrackScores], threshold: float, planned: int) -> float:
    """Return the score down to which stretches are drawn.

    Below ``threshold`` there are then about as many windows as above it, and enough for ``planned`` answers.
    """
    scores = np.concatenate([np.zeros(0, np.float32), *(track.harvested for track in tracks)])
    scores = np.sort(scores[scores >= LOWEST])[::-1]
    above = int((scores >= threshold).sum())
    wanted = above + max(above, round(planned * LEAST_SECONDS / HOP_SECONDS))
    if not len(scores):
        return threshold
    return min(float(scores[min(wanted, len(scores)) - 1]), threshold)


def stretches(tracks: Sequence[TrackScores], lowest: float, min_seconds: float) -> list[Stretch]:
    """Return the parts, each of ``min_seconds`` to twice as long, of all spans at the threshold ``lowest``."""
    return [
        found
        for track in tracks
        for span in silent_spans(track.probabilities, lowest, track.seconds, min_seconds)
        for found in _parts(track, span, min_seconds)
    ]


def _parts(track: TrackScores, span: Span, min_seconds: float) -> Iterator[Stretch]:
    edges = np.linspace(span.start_seconds, span.end_seconds, int(span.seconds / min_seconds + 1e-6) + 1)
    centres = np.arange(len(track.harvested)) * HOP_SECONDS
    for start, end in itertools.pairwise(edges):
        inside = (centres - WINDOW_SECONDS / 2 >= start - 1e-9) & (centres + WINDOW_SECONDS / 2 <= end + 1e-9)
        scores = track.harvested[inside & ~np.isnan(track.harvested)]
        if len(scores):
            yield Stretch(track.track_id, float(start), float(end - start), float(np.median(scores)))


def strata_of(candidates: Sequence[Stretch], threshold: float) -> dict[str, list[Stretch]]:
    """Return the candidates by stratum, each in the order of their scores."""
    ordered = sorted(candidates, key=lambda candidate: (candidate.score, candidate.track_id, candidate.start_seconds))
    above = [candidate for candidate in ordered if candidate.score >= threshold]
    ends = np.cumsum([candidate.seconds for candidate in above])
    half = int(np.searchsorted(ends, ends[-1] / 2)) if above else 0
    return {
        "below": [candidate for candidate in ordered if candidate.score < threshold],
        "near": above[:half],
        "far": above[half:],
    }


def draw_stretches(
    strata: dict[str, list[Stretch]], planned: int, generator: np.random.Generator
) -> list[ThresholdDraw]:
    """Return about ``planned`` draws in the order in which they are played: the strata evenly mixed.

    A stretch that is drawn more than once appears once, with the sum of the weights. The draws of an empty stratum go
    to the others.
    """
    present = [name for name in STRATA if strata[name]]
    total = sum(SHARES[name] for name in present)
    placed = []
    for name in present:
        count = max(1, round(planned * SHARES[name] / total))
        draws = _systematic(strata[name], name, count, generator)
        places = (generator.permutation(len(draws)) + generator.random()) / len(draws)
        placed += list(zip(places, draws, strict=True))
    return [draw for _, draw in sorted(placed, key=lambda pair: pair[0])]


def _systematic(
    candidates: Sequence[Stretch], stratum: str, count: int, generator: np.random.Generator
) -> list[ThresholdDraw]:
    """Draw at equal steps along the candidates' seconds, from a random start."""
    ends: Float[np.ndarray, " N"] = np.cumsum([candidate.seconds for candidate in candidates])
    step = ends[-1] / count
    at = np.searchsorted(ends, (np.arange(count) + generator.random()) * step, side="right")
    chosen, times = np.unique(np.minimum(at, len(candidates) - 1), return_counts=True)
    return [
        ThresholdDraw(candidate.track_id, candidate.start_seconds, candidate.seconds, stratum, float(step * repeats))
        for candidate, repeats in zip((candidates[place] for place in chosen), times, strict=True)
    ]
