"""Harvest of labelled songs: the windows of one source that lie in the spans of a rule.

Calibration, scores, yields and the audit of a scan are sums over a `Harvest`. The windows are the detector's own
(0.64 s, one every 64 ms, `detector.windows`). A window counts when it lies wholly in a kept span and has a label.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from remix_miner.calibration.window_table import SourceWindows, weighted_quantile, windows_inside
from remix_miner.detector.spans import Span, silent_spans
from remix_miner.detector.windows import HOP_SECONDS, WINDOW_SECONDS
from remix_miner.errors import UsageError


@dataclass(frozen=True)
class HarvestRule:
    """Spans of at least ``min_seconds`` in which every window has P >= ``threshold`` (`spans.silent_spans`)."""

    threshold: float
    min_seconds: float = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise UsageError(f"a threshold is a probability, got {self.threshold}")
        if self.min_seconds < 0:
            raise UsageError(f"min_seconds cannot be negative, got {self.min_seconds}")


@dataclass(frozen=True)
class Harvest:
    """Harvested part of labelled songs.

    ``kept``: True for the windows (N,) of ``windows`` that lie in a kept span. ``seconds``: kept audio per song.
    """

    windows: SourceWindows
    kept: Bool[np.ndarray, " N"]
    seconds: Float[np.ndarray, " K"]

    def per_song(self, mask: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " K"]:
        """Return the weight of the windows in ``mask``, per song."""
        return self.windows.per_song(mask)

    @property
    def kept_by_song(self) -> Float[np.ndarray, " K"]:
        """Weight of the kept windows, per song."""
        return self.per_song(self.kept)

    @property
    def pure_by_song(self) -> Float[np.ndarray, " K"]:
        """Weight of the kept windows in which the source is silent, per song."""
        return self.per_song(self.kept & self.windows.silent)

    @property
    def purity(self) -> float | None:
        """Share of silent windows among the kept ones; None where nothing is kept."""
        kept = self.kept_by_song.sum()
        return float(self.pure_by_song.sum() / kept) if kept else None

    def volume_db(self, quantile: float) -> float | None:
        """Return a quantile of V over the kept windows; None where nothing is kept."""
        return weighted_quantile(self.windows.volumes[self.kept], self.windows.weights[self.kept], quantile)


def harvest(windows: SourceWindows, rule: HarvestRule | None) -> Harvest:
    """Return the harvest of ``rule``; that of None is empty.

    In a weakly labelled song, spans extend beyond the labelled intervals as they do in a scan; the windows in the
    intervals are judged.
    """
    if rule is None:
        return harvest_of_spans(windows, [[] for _ in windows.songs])
    return harvest_of_spans(
        windows,
        [
            silent_spans(
                song.probabilities[windows.source],
                rule.threshold,
                song.seconds,
                rule.min_seconds,
                known if song.levels_known else None,
            )
            for song, known in windows.with_known()
        ],
    )


def perfect_harvest(windows: SourceWindows, min_seconds: float) -> Harvest:
    """Return the harvest of a perfect detector: every span of at least ``min_seconds`` of true silence."""
    spans = []
    for song, known in windows.with_known():
        silent = known & (song.volumes[windows.source] <= windows.volume_db)
        spans.append(silent_spans(silent.astype(np.float32), 0.5, song.seconds, min_seconds))
    return harvest_of_spans(windows, spans)


def harvest_of_spans(windows: SourceWindows, spans: Sequence[Sequence[Span]]) -> Harvest:
    """Return the harvest of ``spans``, one list for each song of ``windows``."""
    kept = [
        windows_inside(found, len(known), song.seconds)[known]
        for (song, known), found in zip(windows.with_known(), spans, strict=True)
    ]
    seconds = np.array([sum(span.seconds for span in found) for found in spans], dtype=np.float64)
    return Harvest(windows, np.concatenate([*kept, np.zeros(0, dtype=bool)]), seconds)


def harvest_probabilities(
    probabilities: Float[np.ndarray, " W"], track_seconds: float, min_seconds: float
) -> Float32[np.ndarray, " W"]:
    """Return, for each window of one source, the highest threshold at which the window is harvested.

    At that threshold the window lies wholly in a span of at least ``min_seconds``. The value is NaN for windows that no
    threshold harvests: those beside a window without P, in a track that is too short, or beyond an end of the track.
    In terms of mathematical morphology it is an opening by the shortest span, eroded by the length of a window. A span
    that ends with the track counts as up to one hop (64 ms) shorter than it is.

    >>> harvest_probabilities(np.full(100, 0.9), 6.4, 5.0)[[0, 50]].tolist()
    [nan, 0.8999999761581421]
    """
    count = len(probabilities)
    shortest = math.ceil(round((min_seconds + WINDOW_SECONDS) / HOP_SECONDS - 1, 6))
    beyond = round(WINDOW_SECONDS / HOP_SECONDS) - 1  # windows on either side that must pass, too
    # Nothing is cut at the ends of a track, as if further windows passed there.
    before = round(WINDOW_SECONDS / 2 / HOP_SECONDS) - 1
    after = math.floor(round((track_seconds + WINDOW_SECONDS / 2) / HOP_SECONDS - count, 6))
    passed = np.where(np.isnan(probabilities), -np.inf, probabilities).astype(np.float32)
    padded = np.pad(passed, (before, max(after, 0)), constant_values=np.inf)
    if len(padded) < shortest:
        return np.full(count, np.nan, dtype=np.float32)
    least = np.lib.stride_tricks.sliding_window_view(padded, shortest).min(axis=1)
    least = np.pad(least, shortest - 1, constant_values=-np.inf)
    opened = np.lib.stride_tricks.sliding_window_view(least, shortest).max(axis=1)[before : before + count]
    opened = np.pad(opened, beyond, constant_values=np.inf)
    found = np.lib.stride_tricks.sliding_window_view(opened, 2 * beyond + 1).min(axis=1)
    centres = np.arange(count) * HOP_SECONDS
    outside = (centres < WINDOW_SECONDS / 2 - 1e-9) | (centres + WINDOW_SECONDS / 2 > track_seconds + 1e-9)
    harvested: Float32[np.ndarray, " W"] = np.where(outside | ~np.isfinite(found), np.nan, found).astype(np.float32)
    return harvested
