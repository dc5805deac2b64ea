"""uSDR, SI-SDR and leakage against hand-worked values, the challenge's formula and torchmetrics' definition."""

import functools

import numpy as np
import pytest
import torch

from remix_miner.errors import UsageError
from remix_miner.evaluation.metrics import bsseval
from remix_miner.evaluation.metrics.whole_track import leakage_db, si_sdr, usdr
from remix_miner.evaluation.scores import parse_metrics, score_track


def _pair(seed: int = 0, sources: int = 4, frames: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    references = random.standard_normal((sources, 2, frames)).astype(np.float32)
    return references, (references + 0.3 * random.standard_normal(references.shape)).astype(np.float32)


def test_usdr_of_a_hand_worked_example() -> None:
    # Energies 9 + 16 = 25; errors 0.5^2 + 0 = 0.25 -> 100 -> 20 dB; a halved source leaves 1/4 -> 6.02 dB.
    references = np.array([[[3.0], [4.0]], [[2.0], [0.0]]])
    estimates = np.array([[[3.5], [4.0]], [[1.0], [0.0]]])
    assert usdr(references, estimates) == pytest.approx([20.0, 10 * np.log10(4)], abs=1e-5)


def test_usdr_is_the_challenges_formula_in_float64() -> None:
    references, estimates = _pair()
    # The formula of the Music Demixing Challenge's evaluator, written out.
    true, guess = references.astype(np.float64), estimates.astype(np.float64)
    wanted = 10 * np.log10(((true**2).sum((1, 2)) + 1e-7) / (((true - guess) ** 2).sum((1, 2)) + 1e-7))
    np.testing.assert_allclose(usdr(references, estimates), wanted, rtol=0, atol=1e-9)


def test_tensors_and_arrays_give_the_same() -> None:
    references, estimates = _pair()
    tensors = torch.from_numpy(references), torch.from_numpy(estimates)
    for metric in (usdr, si_sdr):
        np.testing.assert_array_equal(metric(*tensors), metric(references, estimates))


def test_usdr_falls_with_a_wrong_gain_and_si_sdr_does_not() -> None:
    references, estimates = _pair()
    np.testing.assert_allclose(si_sdr(references, 0.25 * estimates), si_sdr(references, estimates), atol=1e-9)
    assert (usdr(references, 0.25 * estimates) < usdr(references, estimates)).all()


def test_a_silent_reference_has_no_sdr_but_a_leakage() -> None:
    references, estimates = _pair()
    references[1] = 0
    mixture = references.sum(axis=0)
    assert np.isnan(usdr(references, estimates)).tolist() == [False, True, False, False]
    assert np.isnan(si_sdr(references, estimates)).tolist() == [False, True, False, False]
    estimates[1] = 0.01 * mixture
    assert leakage_db(estimates, mixture)[1] == pytest.approx(-40, abs=1e-4)
    assert leakage_db(np.zeros_like(estimates), mixture)[0] == -np.inf
    assert np.isnan(leakage_db(estimates, np.zeros_like(mixture))).all()


def test_shapes_that_numpy_would_broadcast_are_refused() -> None:
    references, estimates = _pair()
    with pytest.raises(ValueError, match="must both be"):
        usdr(references, estimates[:1])
    with pytest.raises(ValueError, match="must both be"):
        si_sdr(references[0], estimates[0])
    estimates[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        usdr(references, estimates)


def test_a_track_with_a_silent_source_scores_the_others_among_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bsseval, "bsseval", functools.partial(bsseval.bsseval, taps=16))
    references, estimates = _pair(frames=5000)
    estimates[2] -= references[2]
    references[2] = 0
    names = ("drums", "bass", "other", "vocals")
    rows = score_track(references, estimates, references.sum(axis=0), names, sample_rate=1000)
    assert rows["other"]["silent"]
    assert rows["other"]["csdr"] is None
    assert rows["other"]["usdr"] is None
    assert rows["other"]["leakage_db"] == pytest.approx(10 * np.log10(0.09 / 3), abs=0.5)
    kept = [0, 1, 3]
    alone = score_track(references[kept], estimates[kept], references.sum(axis=0), ("drums", "bass", "vocals"), 1000)
    assert {name: rows[name] for name in alone} == alone
    assert alone["drums"]["frames_scored"] == alone["drums"]["frames"] == 5


def test_infinite_scores_are_named_not_averaged() -> None:
    references, _ = _pair()
    rows = score_track(
        references, references, references.sum(axis=0), ("drums", "bass", "other", "vocals"), 1000, ["si_sdr"]
    )
    assert rows["drums"]["si_sdr"] is None
    assert rows["drums"]["infinite"] == ["si_sdr"]


def test_unknown_metrics_are_refused() -> None:
    assert parse_metrics("si_sdr, usdr") == ("usdr", "si_sdr")
    with pytest.raises(UsageError, match="sdr2"):
        parse_metrics("usdr,sdr2")
