"""Probabilities of single channels, in the windows in which the mean of the channels does not represent them.

This is done only where the mean could be mined at all; `out_of_phase` finds the windows.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from jaxtyping import Bool, Float32

from remix_miner.audio import Block, StreamResampler
from remix_miner.detector.evidence import Fusion, in_long_runs, shortest_run
from remix_miner.detector.fused_stream import FusedStream, joint_stream
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.stream import ProbabilityStream
from remix_miner.detector.windows import HOP_FRAMES, SAMPLE_RATE, WINDOW_SECONDS
from remix_miner.sources import SOURCES

GATE = 0.3
"""Least threshold at which a scan with these probabilities can be cut again."""
CONTEXT_WINDOWS = 64
"""Windows before and after a part that is judged, 4 s: as many as the margins of the detector's stream."""


def could_be_mined(
    probabilities: Float32[np.ndarray, "S W"], thresholds: Mapping[str, float], min_seconds: float
) -> Bool[np.ndarray, " W"]:
    """Return the windows in which a source of ``thresholds`` has P >= `GATE` for at least ``min_seconds``.

    No other window lies in a span at any threshold from `GATE` on. A lower threshold takes the place of `GATE`.
    """
    possible = np.zeros(probabilities.shape[1], dtype=bool)
    for source, threshold in thresholds.items():
        over_gate = probabilities[SOURCES.index(source)] >= min(GATE, threshold)
        possible |= in_long_runs(over_gate, shortest_run(min_seconds))
    return possible


def least_over_channels(
    blocks: Iterable[Block],
    sample_rate: int,
    windows: Bool[np.ndarray, "C W"],
    model: SilentSourceDetector,
    fusion: Fusion | None = None,
    on_block: Callable[[float], None] = lambda seconds: None,
) -> Float32[np.ndarray, "S W"]:
    """Return each source's least probability over the channels in which a window is marked, 1 in all other windows.

    ``blocks`` (frames, channels) are the whole track; only the marked parts and their context are computed.
    """
    least = np.ones((len(model.sources), windows.shape[1]), dtype=np.float32)
    channels = [_Channel(model, sample_rate, fusion, marked, least) for marked in windows]
    position = 0
    for block in blocks:
        on_block(0.0)
        for number, channel in enumerate(channels):
            channel.push(block[:, number], position)
        position += len(block)
        if not any(channel.parts for channel in channels):
            break
    for channel in channels:
        channel.finish()
    return least


def joined_parts(windows: Bool[np.ndarray, " W"], context: int) -> list[tuple[int, int]]:
    """Return (first, after last) of the marked windows with ``context`` on both sides, where they overlap joined.

    >>> joined_parts(np.array([0, 1, 0, 0, 0, 0, 1, 1], dtype=bool), 1)
    [(0, 3), (5, 8)]
    """
    parts: list[tuple[int, int]] = []
    for place in np.flatnonzero(windows).tolist():
        first, after = max(place - context, 0), min(place + context + 1, len(windows))
        if parts and first <= parts[-1][1]:
            parts[-1] = parts[-1][0], after
        else:
            parts.append((first, after))
    return parts


class _Channel:
    """Probabilities of the marked parts of one channel, joint ones where there is a fusion."""

    def __init__(
        self,
        model: SilentSourceDetector,
        sample_rate: int,
        fusion: Fusion | None,
        marked: Bool[np.ndarray, " W"],
        least: Float32[np.ndarray, "S W"],
    ) -> None:
        self.parts = joined_parts(marked, CONTEXT_WINDOWS)
        self._model = model
        self._rate = sample_rate
        # Parts may be shorter than an excerpt.
        self._fusion = None if fusion is None else dataclasses.replace(fusion, min_seconds=WINDOW_SECONDS)
        self._marked = marked
        self._least = least
        self._stream: ProbabilityStream | FusedStream | None = None
        self._resampler = StreamResampler(sample_rate, SAMPLE_RATE, 1)
        self._pieces: list[Float32[np.ndarray, "S N"]] = []

    def push(self, samples: Float32[np.ndarray, " T"], position: int) -> None:
        """Take the samples of the next block, which begins at frame ``position`` of the track."""
        while self.parts:
            # Window w of a stream is centred at its frame 1024 w: a part begins at the centre of its first window.
            start, end = (edge * HOP_FRAMES * self._rate // SAMPLE_RATE for edge in self.parts[0])
            if start >= position + len(samples):
                return
            if self._stream is None:
                self._begin(*self.parts[0])
            self._send(samples[max(start - position, 0) : max(end - position, 0)])
            if end > position + len(samples):
                return
            self.finish()

    def finish(self) -> None:
        """End the part at hand and take its probabilities in the marked windows."""
        if self._stream is None:
            return
        self._send(np.zeros(0, dtype=np.float32), last=True)
        probabilities = np.concatenate([*self._pieces, self._stream.finish()], axis=1)
        first, _ = self.parts.pop(0)
        part = self._least[:, first : first + probabilities.shape[1]]
        marked = self._marked[first : first + part.shape[1]]
        part[:, marked] = np.minimum(part[:, marked], probabilities[:, : part.shape[1]][:, marked])
        self._stream = None

    def _begin(self, first: int, after: int) -> None:
        self._resampler = StreamResampler(self._rate, SAMPLE_RATE, 1)
        self._stream = joint_stream(ProbabilityStream(self._model), self._fusion, self._marked[first:after])
        self._pieces = []

    def _send(self, samples: Float32[np.ndarray, " T"], last: bool = False) -> None:
        assert self._stream is not None
        self._pieces.append(self._stream.push(self._resampler(samples[:, None], last=last)[:, 0]))
