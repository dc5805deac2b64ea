"""The filters of the scattering transform: kymatio's parameters, as the constants that `scattering` multiplies with.

J = 8 and Q = 8 at 16 kHz: 54 Morlet filters of order 1, 9 of order 2 and a Gaussian low-pass. The output of a filter
is sampled at 2^-k of the audio's rate; `sampling_octaves` says k. A bank is made for blocks of one length.
"""

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from remix_miner.detector.windows import SCATTERING_HOP_FRAMES
from remix_miner.device import Sampling

J = 8
Q = 8
FIRST_ORDER = 54
CHANNELS = 7
ALL_CHANNELS = tuple(range(CHANNELS))

PIECE_FRAMES = 8192
"""Blocks of filters that are short in time: the transforms of this length are twice as fast as those of 2^17."""

PIECE_CONTEXT_FRAMES = 512
"""5.4 deviations of the longest impulse response of order 1 and 2 in a row that is computed in pieces."""

FAST_OCTAVES = 3
"""Filters of order 1 with j1 below this are computed in pieces, the others in whole blocks."""

AUDIO_J = 2
"""Whole blocks hear the audio at 2^-2 of its rate: all that the filters with j1 >= 3 pass."""

ENVELOPE_J = 4
"""Envelopes from pieces go on at 2^-4 of the rate: all that order 1's average and the filters with j2 > 4 pass."""

WHOLE_FILTER_FRAMES = 1 << 14
"""A filter that is this long in time holds all of itself; the longest has a deviation of 408 samples."""

SPARSEST_FIRST, SPARSEST_SECOND = 6, 7
"""Sparse samples are not further apart than 2^6 and 2^7, as the low-pass still needs them."""

SPARSEST_IN_PIECES = 5
"""Nor than 2^5 in pieces, where they become moments."""

BELOW, ABOVE = 5.5, 7.7
"""Deviations below and above 0 within which a filter of order 2 lies; it is centred at 2.5."""

HOPS_BEFORE = 10
SPAN_HOPS = 2 * HOPS_BEFORE
"""A coefficient averages so many hops around it; further out the low-pass is under 1e-8 of its peak."""

MOMENTS = 8
"""Within a hop, the low-pass is a polynomial of degree 7 to 1e-8 of its peak."""


@lru_cache(maxsize=1)
def filter_parameters() -> tuple[list[tuple[float, float, int]], list[tuple[float, float, int]], float]:
    """(xi, sigma, j) of the filters of order 1 and 2, and the low-pass's sigma, in cycles per sample: kymatio's."""
    from kymatio.scattering1d.filter_bank import compute_params_filterbank

    sigma0 = 0.1
    first, second = (
        [(float(xi), float(sigma), int(j)) for xi, sigma, j in zip(*parameters, strict=True)]
        for parameters in (compute_params_filterbank(sigma0 / 2**J, quality, 5.0) for quality in (Q, 1))
    )
    return first, second, sigma0 / 2**J


def paths() -> list[tuple[int, int, int]]:
    """(channel, n1, n2) of every coefficient, n2 = -1 for order 1: channel 0 is order 1, channel k is n2 = k + 2.

    A second-order path exists where j2 > j1. n1 = 0 is the highest frequency.
    """
    first, second, _ = filter_parameters()
    found = [(0, n1, -1) for n1 in range(len(first))]
    kept = [n2 for n2 in range(len(second)) if any(second[n2][2] > j1 for _, _, j1 in first)]
    for channel, n2 in enumerate(kept, start=1):
        found += [(channel, n1, n2) for n1 in range(len(first)) if second[n2][2] > first[n1][2]]
    return found


@dataclass(frozen=True)
class Group:
    """Neighbouring filters of order 1 whose envelopes are sampled at 2^-k of the audio's rate.

    ``starts``: for each, the first of the bins of the audio's spectrum that it passes, as many as there are samples.
    """

    name: str
    rows: slice
    k: int
    starts: tuple[int, ...]


@dataclass(frozen=True)
class Second:
    """A filter of order 2 for the first ``rows`` envelopes of a group, sampled at 2^-k.

    ``channel``: where its coefficients go among those that are wanted; ``below``: how many of its bins are below zero
    frequency.
    """

    name: str
    channel: int
    rows: int
    k: int
    below: int

    def rows_of(self, group: Group) -> slice:
        return slice(group.rows.start, group.rows.start + self.rows)


@dataclass(frozen=True)
class FilterBank:
    """The transform of blocks of one length: the order of the work, and the constants that it multiplies with.

    ``fast``: groups computed in pieces; ``all_fast``: their envelopes together, at 2^-ENVELOPE_J, for the filters of
    order 2 that are long in time; ``slow``: in whole blocks. ``second``: by the group's name.
    """

    fast: tuple[Group, ...]
    all_fast: Group
    slow: tuple[Group, ...]
    second: dict[str, tuple[Second, ...]]
    constants: dict[str, Tensor]


def sampling_octaves(sampling: Sampling) -> tuple[list[int], list[int]]:
    """k of the rates 2^-k at which the outputs of the filters of order 1 and 2 are sampled.

    ``kymatio``: where kymatio samples them, which follows a filter's frequency. ``sparse``: at a quarter of that. An
    envelope varies as fast as its filter is wide; these are 10 samples a second and more for each hertz of deviation
    of a filter of order 1, 7 for one of order 2.
    """
    first, second, _ = filter_parameters()
    if sampling == "kymatio":
        return [j for _, _, j in first], [j for _, _, j in second]
    return [min(j + 2, SPARSEST_FIRST) for _, _, j in first], [min(j + 2, SPARSEST_SECOND) for _, _, j in second]


@lru_cache(maxsize=4)
def filter_bank(block_frames: int, sampling: Sampling, channels: tuple[int, ...] = ALL_CHANNELS) -> FilterBank:
    """Every constant of the transform, made once a process. Inverse transforms are left unscaled (``forward``).

    Filters of order 1 and 2 hold each value twice, for the real and the imaginary part of a bin. ``channels``: those
    that are wanted, order 1 (0) the first of them; a filter of order 2 for another is left out.
    """
    _, _, lowpass = filter_parameters()
    constants: dict[str, np.ndarray] = {}
    fast, slow = _groups(block_frames, sampling, constants)
    all_fast = Group("fast", slice(0, fast[-1].rows.stop), ENVELOPE_J, ())

    def order_2(group: Group, frames: int, octaves: range) -> tuple[Second, ...]:
        return _seconds(group, frames, octaves, sampling, channels, constants)

    seconds = {group.name: order_2(group, PIECE_FRAMES, range(1, ENVELOPE_J + 1)) for group in fast}
    seconds[all_fast.name] = order_2(all_fast, block_frames, range(ENVELOPE_J + 1, J))
    seconds |= {group.name: order_2(group, block_frames, range(1, J)) for group in slow}
    constants |= {f"moments_{one.k}": _moments(one.k) for group in fast for one in seconds[group.name]}
    constants["audio"] = _passing(0.059, AUDIO_J) / PIECE_FRAMES
    constants["average"] = _average_of_moments(lowpass)
    frequency = np.arange(block_frames // 512 + 1) / block_frames
    constants["lowpass"] = np.exp(-(frequency**2) / (2 * lowpass**2))
    return FilterBank(fast, all_fast, slow, seconds, {name: _ready(constant) for name, constant in constants.items()})


def _groups(
    block_frames: int, sampling: Sampling, constants: dict[str, np.ndarray]
) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    """The filters of order 1 that are computed in pieces, and those in whole blocks, with their ``constants``.

    Pieces have the spectrum of real audio as it is, twice over, so that a band may go on beyond the highest frequency;
    whole blocks have zero frequency in the middle, so that one may go on below the lowest.
    """
    first, _, _ = filter_parameters()
    rates, _ = sampling_octaves(sampling)
    groups: dict[bool, list[Group]] = {True: [], False: []}
    for (fast, k), members in itertools.groupby(range(len(first)), lambda n: (first[n][2] < FAST_OCTAVES, rates[n])):
        rows = list(members)
        frames, bins = (PIECE_FRAMES, PIECE_FRAMES) if fast else (block_frames, block_frames >> AUDIO_J)
        points, lowest = frames >> k, 0 if fast else -bins // 2
        centred = [round(first[n][0] * frames) - points // 2 for n in rows]
        starts = [min(max(start, lowest), lowest + bins - points) for start in centred]
        name = f"{'fast' if fast else 'slow'}_{k}"
        groups[fast].append(Group(name, slice(rows[0], rows[-1] + 1), k, tuple(start - lowest for start in starts)))
        bands = [_band(*first[n][:2], frames, start, points) for n, start in zip(rows, starts, strict=True)]
        constants[name] = np.stack(bands).repeat(2, axis=1) / bins
        if fast and k < ENVELOPE_J:
            constants[f"{name}_low"] = _passing(0.0083, ENVELOPE_J) / points
    return tuple(groups[True]), tuple(groups[False])


def _seconds(
    group: Group,
    frames: int,
    octaves: range,
    sampling: Sampling,
    channels: tuple[int, ...],
    constants: dict[str, np.ndarray],
) -> tuple[Second, ...]:
    """The filters of order 2 with j2 in ``octaves`` for the envelopes of a group, with their ``constants``.

    A constant is (folds, 2 points): a band that is wider than its rate is folded, for its output to have that rate.
    Below zero frequency the imaginary parts are negative, since it is the mirrored spectrum that they multiply.
    """
    first, second, _ = filter_parameters()
    _, rates = sampling_octaves(sampling)
    envelope = frames >> group.k
    found = []
    for n2, (xi, sigma, j2) in enumerate(second):
        rows = sum(j1 < j2 for _, _, j1 in first[group.rows])
        if j2 not in octaves or not rows or n2 - 2 not in channels:
            continue
        k = max(min(rates[n2], SPARSEST_IN_PIECES) if frames == PIECE_FRAMES else rates[n2], group.k)
        points = frames >> k
        folds = min(math.ceil((BELOW + ABOVE) * sigma * frames / points), envelope // points)
        start = min(max(-math.ceil(BELOW * sigma * frames), -envelope // 2), envelope // 2 - folds * points)
        name = f"{group.name}_{n2}"
        band = _band(xi, sigma, frames, start, folds * points) / envelope
        pairs = band.repeat(2)
        pairs[1 : -2 * start : 2] *= -1
        constants[name] = pairs.reshape(folds, 2 * points)
        found.append(Second(name, channels.index(n2 - 2), rows, k, -start))
    return tuple(found)


def _ready(constant: np.ndarray) -> Tensor:
    # Arithmetic on numbers too small for a normal float32 can be many times slower than on zeros.
    kept = np.where(np.abs(constant) < 1e-12 * np.abs(constant).max(), 0, constant)
    return torch.from_numpy(np.ascontiguousarray(kept, dtype=np.float32))


def _band(xi: float, sigma: float, frames: int, start: int, points: int) -> np.ndarray:
    """A Morlet filter at the bins from ``start`` on of a transform of ``frames`` points, hence periodic.

    kymatio makes all bins of a filter at a time, scaled to a sum of 1 in time. That scale is taken from a short filter
    of its making; the bins that are needed follow from its formula, a Gaussian less what makes it vanish at 0.
    """
    from kymatio.scattering1d.filter_bank import morlet_1d

    def morlet(frequency: np.ndarray) -> np.ndarray:
        shifted = frequency[:, None] + np.arange(-2, 3)
        band, low = (np.exp(-((shifted - centre) ** 2) / (2 * sigma**2)).sum(axis=1) for centre in (xi, 0.0))
        vanishing: np.ndarray = band - low * math.exp(-(xi**2) / (2 * sigma**2))
        return vanishing

    peak = round(xi * WHOLE_FILTER_FRAMES)
    whole = np.asarray(morlet_1d(WHOLE_FILTER_FRAMES, xi, sigma)).real
    scale = whole[peak] / morlet(np.array([peak / WHOLE_FILTER_FRAMES]))[0]
    return morlet(np.arange(start, start + points) / frames) * float(scale)


def _passing(highest: float, j: int) -> np.ndarray:
    """What keeps a piece's spectrum up to ``highest`` as it is and can be sampled at 2^-j of the rate.

    In between it falls as the integral of a Gaussian, 5.2 deviations on either side: to 1e-7, and short in time.
    """
    rate = 2.0**-j
    frequency = np.arange((PIECE_FRAMES >> j) // 2 + 1) / PIECE_FRAMES
    middle, deviation = (rate / 2 + highest) / 2, (rate / 2 - highest) / 2 / 5.2
    return np.array([math.erfc((f - middle) / deviation / math.sqrt(2)) / 2 for f in frequency])


def _places(j: int) -> np.ndarray:
    """Where a hop's samples at 2^-j of the rate lie in it, from -1 to 1."""
    length = SCATTERING_HOP_FRAMES >> j
    places: np.ndarray = 2 * np.arange(length) / length - 1
    return places


def _moments(j: int) -> np.ndarray:
    """(MOMENTS, 256 >> j): the Chebyshev polynomials at a hop's samples; what a hop is to any smooth average of it."""
    polynomials: np.ndarray = chebyshev.chebvander(_places(j), MOMENTS - 1).T * 2**j
    return polynomials


def _average_of_moments(sigma: float) -> np.ndarray:
    """(SPAN_HOPS, MOMENTS): row k weighs the moments of the hop that starts k - HOPS_BEFORE hops after the output."""
    places = _places(0)
    starts = np.arange(-HOPS_BEFORE, HOPS_BEFORE)[:, None]
    offsets = (starts + (places + 1) / 2) * SCATTERING_HOP_FRAMES
    width = 1 / (2 * math.pi * sigma)
    gaussian = np.exp(-(offsets**2) / (2 * width**2)) / (width * math.sqrt(2 * math.pi))
    coefficients: np.ndarray = chebyshev.chebfit(places, gaussian.T, MOMENTS - 1)
    return coefficients.T
