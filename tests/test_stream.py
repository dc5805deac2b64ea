"""Streaming inference against inference on the whole track."""

import numpy as np
import pytest
import torch

from remix_miner.detector import stream
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.stream import ProbabilityStream, track_probabilities
from remix_miner.detector.windows import window_count


@pytest.fixture(scope="module", params=["small", "light"])
def detector(request: pytest.FixtureRequest) -> SilentSourceDetector:
    torch.manual_seed(0)
    return SilentSourceDetector(request.param, width=4, hidden=8).eval()


@pytest.mark.parametrize("frames", [2, 300, 4_097, 4_098, 122_880, 126_977, 131_073, 700_001])
def test_does_not_depend_on_the_blocks(detector: SilentSourceDetector, frames: int) -> None:
    audio = np.random.default_rng(frames).standard_normal(frames).astype(np.float32)
    whole = track_probabilities(detector, audio)
    assert whole.shape == (4, window_count(frames))
    for block in (7_777, 160_000):
        running = ProbabilityStream(detector)
        parts = [running.push(audio[start : start + block]) for start in range(0, frames, block)]
        assert np.array_equal(np.concatenate([*parts, running.finish()], axis=1), whole)


def test_agrees_with_the_network_on_a_whole_track(
    detector: SilentSourceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces of the convolutions lose nothing; parts with 4 s of margin nothing that this network remembers.

    In parts of 100 there are two groups of four and a rest.
    """
    audio = np.random.default_rng(0).standard_normal(1_100_000).astype(np.float32)
    with torch.inference_mode():
        whole = torch.sigmoid(detector(torch.from_numpy(audio[None])))[0].numpy()
    for part_windows, most in ((100, 1e-4), (200, 1e-4), (4800, 1e-5)):
        monkeypatch.setattr(stream, "PART_WINDOWS", part_windows)
        assert np.abs(track_probabilities(detector, audio) - whole).max() < most


def test_gives_results_early_and_holds_little(detector: SilentSourceDetector) -> None:
    """After fifteen minutes all but the last six are out; what is held is bounded."""
    running = ProbabilityStream(detector)
    block = np.random.default_rng(0).standard_normal(160_000).astype(np.float32)
    given = 0
    for _ in range(90):
        given += running.push(block).shape[1]
        assert len(running._audio) < 80 * 16_000
        assert running._coefficients.end - running._coefficients._begin < 100 * 62.5
        assert running._windows.end - running._windows._begin < window_count(360 * 16_000)
    assert given > window_count(540 * 16_000)


def test_one_sample_has_no_window(detector: SilentSourceDetector) -> None:
    assert track_probabilities(detector, np.ones(1, dtype=np.float32)).shape == (4, 0)
