"""Matching of fingerprints: an index proposes pairs, and an alignment in time decides.

Groups of peaks of different songs are sometimes equal by chance. Only in copies of one recording do many of them lie on
one line ``seconds in the second = speed * seconds in the first + offset``.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt32, UInt64

from remix_miner.duplicates.fingerprints import Peaks, groups

LEAST_MATCHED_SECONDS = 5
"""Least number of distinct seconds with common peaks in one recording; docs/guide/duplicates.md has its choice."""

COMPARED_PEAKS, INDEXED_PEAKS = 3, 4
"""Peaks per group: three to compare two tracks; four, which are far more rarely equal by chance, to propose pairs."""

SPEEDS = 1 + np.arange(-8, 9) / 400
"""Tested speeds of the second relative to the first: 2% slower to 2% faster."""
OFFSET_STEP = 0.15
"""Seconds. Groups agree on an offset when they fall into the same or the next step."""
PITCH_TOLERANCE = 0.4
"""Semitones between the pitch that the speed implies and that of the first peaks of two groups."""
MOST_REPEATS = 16
"""Occurrences of a group in one track that are compared, at most."""

INDEXED_SHARE = 2
"""The index holds one key in this many, the same keys of every track."""
LEAST_COMMON = 2
"""Keys that two tracks must have in common in the index to be proposed."""
KEYS_AT_ONCE = 20_000_000
"""Number of keys that are sorted together, which bounds the memory."""
COPY_SHARE = 0.01
"""Least share of common keys, of those of the shorter track, in copies. Copies have 7% and more, other songs 0.1%."""
LARGEST_CROWD = 200
"""A key that occurs more often in the index is a common sound and proposes no pairs."""


@dataclass(frozen=True)
class Match:
    """Alignment of two fingerprints: ``seconds in the second = speed * seconds in the first + offset_seconds``."""

    matched_seconds: int
    """Number of whole seconds of the first in which aligned common groups begin."""
    start_seconds: float
    end_seconds: float
    """The part of the first from its first to its last common group."""
    speed: float
    offset_seconds: float

    @property
    def same_recording(self) -> bool:
        return self.matched_seconds >= LEAST_MATCHED_SECONDS


NOTHING = Match(0, 0.0, 0.0, 1.0, 0.0)


def match(first: Peaks, second: Peaks) -> Match:
    """Return the best alignment of two fingerprints. A track without peaks matches no other."""
    of_first, of_second = _common(first, second)
    here, there = (peaks["seconds"].astype(np.float64) for peaks in (first[of_first], second[of_second]))
    risen = second["semitones"][of_second].astype(np.float64) - first["semitones"][of_first]
    best, most = NOTHING, (0, 0)
    for speed in sorted(SPEEDS, key=lambda speed: abs(speed - 1)):  # of several that serve as well, the one nearest 1
        in_tune = np.abs(risen + 12 * np.log2(speed)) <= PITCH_TOLERANCE
        times, offsets = here[in_tune], there[in_tune] - speed * here[in_tune]
        aligned = _aligned(times, offsets)
        matched = len(np.unique(np.floor(times[aligned])))
        if (matched, aligned.sum()) > most:
            most = (matched, int(aligned.sum()))
            start, end = float(times[aligned].min()), float(times[aligned].max())
            best = Match(matched, start, end, float(speed), float(np.median(offsets[aligned])))
    return best


def proposed_pairs(
    fingerprints: Sequence[Peaks],
) -> tuple[Int64[np.ndarray, "P 2"], Float64[np.ndarray, " P"]]:
    """Return the pairs (i < j) of fingerprints with common keys, in order, and the share of common keys.

    The share refers to the indexed keys of the fingerprint with fewer. From `COPY_SHARE` on, one may be a copy of the
    other; below it, a part may be.

    Memory: 4 bytes per indexed key, of which a second of music has 10, and about 1 GB in addition.
    """
    keys = [indexed_keys(peaks) for peaks in fingerprints]
    parts = 1 + sum(map(len, keys)) // KEYS_AT_ONCE
    edges = np.arange(parts + 1, dtype=np.uint64) * np.uint64(1 << 32) // np.uint64(parts)
    found = [np.zeros(0, dtype=np.int64)]
    for low, high in itertools.pairwise(edges):
        within = [key[slice(*np.searchsorted(key, [low, high]))] for key in keys]
        found += _in_common(within)
    codes, common = np.unique(np.concatenate(found), return_counts=True)
    enough = common >= LEAST_COMMON
    pairs = np.stack(np.divmod(codes[enough], max(len(fingerprints), 1)), axis=1)
    number_of_keys = np.array([len(of_track) for of_track in keys], dtype=np.float64)
    return pairs, common[enough] / number_of_keys[pairs].min(axis=1, initial=np.inf)


def indexed_keys(peaks: Peaks) -> UInt32[np.ndarray, " N"]:
    """Return the keys of a fingerprint in the index, each once: a loop that repeats counts as its first time."""
    mixed = np.unique(_mixed(groups(peaks, INDEXED_PEAKS)[0]))
    indexed: UInt32[np.ndarray, " N"] = mixed[mixed % INDEXED_SHARE == 0]
    return indexed


class Index:
    """Index of fingerprints that proposes those with which another one has keys in common."""

    def __init__(self, fingerprints: Sequence[Peaks]) -> None:
        keys = [indexed_keys(peaks) for peaks in fingerprints]
        joined = np.concatenate([np.zeros(0, dtype=np.uint32), *keys])
        order = np.argsort(joined, kind="stable")
        self._keys = joined[order]
        self._owners = np.repeat(np.arange(len(keys)), [len(of_one) for of_one in keys])[order]
        self._count = len(keys)

    def proposed(self, peaks: Peaks) -> Int64[np.ndarray, " N"]:
        """Return the numbers of the fingerprints with `LEAST_COMMON` keys of ``peaks`` or more, in order."""
        keys = indexed_keys(peaks)
        low, high = np.searchsorted(self._keys, keys, "left"), np.searchsorted(self._keys, keys, "right")
        rare = high - low <= LARGEST_CROWD
        owners = [
            self._owners[first:after] for first, after in zip(low[rare], high[rare], strict=True) if after > first
        ]
        common = np.bincount(np.concatenate([np.zeros(0, dtype=np.int64), *owners]), minlength=self._count)
        proposed: Int64[np.ndarray, " N"] = np.flatnonzero(common >= LEAST_COMMON)
        return proposed


def _in_common(keys: Sequence[UInt32[np.ndarray, " N"]]) -> Iterator[Int64[np.ndarray, " K"]]:
    """Yield each pair of tracks with a common key, once per key, as first * tracks + second, first < second."""
    key = np.concatenate([np.zeros(0, dtype=np.uint32), *keys])
    owner = np.repeat(np.arange(len(keys)), [len(of_track) for of_track in keys])
    order = np.argsort(key, kind="stable")
    key, owner = key[order], owner[order]
    _, crowd = np.unique(key, return_counts=True)
    rare = np.repeat(crowd <= LARGEST_CROWD, crowd)
    key, owner = key[rare], owner[rare]
    # Within a run of equal keys the owners ascend, so the first of two is the lower number.
    for lag in range(1, LARGEST_CROWD):
        equal = key[lag:] == key[:-lag]
        if not equal.any():
            break
        yield owner[:-lag][equal] * len(keys) + owner[lag:][equal]


def _common(first: Peaks, second: Peaks) -> tuple[Int64[np.ndarray, " K"], Int64[np.ndarray, " K"]]:
    """Return the common groups of two fingerprints, as the index of the first peak of each group in either."""
    keys, peaks = _seldom(*groups(first, COMPARED_PEAKS))
    other_keys, other_peaks = _seldom(*groups(second, COMPARED_PEAKS))
    low, high = np.searchsorted(other_keys, keys, "left"), np.searchsorted(other_keys, keys, "right")
    count = high - low
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(peaks, count), other_peaks[np.repeat(low, count) + within]


def _seldom(
    keys: UInt64[np.ndarray, " N"], peaks: Int64[np.ndarray, " N"]
) -> tuple[UInt64[np.ndarray, " K"], Int64[np.ndarray, " K"]]:
    """Return keys in ascending order with their peaks, the first `MOST_REPEATS` of each. Loops may last for hours."""
    order = np.lexsort((peaks, keys))
    keys, peaks = keys[order], peaks[order]
    kept = np.arange(len(keys)) - np.searchsorted(keys, keys, "left") < MOST_REPEATS
    return keys[kept], peaks[kept]


def _aligned(times: Float64[np.ndarray, " N"], offsets: Float64[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Return which offsets lie in the two neighbouring steps that contain the most distinct seconds of ``times``."""
    step = np.floor(offsets / OFFSET_STEP).astype(np.int64)
    # Step and second in one number; each offset votes for the pair of steps that begins with its own, or ends with it.
    cell = (step << 32) + np.floor(times).astype(np.int64)
    steps, votes = np.unique(np.unique(np.concatenate([cell, cell - (1 << 32)])) >> 32, return_counts=True)
    if not len(steps):
        return np.zeros(0, dtype=bool)
    best = steps[np.argmax(votes)]
    aligned: Bool[np.ndarray, " N"] = (step == best) | (step == best + 1)
    return aligned


def _mixed(keys: UInt64[np.ndarray, " N"]) -> UInt32[np.ndarray, " N"]:
    """Return keys hashed to 32 bits (Fibonacci hashing), so that any share of them is a uniform sample."""
    return ((keys * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)).astype(np.uint32)
