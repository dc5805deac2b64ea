"""Filter bank of the scattering transform, with kymatio's parameters.

J = 8 and Q = 8 at 16 kHz: 54 Morlet filters of order 1, 9 of order 2 and a Gaussian low-pass. The output of a filter
is sampled at 2^-k of the audio's rate; `sampling_octaves` gives k. A bank is made for blocks of one length. The page
docs/background/scattering.md has a figure of filters, groups and sampling.
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
"""Length of a piece. Its FFT is twice as fast per sample as one of 2^17."""

PIECE_CONTEXT_FRAMES = 512
"""Context on each side of a piece: 5.4 standard deviations of the longest cascade of order 1 and 2 within pieces."""

FAST_OCTAVES = 3
"""Filters of order 1 with j1 below this are computed in pieces, the others in whole blocks."""

AUDIO_J = 2
"""Whole blocks take the audio at 2^-2 of its rate, which covers the bands of the filters with j1 >= 3."""

ENVELOPE_J = 4
"""Whole blocks take the envelopes of pieces at 2^-4 of the rate, enough for low-pass and filters with j2 > 4."""

WHOLE_FILTER_FRAMES = 1 << 14
"""Length at which no filter is cut off: the longest has a standard deviation of 408 samples."""

SPARSEST_FIRST_ORDER, SPARSEST_SECOND_ORDER = 6, 7
"""Largest k of sparse sampling for each order; the low-pass needs at least these rates."""

SPARSEST_IN_PIECES = 5
"""Largest k in pieces; the moments of a hop need at least this rate."""

SECOND_ORDER_BELOW, SECOND_ORDER_ABOVE = 5.5, 7.7
"""Band of a filter of order 2 below and above 0 Hz, in standard deviations; its centre is at 2.5."""

HOPS_BEFORE = 10
SPAN_HOPS = 2 * HOPS_BEFORE
"""Hops that a coefficient averages; beyond them the low-pass is under 1e-8 of its peak."""

MOMENTS = 8
"""Moments of a hop: within a hop a polynomial of degree 7 equals the low-pass to 1e-8 of its peak."""


@lru_cache(maxsize=1)
def filter_parameters() -> tuple[list[tuple[float, float, int]], list[tuple[float, float, int]], float]:
    """Return (xi, sigma, j) of kymatio's filters of order 1 and 2, and the low-pass's sigma, in cycles per sample."""
    from kymatio.scattering1d.filter_bank import compute_params_filterbank

    sigma0 = 0.1
    first, second = (
        [(float(xi), float(sigma), int(j)) for xi, sigma, j in zip(*parameters, strict=True)]
        for parameters in (compute_params_filterbank(sigma0 / 2**J, quality, 5.0) for quality in (Q, 1))
    )
    return first, second, sigma0 / 2**J


def paths() -> list[tuple[int, int, int]]:
    """Return (channel, n1, n2) of every coefficient; n2 is -1 for order 1.

    Channel 0 is order 1; channel c > 0 is the filter n2 = c + 2 of order 2.

    A second-order path exists where j2 > j1. n1 = 0 is the highest frequency.
    """
    first, second, _ = filter_parameters()
    found = [(0, n1, -1) for n1 in range(len(first))]
    kept = [n2 for n2 in range(len(second)) if any(second[n2][2] > j1 for _, _, j1 in first)]
    for channel, n2 in enumerate(kept, start=1):
        found += [(channel, n1, n2) for n1 in range(len(first)) if second[n2][2] > first[n1][2]]
    return found


@dataclass(frozen=True)
class FirstOrderGroup:
    """Neighbouring filters of order 1 whose envelopes are sampled at 2^-k of the audio's rate.

    ``rows``: the filters n1. ``starts``: the first bin of each filter's band in the audio's spectrum. A band has as
    many bins as its envelope has samples.
    """

    name: str
    rows: slice
    k: int
    starts: tuple[int, ...]


@dataclass(frozen=True)
class SecondOrderFilter:
    """A filter of order 2 for the first ``rows`` envelopes of a group, with output at 2^-k of the audio's rate.

    ``channel``: index of its coefficients among the requested channels. ``below``: number of its bins below 0 Hz.
    """

    name: str
    channel: int
    rows: int
    k: int
    below: int

    def rows_of(self, group: FirstOrderGroup) -> slice:
        """Return the filters n1 of ``group`` whose envelopes this filter takes."""
        return slice(group.rows.start, group.rows.start + self.rows)


@dataclass(frozen=True)
class FilterBank:
    """Filters of the transform for blocks of one length, in the order in which they are applied.

    ``fast``: groups computed in pieces. ``all_fast``: the envelopes of these groups together, at 2^-ENVELOPE_J of the
    rate, for the filters of order 2 that are long in time. ``slow``: groups computed in whole blocks. ``second``: the
    filters of order 2 by the name of their group. ``constants``: frequency responses by the name of group or filter.
    """

    fast: tuple[FirstOrderGroup, ...]
    all_fast: FirstOrderGroup
    slow: tuple[FirstOrderGroup, ...]
    second: dict[str, tuple[SecondOrderFilter, ...]]
    constants: dict[str, Tensor]


def sampling_octaves(sampling: Sampling) -> tuple[list[int], list[int]]:
    """Return k of the rates 2^-k at which the outputs of the filters of order 1 and 2 are sampled.

    ``kymatio``: kymatio's own rates, which follow the centre frequency. ``sparse``: a quarter of them. The bandwidth of
    an envelope is that of its filter; sparse sampling has at least 10 samples per second for each hertz of standard
    deviation of a filter of order 1, and 7 for order 2.
    """
    first, second, _ = filter_parameters()
    if sampling == "kymatio":
        return [j for _, _, j in first], [j for _, _, j in second]
    return [min(j + 2, SPARSEST_FIRST_ORDER) for _, _, j in first], [
        min(j + 2, SPARSEST_SECOND_ORDER) for _, _, j in second
    ]


@lru_cache(maxsize=4)
def filter_bank(block_frames: int, sampling: Sampling, channels: tuple[int, ...] = ALL_CHANNELS) -> FilterBank:
    """Return the filters for blocks of one length; cached in the process.

    Filters of order 1 and 2 hold each value twice, for the real and the imaginary part of a bin. They include the scale
    of the inverse FFT, which is computed unscaled (``norm="forward"``). ``channels``: the requested channels, 0
    (order 1) first; filters of order 2 for other channels are left out.
    """
    _, _, lowpass = filter_parameters()
    constants: dict[str, np.ndarray] = {}
    fast, slow = _first_order_groups(block_frames, sampling, constants)
    all_fast = FirstOrderGroup("fast", slice(0, fast[-1].rows.stop), ENVELOPE_J, ())

    def order_2(group: FirstOrderGroup, frames: int, octaves: range) -> tuple[SecondOrderFilter, ...]:
        return _second_order_filters(group, frames, octaves, sampling, channels, constants)

    seconds = {group.name: order_2(group, PIECE_FRAMES, range(1, ENVELOPE_J + 1)) for group in fast}
    seconds[all_fast.name] = order_2(all_fast, block_frames, range(ENVELOPE_J + 1, J))
    seconds |= {group.name: order_2(group, block_frames, range(1, J)) for group in slow}
    constants |= {
        f"moments_{second.k}": _moment_polynomials(second.k) for group in fast for second in seconds[group.name]
    }
    constants["audio"] = _decimation_lowpass(0.059, AUDIO_J) / PIECE_FRAMES
    constants["average"] = _moment_weights(lowpass)
    frequency = np.arange(block_frames // 512 + 1) / block_frames
    constants["lowpass"] = np.exp(-(frequency**2) / (2 * lowpass**2))
    return FilterBank(
        fast, all_fast, slow, seconds, {name: _float32_tensor(constant) for name, constant in constants.items()}
    )


def _first_order_groups(
    block_frames: int, sampling: Sampling, constants: dict[str, np.ndarray]
) -> tuple[tuple[FirstOrderGroup, ...], tuple[FirstOrderGroup, ...]]:
    """Return the groups of order 1 in pieces and in whole blocks, and add their responses to ``constants``.

    A piece has the full spectrum from 0 Hz up, so a band may extend beyond the Nyquist frequency. A whole block has its
    spectrum shifted, with 0 Hz in the middle, so a band may extend below 0 Hz.
    """
    first, _, _ = filter_parameters()
    rates, _ = sampling_octaves(sampling)
    groups: dict[bool, list[FirstOrderGroup]] = {True: [], False: []}
    for (fast, k), members in itertools.groupby(range(len(first)), lambda n: (first[n][2] < FAST_OCTAVES, rates[n])):
        rows = list(members)
        frames, bins = (PIECE_FRAMES, PIECE_FRAMES) if fast else (block_frames, block_frames >> AUDIO_J)
        # `points` bins around the centre of each filter, moved inside the spectrum where they would leave it.
        points, lowest = frames >> k, 0 if fast else -bins // 2
        centred = [round(first[n][0] * frames) - points // 2 for n in rows]
        starts = [min(max(start, lowest), lowest + bins - points) for start in centred]
        name = f"{'fast' if fast else 'slow'}_{k}"
        groups[fast].append(
            FirstOrderGroup(name, slice(rows[0], rows[-1] + 1), k, tuple(start - lowest for start in starts))
        )
        # (rows, 2 points): each bin twice, scaled for the inverse FFT.
        bands = [_morlet_band(*first[n][:2], frames, start, points) for n, start in zip(rows, starts, strict=True)]
        constants[name] = np.stack(bands).repeat(2, axis=1) / bins
        if fast and k < ENVELOPE_J:
            constants[f"{name}_low"] = _decimation_lowpass(0.0083, ENVELOPE_J) / points
    return tuple(groups[True]), tuple(groups[False])


def _second_order_filters(
    group: FirstOrderGroup,
    frames: int,
    octaves: range,
    sampling: Sampling,
    channels: tuple[int, ...],
    constants: dict[str, np.ndarray],
) -> tuple[SecondOrderFilter, ...]:
    """Return the filters of order 2 with j2 in ``octaves`` for a group, and add their responses to ``constants``.

    A response is (folds, 2 points): a band that is wider than the output's rate is folded to that rate. Below 0 Hz the
    imaginary parts are negated, because these values multiply the mirrored spectrum.
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
        folds = min(math.ceil((SECOND_ORDER_BELOW + SECOND_ORDER_ABOVE) * sigma * frames / points), envelope // points)
        start = min(
            max(-math.ceil(SECOND_ORDER_BELOW * sigma * frames), -envelope // 2), envelope // 2 - folds * points
        )
        name = f"{group.name}_{n2}"
        # (folds, 2 points): each bin twice, the imaginary parts below 0 Hz negated.
        band = _morlet_band(xi, sigma, frames, start, folds * points) / envelope
        pairs = band.repeat(2)
        pairs[1 : -2 * start : 2] *= -1
        constants[name] = pairs.reshape(folds, 2 * points)
        found.append(SecondOrderFilter(name, channels.index(n2 - 2), rows, k, -start))
    return tuple(found)


def _float32_tensor(constant: np.ndarray) -> Tensor:
    # Arithmetic on numbers too small for a normal float32 can be many times slower than on zeros.
    kept = np.where(np.abs(constant) < 1e-12 * np.abs(constant).max(), 0, constant)
    return torch.from_numpy(np.ascontiguousarray(kept, dtype=np.float32))


def _morlet_band(xi: float, sigma: float, frames: int, start: int, points: int) -> np.ndarray:
    """Return a periodic Morlet filter (points,) at the bins from ``start`` on of an FFT of ``frames`` points.

    kymatio computes all bins of a filter and scales them to an L1 norm of 1 in time. Here the scale comes from a short
    filter of kymatio, and the bins from its formula: a Gaussian minus a second one at 0 Hz, so that the mean is zero.
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


def _decimation_lowpass(highest: float, j: int) -> np.ndarray:
    """Return the response (bins,) of a low-pass that is flat up to ``highest`` and allows sampling at 2^-j of the rate.

    The transition is the integral of a Gaussian, 5.2 standard deviations on either side. It ends at 1e-7 and is short
    in time.
    """
    rate = 2.0**-j
    frequency = np.arange((PIECE_FRAMES >> j) // 2 + 1) / PIECE_FRAMES
    middle, deviation = (rate / 2 + highest) / 2, (rate / 2 - highest) / 2 / 5.2
    return np.array([math.erfc((f - middle) / deviation / math.sqrt(2)) / 2 for f in frequency])


def _hop_positions(j: int) -> np.ndarray:
    """Return the positions in a hop, from -1 to 1, of its samples at 2^-j of the rate."""
    length = SCATTERING_HOP_FRAMES >> j
    places: np.ndarray = 2 * np.arange(length) / length - 1
    return places


def _moment_polynomials(j: int) -> np.ndarray:
    """Return the Chebyshev polynomials (MOMENTS, 256 >> j) at a hop's samples; times a hop they give its moments."""
    polynomials: np.ndarray = chebyshev.chebvander(_hop_positions(j), MOMENTS - 1).T * 2**j
    return polynomials


def _moment_weights(sigma: float) -> np.ndarray:
    """Return the low-pass as weights (SPAN_HOPS, MOMENTS) of moments.

    Row k is for the hop that starts k - HOPS_BEFORE hops after the coefficient.
    """
    places = _hop_positions(0)
    starts = np.arange(-HOPS_BEFORE, HOPS_BEFORE)[:, None]
    offsets = (starts + (places + 1) / 2) * SCATTERING_HOP_FRAMES
    width = 1 / (2 * math.pi * sigma)
    gaussian = np.exp(-(offsets**2) / (2 * width**2)) / (width * math.sqrt(2 * math.pi))
    coefficients: np.ndarray = chebyshev.chebfit(places, gaussian.T, MOMENTS - 1)
    return coefficients.T
