"""Fingerprints of recordings, robust against codecs, level, offset and small changes of speed.

A fingerprint is the constellation of a track: times and pitches of the local maxima of its spectrogram (Wang, An
Industrial-Strength Audio Search Algorithm, ISMIR 2003). Codecs and level hardly change these peaks. The index holds
groups of three or four peaks, described by the pitch of the first, the intervals to
the others and the times between them (Six and Leman, Panako, ISMIR 2014, section 3): on a logarithmic pitch scale a
recording that is played 1% faster keeps its intervals, is 0.17 semitones higher and 1% shorter, which the quantisation
absorbs.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt64

from remix_miner.audio import Audio, AudioReader, StreamResampler, display_name, downmix
from remix_miner.errors import AudioError

SAMPLE_RATE = 5500
WINDOW_FRAMES = 1024
HOP_FRAMES = 128
LOWEST_BIN, HIGHEST_BIN = 46, 420
"""250 to 2250 Hz, a range that every codec and loudspeaker reproduces."""
REACH_HOPS, REACH_BINS = 15, 30
"""A peak is the loudest cell within 0.35 s and 161 Hz on either side: five to eight peaks a second in music."""
BLOCK_HOPS, BLOCK_BINS = (REACH_HOPS + 1) // 2, (REACH_BINS + 1) // 2
"""The largest blocks of cells of which the neighbouring ones lie within the reach of each cell."""
FLOOR = 1e-10
"""Power of a cell that is too quiet to be a peak: about -90 dBFS, the noise of 16 bits."""
CHUNK_HOPS = 1024
CACHED_HOPS = 96
"""Hops whose spectra are computed at a time: they fit in the processor's cache."""

REFERENCE_HERTZ = 200.0
PITCH_STEP, INTERVAL_STEP, TIME_STEP = 2.0, 0.5, 0.06
"""Quantisation of a group: semitones of its first peak, semitones to the others, seconds between neighbours."""
LEAST_GAP_SECONDS, LONGEST_SECONDS = 0.07, 3.0
"""Peaks closer than this may change their order; a group that lasts longer spans a pause."""
WIDEST_INTERVAL = 64.0

FINGERPRINT_VERSION = 1
"""Incremented with every change of the constants above. Stored fingerprints of another version are computed again."""

PEAK = np.dtype([("seconds", "<f4"), ("semitones", "<f4")])
Peaks = np.ndarray
"""(N,) of `PEAK`, in the order of time: seconds from the beginning, semitones above 200 Hz."""


def fingerprint_file(path: Path) -> tuple[Peaks, float]:
    """Return the peaks of a file and its length in seconds, as far as it decodes. `AudioError` if nothing decodes.

    Memory does not depend on the length.
    """
    with AudioReader(path) as reader:
        blocks = (block.T for block in reader.blocks())
        peaks = fingerprint(blocks, reader.sample_rate)
        if not reader.frames_read:
            raise AudioError(f"{display_name(path)}: {reader.problem or 'holds no audio'}")
        return peaks, reader.frames_read / reader.sample_rate


def fingerprint(blocks: Iterable[Audio], sample_rate: int) -> Peaks:
    """Return the peaks of audio in blocks (channels, frames). The result does not depend on the block lengths.

    Silence has no peaks.
    """
    stream = FingerprintStream(sample_rate)
    for block in blocks:
        stream.push(downmix(block))
    return stream.finish()


class FingerprintStream:
    """Fingerprint of a recording that arrives in blocks; memory does not depend on its length."""

    def __init__(self, sample_rate: int) -> None:
        self._resampler = StreamResampler(sample_rate, SAMPLE_RATE, 1)
        # So many hops lie before the first and after the last that count, for their neighbourhoods.
        self._margin = REACH_HOPS + 1
        self._chunk_frames = CHUNK_HOPS * HOP_FRAMES
        self._needed = self._chunk_frames + 2 * self._margin * HOP_FRAMES + WINDOW_FRAMES
        self._held = np.zeros(self._before, dtype=np.float32)
        self._found: list[Peaks] = []

    @property
    def _before(self) -> int:
        """Frames of zeros before the first sample."""
        return self._margin * HOP_FRAMES + WINDOW_FRAMES // 2

    def push(self, mono: Float32[np.ndarray, " T"], last: bool = False) -> None:
        """Add the next block, the mean of the channels."""
        self._held = np.concatenate([self._held, self._resampler(mono[:, None], last=last)[:, 0]])
        while len(self._held) >= self._needed:
            self._take(self._held[: self._needed])

    def finish(self) -> Peaks:
        """End the recording and return its peaks."""
        self.push(np.zeros(0, dtype=np.float32), last=True)
        while len(self._held) > self._before:
            padded = np.zeros(self._needed, dtype=np.float32)
            padded[: len(self._held)] = self._held
            self._take(padded)
        peaks = np.concatenate([np.zeros(0, dtype=PEAK), *self._found])
        return peaks[np.argsort(peaks["seconds"], kind="stable")]

    def _take(self, samples: Float32[np.ndarray, " T"]) -> None:
        self._found.append(_peaks(samples, len(self._found) * CHUNK_HOPS, self._margin))
        self._held = self._held[self._chunk_frames :]


def groups(peaks: Peaks, size: int) -> tuple[UInt64[np.ndarray, " N"], Int64[np.ndarray, " N"]]:
    """Return the keys of the groups of ``size`` peaks, and the index of the first peak of each group.

    The groups of a peak combine it with every choice of ``size`` - 1 of the ``size`` + 1 peaks that follow it. A peak
    lost to a codec therefore removes only its own groups. Equal keys mean similar groups. Between different songs,
    equal keys are rarer for larger groups.
    """
    seconds, semitones = peaks["seconds"].astype(np.float64), peaks["semitones"].astype(np.float64)
    keys, firsts = [], []
    for places in itertools.combinations(range(1, size + 2), size - 1):
        count = max(len(peaks) - places[-1], 0)
        members = [slice(place, place + count) for place in (0, *places)]
        gaps = [seconds[later] - seconds[earlier] for earlier, later in itertools.pairwise(members)]
        used = np.all([gap >= LEAST_GAP_SECONDS for gap in gaps], axis=0)
        used &= np.sum(gaps, axis=0) <= LONGEST_SECONDS
        first = semitones[members[0]]
        key = np.round(first / PITCH_STEP).astype(np.uint64)
        for member in members[1:]:
            interval = np.round((semitones[member] - first + WIDEST_INTERVAL) / INTERVAL_STEP).astype(np.uint64)
            key = (key << np.uint64(8)) | interval
        for gap in gaps:
            key = (key << np.uint64(6)) | np.round(np.minimum(gap, LONGEST_SECONDS) / TIME_STEP).astype(np.uint64)
        keys.append(key[used])
        firsts.append(np.flatnonzero(used))
    return np.concatenate(keys), np.concatenate(firsts)


def _peaks(samples: Float32[np.ndarray, " T"], first_hop: int, margin: int) -> Peaks:
    """Return the peaks of the hops inside the margins."""
    import scipy.fft  # here: a process that only compares fingerprints starts without it

    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_FRAMES)[::HOP_FRAMES]
    window = np.hanning(WINDOW_FRAMES).astype(np.float32) * np.float32(2 / WINDOW_FRAMES)
    power = np.empty((len(frames), HIGHEST_BIN - LOWEST_BIN + 2), dtype=np.float32)
    for first in range(0, len(frames), CACHED_HOPS):
        some = slice(first, first + CACHED_HOPS)
        spectrum = scipy.fft.rfft(frames[some] * window, axis=1)[:, LOWEST_BIN - 1 : HIGHEST_BIN + 1]
        power[some] = np.log(spectrum.real**2 + spectrum.imag**2 + np.float32(FLOOR / 10))
    hop, column = _highest(power, np.log(FLOOR))
    used = (hop >= margin) & (hop < margin + CHUNK_HOPS) & (column > 0) & (column < power.shape[1] - 1)
    hop, column = hop[used], column[used]
    hops = first_hop + hop - margin + _vertex(power[hop - 1, column], power[hop, column], power[hop + 1, column])
    bins = LOWEST_BIN - 1 + column + _vertex(power[hop, column - 1], power[hop, column], power[hop, column + 1])
    peaks = np.empty(len(hop), dtype=PEAK)
    peaks["seconds"] = hops * (HOP_FRAMES / SAMPLE_RATE)
    peaks["semitones"] = 12 * np.log2(bins * (SAMPLE_RATE / WINDOW_FRAMES / REFERENCE_HERTZ))
    return peaks


def _highest(
    power: Float32[np.ndarray, "H B"], floor: float
) -> tuple[Int64[np.ndarray, " N"], Int64[np.ndarray, " N"]]:
    """Return hop and bin of the cells above ``floor`` that no cell within `REACH_HOPS` and `REACH_BINS` exceeds.

    The cells that `scipy.ndimage.maximum_filter` leaves as they are, in a tenth of the time. A cell's block and the
    eight blocks around it lie within its reach, so only the maximum of nine blocks can be such a cell: a few hundred
    candidates, whose whole neighbourhoods are then compared.
    """
    hops, bins = power.shape
    rows, columns = -(-hops // BLOCK_HOPS), -(-bins // BLOCK_BINS)
    before, after = (REACH_HOPS, REACH_BINS), (BLOCK_HOPS + REACH_HOPS, BLOCK_BINS + REACH_BINS)
    padded = np.pad(power, list(zip(before, after, strict=True)), constant_values=-np.inf)
    inner = padded[REACH_HOPS:][: rows * BLOCK_HOPS, REACH_BINS:][:, : columns * BLOCK_BINS]
    blocks = inner.reshape(rows, BLOCK_HOPS, columns, BLOCK_BINS).max(axis=1).max(axis=-1)  # (rows, columns)
    around = np.pad(blocks, 1, constant_values=-np.inf)
    around = np.maximum(np.maximum(around[:-2], around[1:-1]), around[2:])
    around = np.maximum(np.maximum(around[:, :-2], around[:, 1:-1]), around[:, 2:])
    row, column = np.nonzero((blocks == around) & (blocks > floor))
    tiles = np.lib.stride_tricks.sliding_window_view(inner, (BLOCK_HOPS, BLOCK_BINS))
    number, down, right = np.nonzero(tiles[row * BLOCK_HOPS, column * BLOCK_BINS] == blocks[row, column][:, None, None])
    hop, bin_ = row[number] * BLOCK_HOPS + down, column[number] * BLOCK_BINS + right
    along_hops = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH_HOPS + 1, axis=0)
    highest = along_hops[hop, bin_ + REACH_BINS].max(axis=1) == power[hop, bin_]  # leaves few for the whole comparison
    hop, bin_ = hop[highest], bin_[highest]
    neighbourhoods = np.lib.stride_tricks.sliding_window_view(padded, (2 * REACH_HOPS + 1, 2 * REACH_BINS + 1))
    highest = neighbourhoods[hop, bin_].max(axis=(1, 2)) == power[hop, bin_]
    hop, bin_ = hop[highest], bin_[highest]
    order = np.lexsort((bin_, hop))
    return hop[order], bin_[order]


def _vertex(
    before: Float32[np.ndarray, " N"], top: Float32[np.ndarray, " N"], after: Float32[np.ndarray, " N"]
) -> Float32[np.ndarray, " N"]:
    """Return the vertex of the parabola through three neighbours, relative to the middle one: -0.5 to 0.5."""
    curvature = before - 2 * top + after
    slope = 0.5 * (before - after)
    vertex: Float32[np.ndarray, " N"] = np.where(curvature < 0, slope / np.minimum(curvature, -1e-9), 0)
    return vertex
