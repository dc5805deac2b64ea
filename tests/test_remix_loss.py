"""Eq. (3) of Défossez et al. 2019 by hand, with and without masks, weights and options."""

import pytest
import torch

from remix_miner.errors import UsageError
from remix_miner.training.remix import RemixStepSettings, pseudo_labels, remix_loss

NEAR = 1e-7  # a float32's last place near 0.5, well below the 1e-6 of the second term


def example():
    """Two items, three sources, one channel, four frames; source 1 is isolated."""
    estimates = torch.zeros(2, 3, 1, 4)
    estimates[0, 1] = 1.0
    estimates[:, 0] = 2.0
    estimates[:, 2] = 3.0
    isolated = torch.full((2, 1, 4), 0.5)  # |1 - 0.5| = 0.5 in item 0, |0 - 0.5| = 0.5 in item 1
    rest = torch.full((2, 1, 4), 4.0)  # |2 + 3 - 4| = 1
    return {
        "estimates": estimates,
        "isolated": isolated,
        "rest": rest,
        "index": 1,
        "valid": torch.ones(2, 4, dtype=torch.bool),
        "weight": torch.ones(2),
    }


def value(settings: RemixStepSettings | None = None, **changes) -> float:
    loss, _ = remix_loss(**{**example(), **changes}, settings=settings or RemixStepSettings())
    return loss.item()


def test_the_defaults_are_the_papers():
    settings = RemixStepSettings()
    assert (settings.probability, settings.rest_weight, settings.learning_rate_ratio) == (0.25, 1e-6, 0.1)
    assert (settings.consistency_weight, settings.teacher_weight, settings.quantile) == (0.0, 0.0, 1.0)


def test_equation_3_by_hand():
    assert value() == pytest.approx(0.5 + 1e-6 * 1.0, abs=NEAR)
    assert value(RemixStepSettings(rest_weight=0.1)) == pytest.approx(0.5 + 0.1)


def test_the_sum_norm_counts_channels_and_frames():
    assert value(RemixStepSettings(rest_weight=0.1, norm="sum")) == pytest.approx(4 * (0.5 + 0.1))


def test_both_terms_reach_the_estimates_that_they_are_about():
    estimates = example()["estimates"].requires_grad_()
    remix_loss(**{**example(), "estimates": estimates}, settings=RemixStepSettings())[0].backward()
    strong, weak = estimates.grad[:, 1].abs().max(), estimates.grad[:, 0].abs().max()
    assert weak / strong == pytest.approx(1e-6)
    torch.testing.assert_close(estimates.grad[:, 0], estimates.grad[:, 2])


def test_masked_frames_do_not_count():
    valid = torch.ones(2, 4, dtype=torch.bool)
    valid[:, 2:] = False
    isolated, rest = example()["isolated"].clone(), example()["rest"].clone()
    isolated[..., 2:], rest[..., 2:] = torch.nan, 1e6
    assert value(valid=valid, isolated=isolated, rest=rest) == pytest.approx(0.5 + 1e-6, abs=NEAR)
    estimates = example()["estimates"].requires_grad_()
    remix_loss(
        **{**example(), "estimates": estimates, "valid": valid, "isolated": isolated}, settings=RemixStepSettings()
    )[0].backward()
    assert estimates.grad.isfinite().all()
    assert (estimates.grad[..., 2:] == 0).all()


def test_an_item_without_valid_frames_adds_nothing():
    valid = torch.ones(2, 4, dtype=torch.bool)
    valid[0] = False
    assert value(valid=valid) == pytest.approx((0.5 + 1e-6) / 2, abs=NEAR)


def test_weights_scale_items():
    assert value(weight=torch.tensor([1.0, 0.0])) == pytest.approx((0.5 + 1e-6) / 2, abs=NEAR)


def test_mixture_consistency_is_added_when_asked_for():
    # item 0: |1 + 2 + 3 - 0.5 - 4| = 1.5; item 1: |0 + 2 + 3 - 4.5| = 0.5
    settings = RemixStepSettings(rest_weight=0.0, consistency_weight=0.1)
    assert value(settings) == pytest.approx(0.5 + 0.1 * 1.0)


def test_quantile_leaves_out_excerpts_whose_isolated_source_fits_badly():
    isolated = example()["isolated"].clone()
    isolated[1] = 50.0
    assert value(RemixStepSettings(quantile=0.5), isolated=isolated) == pytest.approx(0.5 + 1e-6, abs=NEAR)


def test_pseudo_labels_silence_the_known_source_and_add_up_to_the_excerpt():
    rest = torch.randn(2, 1, 4)
    labels = pseudo_labels(torch.randn(2, 3, 1, 4), rest, 1)
    assert (labels[:, 1] == 0).all()
    torch.testing.assert_close(labels.sum(dim=1), rest)


def test_pseudo_labels_that_were_right_stay():
    teacher = torch.randn(2, 3, 1, 4)
    teacher[:, 1] = 0
    torch.testing.assert_close(pseudo_labels(teacher, teacher.sum(dim=1), 1), teacher)


def test_the_teacher_term_is_the_mean_over_the_other_sources():
    pseudo = torch.zeros(2, 3, 1, 4)
    settings = RemixStepSettings(rest_weight=0.0, teacher_weight=0.1)
    assert value(settings, pseudo=pseudo) == pytest.approx(0.5 + 0.1 * (2 + 3) / 2)


def test_a_model_of_one_source_learns_from_the_isolated_source_alone():
    only = {**example(), "estimates": example()["estimates"][:, 1:2], "index": 0}
    loss, terms = remix_loss(**only, settings=RemixStepSettings(consistency_weight=1.0))
    assert loss.item() == pytest.approx(0.5)
    assert set(terms) == {"isolated"}


def test_settings_are_checked():
    for wrong in ({"probability": 1.5}, {"learning_rate_ratio": 0}, {"rest_weight": -1}, {"quantile": 0}):
        with pytest.raises(UsageError):
            RemixStepSettings(**wrong)
