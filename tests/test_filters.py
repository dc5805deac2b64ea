"""What the transform's short cuts rest on: properties of kymatio's filters."""

import math

import numpy as np
import pytest
import torch

from remix_miner.detector.filters import (
    AUDIO_J,
    ENVELOPE_J,
    FAST_OCTAVES,
    HOPS_BEFORE,
    PIECE_CONTEXT_FRAMES,
    PIECE_FRAMES,
    filter_bank,
    filter_parameters,
)


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
        ("envelope_0", ENVELOPE_J, max(xi + 5 * sigma for xi, sigma, j in filter_parameters()[1] if j > ENVELOPE_J)),
    ],
)
def test_a_lower_rate_loses_nothing_that_later_filters_pass(name: str, j: int, highest: float) -> None:
    response = filter_bank(1 << 15)[name]
    response = response / response[0]
    kept = math.floor(highest * PIECE_FRAMES)
    assert response[: kept + 1].min() > 1 - 1e-6
    assert len(response) == (PIECE_FRAMES >> j) // 2 + 1
    assert response[-1] < 1e-6


@pytest.mark.parametrize("j", range(1, ENVELOPE_J + 1))
def test_moments_of_hops_give_the_low_pass(j: int) -> None:
    """The average of a single sample is the Gaussian at its distance, whatever hop it lies in."""
    bank = filter_bank(1 << 15)
    weights = (bank["average"].double() @ bank[f"moments_{j}"].double()).flatten()
    distance = np.arange(-HOPS_BEFORE * 256, HOPS_BEFORE * 256, 2**j)
    width = 1 / (2 * math.pi * filter_parameters()[2])
    gaussian = np.exp(-(distance**2) / (2 * width**2)) / (width * math.sqrt(2 * math.pi)) * 2**j
    assert torch.allclose(weights, torch.from_numpy(gaussian), rtol=0, atol=3e-7 * gaussian.max())
    assert np.exp(-((HOPS_BEFORE * 256) ** 2) / (2 * width**2)) < 1e-8
