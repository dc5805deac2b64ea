"""Which windows of a track may be mined at all: those that hold sound, and no replaced sample."""

import numpy as np
from jaxtyping import Bool, Float32, Int64

from remix_miner.detector.windows import HOP_FRAMES, SAMPLE_RATE, WINDOW_FRAMES

SILENCE_PEAK = 2.0**-15
"""A mixture that stays within one step of 16-bit audio is digital silence: no relative volume is defined in it."""

CELLS = WINDOW_FRAMES // HOP_FRAMES
"""A window is ten cells of one hop (64 ms): five before its centre, five after."""


class WindowValidity:
    """Follows a track in blocks, at its own sample rate, and tells afterwards which windows are valid.

    Cells are one hop long; a sample belongs to the cell in which its time lies. Measured before resampling, whose
    filters would ring into digital silence.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.frames = 0
        self._peaks = np.zeros(0, dtype=np.float32)
        self._bad = np.zeros(0, dtype=bool)

    def push(self, mono: Float32[np.ndarray, " T"], bad_frames: Int64[np.ndarray, " N"]) -> None:
        """The next block of the mono mixture, and the places in it at which samples had to be replaced."""
        if not len(mono):
            return
        first, last = self._cell(self.frames), self._cell(self.frames + len(mono) - 1)
        while len(self._peaks) <= last:
            self._peaks = np.concatenate([self._peaks, np.zeros(max(64, len(self._peaks)), dtype=np.float32)])
            self._bad = np.concatenate([self._bad, np.zeros(max(64, len(self._bad)), dtype=bool)])
        edges = np.array([self._first_frame(cell) for cell in range(first + 1, last + 1)], dtype=np.int64)
        starts = np.concatenate([[0], edges - self.frames])
        peaks = np.maximum.reduceat(np.abs(mono), starts)
        self._peaks[first : last + 1] = np.maximum(self._peaks[first : last + 1], peaks)
        if len(bad_frames):
            self._bad[first + np.searchsorted(starts, bad_frames, side="right") - 1] = True
        self.frames += len(mono)

    def windows(self, count: int) -> Bool[np.ndarray, " W"]:
        """Validity of the first ``count`` windows: not digital silence throughout, and no replaced sample inside."""
        valid: Bool[np.ndarray, " W"] = _any_in_window(self._peaks > SILENCE_PEAK, count)
        valid &= ~_any_in_window(self._bad, count)
        return valid

    @property
    def silent(self) -> bool:
        """Whether the whole mixture so far is digital silence."""
        return bool((self._peaks <= SILENCE_PEAK).all())

    def _cell(self, frame: int) -> int:
        return frame * SAMPLE_RATE // (self.sample_rate * HOP_FRAMES)

    def _first_frame(self, cell: int) -> int:
        return -(-cell * self.sample_rate * HOP_FRAMES // SAMPLE_RATE)


def _any_in_window(cells: Bool[np.ndarray, " N"], count: int) -> Bool[np.ndarray, " W"]:
    """For each window, whether any of its ten cells is set; beyond the ends there are none."""
    half = CELLS // 2
    padded = np.zeros(count + CELLS, dtype=bool)
    known = min(len(cells), count + half)
    padded[half : half + known] = cells[:known]
    windows: Bool[np.ndarray, "W N"] = np.lib.stride_tricks.sliding_window_view(padded, CELLS)[:count]
    result: Bool[np.ndarray, " W"] = windows.max(axis=1)
    return result
