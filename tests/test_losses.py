"""Losses: hand-worked values, torch's own, and what they must refuse."""

import math

import pytest
import torch
from torch.nn import functional as F

from remix_miner.errors import UsageError
from remix_miner.training.losses import LOSSES, l1, log_sdr, loss_function, mse, truncated_mean


def pair(frames: int = 3000):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 2, 2, frames, generator=generator), torch.randn(3, 2, 2, frames, generator=generator)


def test_l1_and_mse_are_torchs():
    estimates, target = pair()
    torch.testing.assert_close(l1(estimates, target).mean(), F.l1_loss(estimates, target))
    torch.testing.assert_close(mse(estimates, target).mean(), F.mse_loss(estimates, target))


def test_log_sdr_is_minus_the_sdr():
    target = torch.tensor([[[[3.0, 4.0]]]])
    assert log_sdr(target * 0.9, target).item() == pytest.approx(-20.0, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_per_item_and_source_least_at_the_target_and_finite_on_silence(name):
    loss = loss_function(name)
    estimates, target = pair()
    target[0, 0] = 0
    estimates = estimates.requires_grad_()
    values = loss(estimates, target)
    assert values.shape == (3, 2)
    assert (loss(target, target) < values).all()
    values.sum().backward()
    assert estimates.grad.isfinite().all()
    silence = torch.zeros_like(target).requires_grad_()
    loss(silence, torch.zeros_like(target)).sum().backward()
    assert silence.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_that_would_broadcast_are_refused(name):
    estimates, target = pair()
    with pytest.raises(ValueError, match="the target"):
        loss_function(name)(estimates, target[:, :1])


def test_an_unknown_loss_is_refused():
    with pytest.raises(UsageError, match="choose among l1"):
        loss_function("l3")


def test_truncation_leaves_out_the_worst_per_source():
    losses = torch.tensor([[1.0, 8.0], [2.0, 7.0], [3.0, 6.0], [100.0, 5.0]], requires_grad=True)
    kept = truncated_mean(losses, 0.75)
    assert kept.item() == pytest.approx((1 + 2 + 3 + 7 + 6 + 5) / 6)
    kept.backward()
    assert (losses.grad == 0).nonzero().tolist() == [[0, 1], [3, 0]]


def test_a_batch_of_one_still_trains_under_truncation():
    assert truncated_mean(torch.tensor([[2.0]]), 0.5).item() == 2.0


def test_without_truncation_it_is_the_mean():
    losses = torch.rand(4, 3)
    assert math.isclose(truncated_mean(losses).item(), losses.mean().item())
