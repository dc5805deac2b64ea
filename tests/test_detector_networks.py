"""Detector networks: parameter count of the paper, and properties of every network."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from remix_miner.detector.features import Features
from remix_miner.detector.networks import SilentSourceDetector, build_detector
from remix_miner.detector.window_volumes import window_volumes_db
from remix_miner.detector.windows import window_count

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


def test_the_papers_network_has_its_published_size_and_kernel() -> None:
    """55,296,914 parameters; 7 channels, 54 frequencies, a final kernel of 14 (Défossez et al. 2019, appendix A)."""
    with torch.device("meta"):
        convolutions = build_detector({"network": "paper"}).convolutions
    network = SilentSourceDetector("paper")
    assert sum(parameter.numel() for parameter in network.parameters()) == 55_296_914
    first, last = network.convolutions[1], network.convolutions[-1]
    assert first.weight.shape == (128, 7, 5, 5)
    assert last.weight.shape == (1024, 512, 14, 1)
    assert Features()(torch.randn(1, 80_000)).shape == (1, 7, 54, 313)
    assert convolutions(torch.zeros(1, 7, 54, 313, device="meta")).shape == (1, 1024, 1, 79)


def test_the_small_network_is_small() -> None:
    assert 1.2e6 < sum(parameter.numel() for parameter in SilentSourceDetector("small").parameters()) < 1.6e6


def test_the_light_network_costs_a_quarter() -> None:
    """Convolutions a fifth, the recurrence, whose steps are as large, a half."""
    cost = {}
    for network, channels in (("small", 7), ("light", 5)):
        with torch.device("meta"):
            detector = SilentSourceDetector(network)
            with FlopCounterMode(display=False) as counter:
                windows = detector.windows(torch.zeros(1, channels, 54, 625))
            with FlopCounterMode(display=False) as steps:
                assert detector.sequence(windows).shape == (1, 4, 157)
        assert windows.shape[-1] == 157
        cost[network] = counter.get_total_flops(), steps.get_total_flops()
    convolutions, recurrence = (light / small for light, small in zip(cost["light"], cost["small"], strict=True))
    assert 0.18 < convolutions < 0.22
    assert 0.5 < recurrence < 0.6


def test_windows_by_two_are_heard_in_their_order() -> None:
    """A step gives both its windows; the recurrence and the head know which is which."""
    torch.manual_seed(0)
    detector = SilentSourceDetector("light", width=4, hidden=8).eval()
    windows = torch.randn(2, 4, 11)
    with torch.inference_mode():
        whole = detector.sequence(windows)
        states, _ = detector.recurrent(detector.steps(torch.cat((windows, windows[..., -1:]), -1)).transpose(1, 2))
        step = detector.head(states.transpose(1, 2))[..., 3]
    assert whole.shape == (2, 4, 11)
    assert torch.allclose(whole[..., 6:8], step.view(2, 4, 2), atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("network", ["small", "light"])
@pytest.mark.parametrize("frames", [2_000, 80_000, 100_001])
def test_one_logit_per_source_and_window(frames: int, network: str, device: str) -> None:
    detector = build_detector({"network": network, "width": 4, "hidden": 8}).eval().to(device)
    assert detector(torch.randn(2, frames, device=device)).shape == (2, 4, window_count(frames))


def test_a_network_in_bfloat16_agrees_to_its_rounding() -> None:
    """A type with 8 bits keeps the probabilities to two decimals only because logarithms stay float32."""
    torch.manual_seed(0)
    detector = SilentSourceDetector("small", width=8, hidden=8).eval()
    audio = torch.randn(1, 64_000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact = torch.sigmoid(detector(audio))
        detector.compute_in("bfloat16")
        rounded = detector(audio)
    assert rounded.dtype == torch.float32
    assert detector.recurrent.weight_hh_l0.dtype == torch.bfloat16
    assert detector.convolutions[0].norm.weight.dtype == detector.head[0].weight.dtype == torch.float32
    assert 0 < (torch.sigmoid(rounded) - exact).abs().max() < 0.01


def test_does_not_depend_on_loudness() -> None:
    detector = SilentSourceDetector("small", width=8, hidden=8).eval()
    audio = 0.1 * torch.randn(1, 64_000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        reference = detector(audio)
        for gain in (0.01, 0.3, 7.0):
            assert torch.allclose(detector(gain * audio), reference, atol=2e-3)


def test_windows_are_centred_where_the_labels_are() -> None:
    """A source that sounds for 0.64 s around window 20 is loudest there, in the label and as a mark in the features."""
    stems = torch.zeros(2, 64_000)
    stems[0] = 0.01 * torch.sin(torch.arange(64_000) * 0.3)
    stems[1, 20 * 1024 - 512 : 20 * 1024 + 512] = 0.5 * torch.sin(torch.arange(1024) * 1.1)
    volumes = window_volumes_db(stems)
    assert volumes.shape == (2, window_count(64_000))
    heard = ~volumes[1].isneginf()
    assert heard.nonzero().flatten().tolist() == list(range(15, 26))  # 0.64 s windows that touch the 64 ms around 20
    features = Features(level="none")(stems.sum(dim=0, keepdim=True))[0, 0, 10]  # 0.183 cycles a sample
    assert abs(int(features.argmax()) - 80) <= 1


def test_settings_build_the_same_network_again() -> None:
    detector = SilentSourceDetector("small", width=4, hidden=8, level="none", floor=1e-4)
    again = build_detector(detector.settings)
    again.load_state_dict(detector.state_dict())
    assert again.settings == detector.settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "big"}, "paper, small, light"),
        ({"level": "loud"}, "local"),
        ({"floor": 0.0}, "positive"),
        ({"level_frames": 4}, "odd"),
    ],
)
def test_refuses_settings_that_mean_nothing(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SilentSourceDetector(**settings)
