"""The filters of the scattering transform: kymatio's parameters, as the constants that `scattering` multiplies with.

J = 8 and Q = 8 at 16 kHz: 54 Morlet filters of order 1, 9 of order 2 and a Gaussian low-pass. Filter n of order 1 or 2
is sampled at 2^-j of the audio's rate, j being the filter's own. A bank is made for blocks of one length.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from remix_miner.detector.geometry import SCATTERING_HOP_FRAMES

J = 8
Q = 8
FIRST_ORDER = 54
CHANNELS = 7

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


@lru_cache(maxsize=4)
def filter_bank(block_frames: int) -> dict[str, Tensor]:
    """Every constant of the transform of blocks of one length, made once a process.

    Inverse transforms are left unscaled (``norm="forward"``): the factors are in the filters. Spectra that are passed
    on from whole blocks have the scale of the audio's own rate.
    """
    first, second, lowpass = filter_parameters()
    bank: dict[str, np.ndarray] = {}
    for j1 in sorted({j for _, _, j in first}):
        fast = j1 < FAST_OCTAVES
        frames, scale = (PIECE_FRAMES, PIECE_FRAMES) if fast else (block_frames, (block_frames >> AUDIO_J) / 2**j1)
        filters = [_even_odd(xi, sigma, frames, j1) for xi, sigma, j in first if j == j1]
        bank[f"first_{j1}"] = np.stack(filters, axis=1) / scale
    for n2, (xi, sigma, j2) in enumerate(second):
        if j2 > FAST_OCTAVES:
            bank[f"second_{n2}"] = _even_odd(xi, sigma, block_frames, j2)[:, None] * 2**j2 / block_frames
        if 0 < j2 <= ENVELOPE_J:
            bank[f"moments_{j2}"] = _moments(j2)
            for j1 in range(min(j2, FAST_OCTAVES)):
                bank[f"second_{n2}_{j1}"] = _even_odd(xi, sigma, PIECE_FRAMES, j2)[:, None] / (PIECE_FRAMES >> j1)
    bank["audio"] = _passing(0.059, AUDIO_J) / PIECE_FRAMES
    for j1 in range(FAST_OCTAVES):
        bank[f"envelope_{j1}"] = _passing(0.0083, ENVELOPE_J) / (PIECE_FRAMES >> j1) * 2**ENVELOPE_J
    bank["average"] = _average_of_moments(lowpass)
    frequency = np.arange(block_frames // 512 + 1) / block_frames
    bank["lowpass"] = np.exp(-(frequency**2) / (2 * lowpass**2)) / block_frames
    for name, value in bank.items():
        # Arithmetic on numbers too small for a normal float32 can be many times slower than on zeros.
        bank[name] = np.where(np.abs(value) < 1e-12 * np.abs(value).max(), 0, value)
    kinds = {name: np.complex64 if np.iscomplexobj(value) else np.float32 for name, value in bank.items()}
    return {name: torch.from_numpy(np.ascontiguousarray(value, dtype=kinds[name])) for name, value in bank.items()}


def _even_odd(xi: float, sigma: float, frames: int, j: int) -> np.ndarray:
    """(2, bins at 2^-j of the rate): what gives real and imaginary part of a Morlet filter's output as real signals.

    The real part is the inverse transform of x's spectrum times the filter's even part, the imaginary part that of
    the spectrum times -i times its odd part; both are spectra of real signals, so the inverse is a real one.
    """
    from kymatio.scattering1d.filter_bank import morlet_1d

    morlet = np.asarray(morlet_1d(frames, xi, sigma)).reshape(-1).real
    mirrored = np.roll(morlet[::-1], 1)
    pair: np.ndarray = np.stack([morlet + mirrored, -1j * (morlet - mirrored)])[:, : (frames >> j) // 2 + 1] / 2
    return pair


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
