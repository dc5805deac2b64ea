"""What every separator of the table must do, with small settings."""

import pytest
import torch

from remix_miner.checkpoint import load_model
from remix_miner.errors import DataError, UsageError
from remix_miner.separators import SEPARATORS, build
from remix_miner.separators.base import centre_fit
from remix_miner.separators.loading import load_separator, save_separator

ROFORMER = {
    "freqs_per_bands": [32, 32, 32, 33],
    "dim_head": 8,
    "heads": 1,
    "mask_estimator_depth": 1,
    "flash_attn": False,
}
MEL = {"num_bands": 4, "dim_head": 8, "heads": 1, "flash_attn": False}
EXTRAS = {"htdemucs": "demucs", "bs_roformer": "bs_roformer", "mel_band_roformer": "bs_roformer"}
TINY = {
    "demucs": {"channels": 4, "depth": 3},
    "demucs_v1": {"channels": 4, "depth": 3},
    "demucs_v2": {"channels": 4, "depth": 3},
    "hdemucs": {"channels": 4},
    "htdemucs": {"channels": 8, "t_layers": 1, "segment_seconds": 0.2, "options": {"bottom_channels": 0}},
    "bs_roformer": {"dim": 8, "depth": 1, "stft_n_fft": 256, "stft_hop_length": 64, "options": ROFORMER},
    "mel_band_roformer": {"dim": 8, "depth": 1, "stft_n_fft": 256, "stft_hop_length": 64, "options": MEL},
    "tfc_tdf_v1": {"n_fft": 256, "hop_frames": 64, "bins": 64, "growth": 4, "levels": 2, "segment_seconds": 0.1},
    "tfc_tdf_v2": {"n_fft": 256, "hop_frames": 64, "bins": 64, "growth": 4, "levels": 2, "segment_seconds": 0.1},
    "tfc_tdf_v3": {"n_fft": 256, "hop_frames": 64, "bins": 128, "growth": 4, "channels": 4, "levels": 2, "blocks": 2},
    "kuielab_mdx_net": {"part": {"n_fft": 256, "hop_frames": 64, "bins": 64, "growth": 4, "levels": 2}},
}
FRAMES = 5000


def tiny(name: str, **settings):
    pytest.importorskip(EXTRAS.get(name, "torch"))
    torch.manual_seed(0)
    return build(name, **(TINY[name] | settings))


def test_the_tests_know_every_separator():
    assert set(TINY) == set(SEPARATORS)


@pytest.mark.parametrize("name", SEPARATORS)
@pytest.mark.parametrize("audio_channels", [1, 2])
@pytest.mark.parametrize("sources", [("vocals",), ("drums", "bass", "other", "vocals"), ("b", "a", "c")])
def test_estimates_have_the_shape_of_the_mixture_for_any_sources_and_channels(name, audio_channels, sources):
    model = tiny(name, audio_channels=audio_channels, sources=sources).eval()
    with torch.no_grad():
        estimates = model(torch.randn(2, audio_channels, FRAMES))
    assert estimates.shape == (2, len(sources), audio_channels, FRAMES)
    assert estimates.isfinite().all()
    assert model.sources == sources
    assert model.audio_channels == audio_channels


@pytest.mark.parametrize("name", SEPARATORS)
@pytest.mark.parametrize("frames", [1, 777, FRAMES])
def test_a_valid_length_gives_at_least_the_frames_asked_for(name, frames):
    model = tiny(name).eval()
    valid = model.valid_length(frames)
    assert valid >= frames
    with torch.no_grad():
        assert model.estimate(torch.randn(1, 2, valid)).shape[-1] >= frames


@pytest.mark.parametrize("name", SEPARATORS)
def test_every_parameter_that_is_trained_gets_a_gradient(name):
    model = tiny(name)
    model(torch.randn(2, 2, FRAMES)).square().mean().backward()
    without = [
        name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.abs().sum())
    ]
    assert without == []


@pytest.mark.parametrize("name", SEPARATORS)
def test_a_saved_separator_comes_back_with_the_same_estimates(name, tmp_path):
    model = tiny(name, sources=("bass", "rest")).eval()
    save_separator(tmp_path, model, trained={"epoch": 3})
    again = load_separator(tmp_path)
    mixture = torch.randn(1, 2, FRAMES)
    with torch.no_grad():
        torch.testing.assert_close(again(mixture), model(mixture), rtol=0, atol=0)
    assert not again.training
    assert (again.name, again.settings) == (name, model.settings)
    assert load_model(tmp_path)[1]["trained"] == {"epoch": 3}


@pytest.mark.parametrize("name", SEPARATORS)
def test_the_same_seed_gives_the_same_separator_and_the_mixture_is_left_alone(name):
    mixture = torch.randn(1, 2, FRAMES)
    kept = mixture.clone()
    with torch.no_grad():
        torch.testing.assert_close(tiny(name).eval()(mixture), tiny(name).eval()(mixture), rtol=0, atol=0)
    torch.testing.assert_close(mixture, kept, rtol=0, atol=0)


@pytest.mark.parametrize("name", SEPARATORS)
def test_silence_gives_finite_estimates_and_gradients(name):
    model = tiny(name)
    model(torch.zeros(1, 2, FRAMES)).abs().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", SEPARATORS)
def test_frames_gives_the_centre_and_takes_the_rest_as_context(name):
    model = tiny(name).eval()
    long = torch.randn(1, 2, max(model.valid_length(1000), 1000))
    with torch.no_grad():
        direct = centre_fit(model.estimate(long), 1000)
        if model.normalize:  # by hand: zero mean and unit deviation of the mono mix, undone on the estimates
            mono = long.mean(dim=1)
            mean, deviation = mono.mean(), mono.std() + 1e-5
            direct = centre_fit(model.estimate((long - mean) / deviation), 1000) * deviation
            direct = direct + mean / len(model.sources)
        torch.testing.assert_close(model(long, 1000), direct)
    assert direct.shape[-1] == 1000


@pytest.mark.parametrize("shape", [(2, 100), (1, 3, 100), (1, 2, 0)])
def test_a_mixture_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="a mixture"):
        tiny("demucs")(torch.zeros(shape))


def test_more_frames_than_the_mixture_has_are_refused():
    with pytest.raises(ValueError, match="11 frames of estimates"):
        tiny("demucs")(torch.zeros(1, 2, 10), 11)


@pytest.mark.parametrize("frames", [6, 7])
@pytest.mark.parametrize("longer", [6, 7, 12, 13])
def test_fitting_to_more_frames_and_back_is_the_identity(frames, longer):
    signal = torch.randn(2, frames)
    assert torch.equal(centre_fit(centre_fit(signal, longer), frames) if longer >= frames else signal, signal)


def test_a_normalized_model_follows_the_level_of_the_mixture():
    model = tiny("demucs_v1", normalize=True).eval()
    mixture = torch.randn(1, 2, FRAMES)
    with torch.no_grad():
        torch.testing.assert_close(model(0.1 * mixture), 0.1 * model(mixture), rtol=1e-3, atol=1e-5)


def test_unknown_names_and_settings_are_refused_with_a_suggestion():
    with pytest.raises(UsageError, match="did you mean 'demucs'"):
        build("demuxs")
    with pytest.raises(UsageError, match="did you mean 'channels'"):
        build("demucs", chanels=4)
    with pytest.raises(UsageError, match="each once"):
        build("demucs", sources=("a", "a"))
    with pytest.raises(UsageError, match="context must be odd"):
        build("demucs", context=2)


def test_loading_says_what_is_missing(tmp_path):
    with pytest.raises(DataError, match="no model at"):
        load_separator(tmp_path)
    with pytest.raises(UsageError, match="built-in name"):
        load_separator("nothing_of_this_name")


def test_weights_that_do_not_fit_their_description_are_refused(tmp_path):
    model = tiny("demucs")
    state = model.state_dict()
    state.popitem()
    save_separator(tmp_path, model, state)
    with pytest.raises(DataError, match="do not fit demucs"):
        load_separator(tmp_path)
