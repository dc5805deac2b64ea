"""Validity of windows: a valid window has sound at the detector's input and no replaced sample."""

import functools

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from remix_miner.detector.windows import HOP_FRAMES, SAMPLE_RATE, WINDOW_FRAMES

SILENCE_DB = -85.0
"""RMS in dB of full scale, without DC, drift and infrasound, at or below which a cell is silent. Dither of two 16-bit
steps has -87 dB and less, the softest music about -60 dB."""

INFRASOUND_DEGREE = 7
"""Over 64 ms, a polynomial of this degree follows DC, drift and tones up to 10 Hz to below `SILENCE_DB`, and no tone
of 20 Hz."""

CELLS = WINDOW_FRAMES // HOP_FRAMES
"""A window is ten cells of one hop (64 ms): five before its centre, five after."""


class WindowValidity:
    """Validity of the windows of a track that arrives in blocks.

    Silence is measured on what the detector receives, 16 kHz mono, without DC and infrasound; replaced samples are
    marked at the file's own sample rate.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._frames = 0
        self._rest = np.zeros(0, dtype=np.float32)
        self._sounding: list[Bool[np.ndarray, " N"]] = []
        self._bad: set[int] = set()

    def receive(self, received: Float32[np.ndarray, " T"]) -> None:
        """Take the next block as the detector receives it."""
        joined = np.concatenate([self._rest, received])
        cells = len(joined) // HOP_FRAMES
        self._sounding.append(_sounding(joined[: cells * HOP_FRAMES].reshape(cells, HOP_FRAMES)))
        self._rest = joined[cells * HOP_FRAMES :]

    def mark(self, frames: int, replaced: Int64[np.ndarray, " N"]) -> None:
        """Take the length of the next decoded block and the frames in it at which samples had to be replaced."""
        if len(replaced):
            cells = (self._frames + replaced) * SAMPLE_RATE // (self.sample_rate * HOP_FRAMES)
            self._bad |= set(np.unique(cells).tolist())
        self._frames += frames

    def windows(self, count: int) -> Bool[np.ndarray, " W"]:
        """Return the validity of the first ``count`` windows: some cell sounds, and none holds a replaced sample."""
        bad = np.zeros(max(self._bad, default=-1) + 1, dtype=bool)
        bad[list(self._bad)] = True
        valid: Bool[np.ndarray, " W"] = _any_in_window(self._cells(), count) & ~_any_in_window(bad, count)
        return valid

    @property
    def silent(self) -> bool:
        """Return whether no cell so far has sound."""
        return not self._cells().any()

    def _cells(self) -> Bool[np.ndarray, " N"]:
        last = [_sounding(self._rest[None])] if len(self._rest) else []
        return np.concatenate([np.zeros(0, dtype=bool), *self._sounding, *last])


def _sounding(cells: Float32[np.ndarray, "N T"]) -> Bool[np.ndarray, " N"]:
    """Return whether the RMS of each cell, around its best polynomial of `INFRASOUND_DEGREE`, exceeds `SILENCE_DB`."""
    samples = cells.astype(np.float64)
    slow = samples @ _slow_signals(cells.shape[1])
    power = (samples**2).sum(axis=1) - (slow**2).sum(axis=1)
    sounding: Bool[np.ndarray, " N"] = power / max(cells.shape[1], 1) > 10 ** (SILENCE_DB / 10)
    return sounding


@functools.lru_cache(maxsize=8)
def _slow_signals(frames: int) -> Float64[np.ndarray, "T D"]:
    """Return an orthonormal basis of the polynomials over ``frames`` samples, as columns."""
    degree = min(INFRASOUND_DEGREE, max(frames - 1, 0))
    polynomials = np.polynomial.legendre.legvander(np.linspace(-1, 1, frames), degree)
    basis: Float64[np.ndarray, "T D"] = np.linalg.qr(polynomials)[0]
    return basis


def _any_in_window(cells: Bool[np.ndarray, " N"], count: int) -> Bool[np.ndarray, " W"]:
    """Return for each window whether any of its ten cells is set; cells beyond the ends are not set."""
    half = CELLS // 2
    padded = np.zeros(count + CELLS, dtype=bool)
    known = min(len(cells), count + half)
    padded[half : half + known] = cells[:known]
    windows: Bool[np.ndarray, "W N"] = np.lib.stride_tricks.sliding_window_view(padded, CELLS)[:count]
    result: Bool[np.ndarray, " W"] = windows.max(axis=1)
    return result
