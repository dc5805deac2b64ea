"""Our BSSEval v4 against museval's own functions."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.signal import lfilter

from remix_miner.evaluation.metrics import bsseval as ours
from remix_miner.evaluation.metrics.bsseval import bsseval

RATE = 4000
TAPS = 64
AGREEMENT_DB = 1e-6
NAMES = ("sdr", "isr", "sir", "sar")


@pytest.fixture(scope="module")
def museval_metrics() -> ModuleType:
    """museval's metrics.py alone: importing the package needs ffmpeg."""
    package = importlib.util.find_spec("museval")
    if package is None or not package.submodule_search_locations:
        pytest.skip("museval is not installed (extra 'eval')")
    path = Path(package.submodule_search_locations[0]) / "metrics.py"
    spec = importlib.util.spec_from_file_location("museval_metrics", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _track(seconds: float, sources: int = 4, channels: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Coloured sources panned differently, and estimates with leakage, filtering and noise."""
    random = np.random.default_rng(seed)
    frames = round(seconds * RATE)
    dry = lfilter([1], [1, -0.9], random.standard_normal((sources, channels, frames)))
    references = (0.7 * dry + 0.3 * dry[:, ::-1]).astype(np.float32)
    filtered = lfilter([0.9, 0.05, -0.02], [1], references)
    leaked = 0.1 * references.sum(axis=0)
    estimates = (filtered + leaked + 0.01 * random.standard_normal(references.shape)).astype(np.float32)
    return references, estimates


def _compare(museval_metrics: ModuleType, references: np.ndarray, estimates: np.ndarray, taps: int = TAPS) -> None:
    found = bsseval(references, estimates, RATE, taps=taps)
    wanted = museval_metrics.bss_eval(
        references.astype(np.float64).transpose(0, 2, 1),
        estimates.astype(np.float64).transpose(0, 2, 1),
        window=RATE,
        hop=RATE,
        filters_len=taps,
    )
    for name, values in zip(NAMES, wanted, strict=False):
        np.testing.assert_allclose(getattr(found, name), values, rtol=0, atol=AGREEMENT_DB, err_msg=name)


@pytest.mark.parametrize(("sources", "channels"), [(4, 2), (2, 1), (3, 2), (1, 2)])
def test_agrees_with_museval(museval_metrics: ModuleType, sources: int, channels: int) -> None:
    _compare(museval_metrics, *_track(5.3, sources, channels))


def test_agrees_with_museval_at_512_taps_over_several_groups_of_frames(
    museval_metrics: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "FRAMES_AT_ONCE", 2)
    _compare(museval_metrics, *_track(3.2, sources=2), taps=512)
    monkeypatch.setattr(ours, "SPECTRA_BYTES", 0)
    _compare(museval_metrics, *_track(3.2, sources=2), taps=128)


@pytest.mark.parametrize("seconds", [0.6, 1.0, 2.0])
def test_agrees_with_museval_at_the_edges_of_a_frame(museval_metrics: ModuleType, seconds: float) -> None:
    _compare(museval_metrics, *_track(seconds))


def test_a_frame_with_any_silence_is_nan_for_all_as_in_museval(museval_metrics: ModuleType) -> None:
    references, estimates = _track(6)
    references[1, :, 2 * RATE : 3 * RATE] = 0
    estimates[3, :, 4 * RATE : 5 * RATE] = 0
    references[2, 0, 5 * RATE :] = -references[2, 1, 5 * RATE :]  # museval adds the channels up: this is silence to it
    _compare(museval_metrics, references, estimates)
    assert np.isnan(bsseval(references, estimates, RATE, taps=TAPS).sar).all(axis=0).tolist() == [0, 0, 1, 0, 1, 1]


def test_equal_channels_score_as_mono_does() -> None:
    """museval's equations are singular here; the projections are not: two equal channels span what one spans."""
    references, estimates = _track(4, channels=1)
    mono = bsseval(references, estimates, RATE, taps=TAPS)
    stereo = bsseval(references.repeat(2, axis=1), estimates.repeat(2, axis=1), RATE, taps=TAPS)
    for name in NAMES:
        np.testing.assert_allclose(getattr(stereo, name), getattr(mono, name), atol=AGREEMENT_DB)


def test_dependent_references_are_projected_on_what_they_span() -> None:
    """A third source that is the sum of the first two adds nothing to the span, so nothing becomes an artefact."""
    references, _ = _track(3, sources=2, channels=1)
    references = np.concatenate([references, references.sum(axis=0, keepdims=True)])
    estimates = references + 0.1 * references[::-1]
    scores = bsseval(references, estimates, RATE, taps=TAPS)
    assert (scores.sar > 80).all()
    assert np.isfinite(scores.sdr).all()


def test_sdr_ignores_the_other_sources() -> None:
    references, estimates = _track(3)
    together = bsseval(references, estimates, RATE, taps=TAPS).sdr
    alone = bsseval(references[:1], estimates[:1], RATE, taps=TAPS).sdr
    np.testing.assert_allclose(together[:1], alone, atol=1e-9)


def test_a_source_that_is_silent_throughout_makes_every_frame_nan() -> None:
    references, estimates = _track(3)
    references[0] = 0
    assert np.isnan(bsseval(references, estimates, RATE, taps=TAPS).sdr).all()


def test_shapes_must_match_and_filters_must_fit_in_a_frame() -> None:
    references, estimates = _track(2)
    with pytest.raises(ValueError, match="must both be"):
        bsseval(references, estimates[:2], RATE)
    with pytest.raises(ValueError, match="shorter than filters"):
        bsseval(references, estimates, sample_rate=100)
