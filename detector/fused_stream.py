"""Streaming inference of joint probabilities: the detector's stream, with evidence in open windows.

The evidence is computed in pieces that start at fixed windows, so the result does not depend on the size of the pushed
blocks. Memory is bounded: audio is kept from the first window without a joint probability on.
"""

import functools
from collections import deque
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32

from remix_miner.detector.evidence import Evidence, Fusion, difference, runs
from remix_miner.detector.stream import ProbabilityStream
from remix_miner.detector.voice_activity import load_voice_activity
from remix_miner.detector.windows import HOP_FRAMES, SAMPLE_RATE, WINDOW_FRAMES
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES

PIECE_WINDOWS = 480
JOIN_WINDOWS = 32
"""Open windows with smaller gaps than this share one call of the evidence."""


class FusedStream:
    """A `ProbabilityStream` with joint probabilities in the row of one source.

    ``wanted``: windows in which the joint probability is used; the evidence is computed in no other. None: in all.
    ``evidence_seconds``: audio processed by the evidence so far.
    """

    def __init__(
        self,
        stream: ProbabilityStream,
        fusion: Fusion,
        evidence: Evidence,
        sources: Sequence[str],
        wanted: Bool[np.ndarray, " W"] | None = None,
    ) -> None:
        self.stream = stream
        self.fusion = fusion
        self.evidence = evidence
        self.evidence_seconds = 0.0
        self._wanted = wanted
        self._row = list(sources).index(fusion.source)
        self._held = np.zeros((len(sources), 0), dtype=np.float32)  # from window self._first on
        self._first = 0
        self._decided = 0
        self._audio = _Audio()

    def push(self, mono: Float32[np.ndarray, " T"]) -> Float32[np.ndarray, "S W"]:
        """Add audio; return the joint probabilities (S, n) that are complete."""
        self._audio.append(mono)
        self._held = np.concatenate((self._held, self.stream.push(mono)), axis=1)
        return self._emit(last=False)

    def finish(self) -> Float32[np.ndarray, "S W"]:
        """End the track; return the remaining joint probabilities."""
        self._held = np.concatenate((self._held, self.stream.finish()), axis=1)
        return self._emit(last=True)

    def _emit(self, last: bool) -> Float32[np.ndarray, "S W"]:
        known = self._first + self._held.shape[1]
        pieces = []
        # The run of a window is long enough or not once the windows of the shortest run after it are available.
        while self._decided < known and (last or self._decided + PIECE_WINDOWS + self.fusion.shortest_run <= known):
            pieces.append(self._piece(min(self._decided + PIECE_WINDOWS, known)))
        if not pieces:
            return self._held[:, :0]
        return np.concatenate(pieces, axis=1)

    def _piece(self, after: int) -> Float32[np.ndarray, "S W"]:
        """Return the probabilities of windows ``_decided`` to ``after``."""
        begin, end = self._decided - self._first, after - self._first
        row = self._held[self._row]
        open_ = self.fusion.open_windows(row)[begin:end]
        if self._wanted is not None:
            wanted = self._wanted[self._decided : after]
            open_[: len(wanted)] &= wanted
            open_[len(wanted) :] = False
        log_odds = np.zeros(end - begin)
        for first, last in runs(_joined(open_)):
            log_odds[first:last] = self._log_odds(self._decided + first, self._decided + last)
        piece = self._held[:, begin:end].copy()
        piece[self._row] = self.fusion.joint(row[begin:end], open_, log_odds)
        self._decided = after
        self._drop_decided()
        return piece

    def _log_odds(self, first: int, after: int) -> np.ndarray:
        reach = WINDOW_FRAMES // 2 + round(self.evidence.margin_seconds * SAMPLE_RATE)
        start = max(first * HOP_FRAMES - reach, 0)
        end = (after - 1) * HOP_FRAMES + reach
        audio = self._audio.part(start, end)
        self.evidence_seconds += len(audio) / SAMPLE_RATE
        return self.evidence.log_odds(audio, np.arange(first, after) * HOP_FRAMES - start)

    def _drop_decided(self) -> None:
        """Drop the probabilities before the last possible run and the audio before the margin."""
        first = max(self._decided - self.fusion.shortest_run, self._first)
        self._held = self._held[:, first - self._first :]
        self._first = first
        reach = WINDOW_FRAMES // 2 + round(self.evidence.margin_seconds * SAMPLE_RATE)
        self._audio.drop_before(self._decided * HOP_FRAMES - reach)


class _Audio:
    """Buffer of the latest blocks of audio, addressed by the position in the track."""

    def __init__(self) -> None:
        self._blocks: deque[tuple[int, np.ndarray]] = deque()  # (first sample, samples)
        self._end = 0

    def append(self, mono: Float32[np.ndarray, " T"]) -> None:
        self._blocks.append((self._end, np.array(mono, dtype=np.float32)))
        self._end += len(mono)

    def part(self, start: int, end: int) -> Float32[np.ndarray, " T"]:
        """Return the samples from ``start`` to ``end`` that are in the buffer."""
        parts = [block[max(start - first, 0) : max(end - first, 0)] for first, block in self._blocks]
        return np.concatenate([*parts, np.zeros(0, dtype=np.float32)])

    def drop_before(self, position: int) -> None:
        """Remove whole blocks that end before ``position``."""
        while self._blocks and self._blocks[0][0] + len(self._blocks[0][1]) <= position:
            self._blocks.popleft()


def _joined(open_: Bool[np.ndarray, " W"]) -> Bool[np.ndarray, " W"]:
    """Return ``open_`` with short gaps filled, so that one call covers neighbouring open windows."""
    joined = open_.copy()
    for first, after in runs(~open_):
        if first > 0 and after < len(open_) and after - first < JOIN_WINDOWS:
            joined[first:after] = True
    return joined


def fused_probabilities(
    stream: ProbabilityStream, fusion: Fusion, evidence: Evidence, sources: Sequence[str], mono: np.ndarray
) -> Float32[np.ndarray, "S W"]:
    """Return joint probabilities of a whole track (S, W), exactly as a scan computes them."""
    fused = FusedStream(stream, fusion, evidence, sources)
    return np.concatenate((fused.push(mono), fused.finish()), axis=1)


def joint_stream(
    stream: ProbabilityStream, fusion: Fusion | None, wanted: Bool[np.ndarray, " W"] | None = None
) -> ProbabilityStream | FusedStream:
    """Return ``stream``, or with a ``fusion`` its `FusedStream`; `DataError` if the evidence is absent or differs.

    ``wanted``: windows in which the joint probability is used; None: all.
    """
    if fusion is None:
        return stream
    evidence = _loaded()
    problem = f"{fusion.evidence} is not installed" if evidence is None else difference(fusion, evidence)
    if evidence is None or problem is not None:
        raise DataError(f"the scan was begun with {fusion.evidence} {fusion.version}: {problem}; install that version")
    return FusedStream(stream, fusion, evidence, SOURCES, wanted)


@functools.lru_cache(maxsize=1)
def _loaded() -> Evidence | None:
    """Return the evidence, loaded once per process."""
    return load_voice_activity()
