"""Properties of kymatio's filters on which the transform's optimisations depend."""

import itertools
import math
from typing import get_args

import numpy as np
import pytest
import torch

from remix_miner.detector.scattering.filters import (
    AUDIO_J,
    ENVELOPE_J,
    FAST_OCTAVES,
    HOPS_BEFORE,
    PIECE_CONTEXT_FRAMES,
    PIECE_FRAMES,
    filter_bank,
    filter_parameters,
    sampling_octaves,
)
from remix_miner.device import Sampling


def test_pieces_have_the_context_that_their_filters_need() -> None:
    """Two Gaussians in a row have the variance of both; at 5.3 deviations there is less than 1e-6 of the peak."""
    first, second, _ = filter_parameters()
    longest = math.hypot(
        max(1 / sigma for _, sigma, j in first if j < FAST_OCTAVES),
        max(1 / sigma for _, sigma, j in second if j <= ENVELOPE_J),
    ) / (2 * math.pi)
    assert 5.3 * longest < PIECE_CONTEXT_FRAMES


@pytest.mark.parametrize(
    ("name", "j", "highest"),
    [
        ("audio", AUDIO_J, max(xi + 5 * sigma for xi, sigma, j in filter_parameters()[0] if j >= FAST_OCTAVES)),
        ("fast_2_low", ENVELOPE_J, max(xi + 5 * sigma for xi, sigma, j in filter_parameters()[1] if j > ENVELOPE_J)),
    ],
)
def test_a_lower_rate_loses_nothing_that_later_filters_pass(name: str, j: int, highest: float) -> None:
    response = filter_bank(1 << 15, "sparse").constants[name]
    response = response / response[0]
    kept = math.floor(highest * PIECE_FRAMES)
    assert response[: kept + 1].min() > 1 - 1e-6
    assert len(response) == (PIECE_FRAMES >> j) // 2 + 1
    assert response[-1] < 1e-6


@pytest.mark.parametrize("sampling", get_args(Sampling))
def test_a_band_holds_what_its_filter_passes(sampling: Sampling) -> None:
    """At the ends of its bins a filter is down to 4e-5 of its peak: 4.5 deviations and more."""
    bank = filter_bank(1 << 15, sampling)
    for group in (*bank.fast, *bank.slow):
        for band in bank.constants[group.name]:
            whole = len(band) == PIECE_FRAMES  # then there are no ends: what leaves at one comes in at the other
            assert whole or band[[0, -1]].abs().max() < 4e-5 * band.abs().max()
    for second in itertools.chain.from_iterable(bank.second.values()):
        band = bank.constants[second.name].flatten()
        assert band[[0, -1]].abs().max() < 4e-5 * band.abs().max()


def test_sparse_samples_are_at_least_ten_and_seven_for_each_hertz_of_deviation() -> None:
    parameters = filter_parameters()[:2]
    for octaves, filters, least in zip(sampling_octaves("sparse"), parameters, (10, 7), strict=True):
        rates = [
            2.0**-k / sigma for k, (_, sigma, j) in zip(octaves, filters, strict=True) if filters is parameters[0] or j
        ]
        assert min(rates) >= least


@pytest.mark.parametrize(("sampling", "j"), [("kymatio", 1), ("kymatio", 4), ("sparse", 3), ("sparse", 5)])
def test_moments_of_hops_give_the_low_pass(sampling: Sampling, j: int) -> None:
    """The average of a single sample is the Gaussian at its distance, whatever hop it lies in."""
    bank = filter_bank(1 << 15, sampling).constants
    weights = (bank["average"].double() @ bank[f"moments_{j}"].double()).flatten()
    distance = np.arange(-HOPS_BEFORE * 256, HOPS_BEFORE * 256, 2**j)
    width = 1 / (2 * math.pi * filter_parameters()[2])
    gaussian = np.exp(-(distance**2) / (2 * width**2)) / (width * math.sqrt(2 * math.pi)) * 2**j
    assert torch.allclose(weights, torch.from_numpy(gaussian), rtol=0, atol=3e-7 * gaussian.max())
    assert np.exp(-((HOPS_BEFORE * 256) ** 2) / (2 * width**2)) < 1e-8
