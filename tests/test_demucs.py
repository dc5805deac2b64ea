"""Demucs against the figures that its papers and releases state."""

from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from remix_miner.separators import build
from remix_miner.separators.base import count_parameters
from remix_miner.separators.demucs import RescaledConv1d, RescaledConvTranspose1d, unet_valid_length


@pytest.mark.parametrize(
    ("name", "settings", "millions", "mebibytes"),
    [
        ("demucs", {}, 152.6, 582),
        ("demucs_v1", {}, 648.5, 2474),
        ("demucs_v1", {"channels": 64}, 265.7, 1013),
        ("demucs_v2", {}, 265.7, 1013),
    ],
)
def test_published_sizes(name, settings, millions, mebibytes):
    with torch.device("meta"):
        count = count_parameters(build(name, **settings))
    assert round(count / 1e6, 1) == millions
    assert int(4 * count / 2**20) == mebibytes


def test_the_papers_size_worked_out_from_its_text():
    widths = [2, 48, 96, 192, 384, 768, 1536]
    count = 0
    for narrow, wide in pairwise(widths):
        count += 8 * narrow * wide + wide + 2 * wide * wide + 2 * wide  # encoder: kernel 8; 1x1 to twice as many
        count += 3 * wide * wide + wide  # decoder: kernel 3
        count += 2 * wide * 2 * wide + 2 * wide  # 1x1 on the concatenation, to twice as many for the GLU
        out = 8 if narrow == 2 else narrow  # 4 C_0 at the end
        count += 8 * wide * out + out
    last = widths[-1]
    for inputs in (last, 2 * last):  # two layers, two directions, four gates, two biases
        count += 2 * (4 * last * (inputs + last) + 8 * last)
    count += 2 * last * last + last
    with torch.device("meta"):
        assert count_parameters(build("demucs")) == count == 152_610_488


@pytest.mark.parametrize(
    ("frames", "context", "valid"),
    [(441000, 3, 451924), (220500, 3, 234836), (441000, 1, 443732)],
)
def test_valid_lengths_of_the_releases(frames, context, valid):
    assert unet_valid_length(frames, depth=6, kernel_size=8, stride=4, context=context) == valid


@pytest.mark.parametrize("name", ["demucs", "demucs_v1"])
def test_five_seconds_of_estimates_lie_in_the_centre_of_a_valid_mixture(name):
    model = build(name, channels=1)
    assert model.valid_length(220500) == 234836
    with torch.no_grad():
        assert model.estimate(torch.zeros(1, 2, 234836)).shape == (1, 4, 2, 223916)


def test_rescaling_changes_the_weights_but_not_the_output():
    torch.manual_seed(0)
    plain = RescaledConv1d(3, 5, 4, 2, rescale=None)
    torch.manual_seed(0)
    rescaled = RescaledConv1d(3, 5, 4, 2, rescale=0.1)
    x = torch.randn(2, 3, 50)
    torch.testing.assert_close(rescaled(x), plain(x))
    torch.testing.assert_close(plain(x), F.conv1d(x, plain.weight, plain.bias, stride=2))
    alpha = plain.weight.std() / 0.1
    torch.testing.assert_close(rescaled.weight, plain.weight / alpha.sqrt())
    torch.manual_seed(0)
    up_plain = RescaledConvTranspose1d(3, 5, 4, 2, rescale=None)
    torch.manual_seed(0)
    up = RescaledConvTranspose1d(3, 5, 4, 2, rescale=0.1)
    torch.testing.assert_close(up(x), up_plain(x))
    torch.testing.assert_close(up_plain(x), F.conv_transpose1d(x, up_plain.weight, up_plain.bias, stride=2))


def test_the_released_rescaling_divides_weights_and_biases_and_spares_the_lstm():
    torch.manual_seed(0)
    plain = build("demucs_v1", channels=4, depth=2, rescale=None)
    torch.manual_seed(0)
    rescaled = build("demucs_v1", channels=4, depth=2)
    for (name, before), after in zip(plain.named_parameters(), rescaled.parameters(), strict=True):
        if "lstm" in name or "linear" in name:
            assert torch.equal(before, after)
    first, scaled = plain.encoder[0][0], rescaled.encoder[0][0]
    factor = (first.weight.std() / 0.1).sqrt()
    torch.testing.assert_close(scaled.weight, first.weight / factor)
    torch.testing.assert_close(scaled.bias, first.bias / factor)


def test_the_first_release_layer_by_layer():
    """The description's layers as calls of torch's own functions, the crop of the skips worked out for this length."""
    torch.manual_seed(0)
    model = build("demucs_v1", channels=4, depth=2, normalize=False).eval()
    weights = dict(model.named_parameters())

    def convolve(function, name, x, stride=1):
        return function(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride)

    # 196 frames: 48 and 11 after the two encoders; 9 after the inner context of 3, 40 and 38, then 156 at the end.
    mixture = torch.randn(1, 2, 196)
    first = F.glu(convolve(F.conv1d, "encoder.0.2", F.relu(convolve(F.conv1d, "encoder.0.0", mixture, 4))), dim=1)
    second = F.glu(convolve(F.conv1d, "encoder.1.2", F.relu(convolve(F.conv1d, "encoder.1.0", first, 4))), dim=1)
    assert (first.shape[-1], second.shape[-1]) == (48, 11)
    lstm = torch.nn.LSTM(8, 8, 2, bidirectional=True)
    lstm.load_state_dict({name[5:]: weight for name, weight in weights.items() if name.startswith("lstm.")})
    inner = F.linear(lstm(second[0].T)[0], weights["linear.weight"], weights["linear.bias"]).T[None]
    x = F.glu(convolve(F.conv1d, "decoder.0.0", inner + second), dim=1)
    x = F.relu(convolve(F.conv_transpose1d, "decoder.0.2", x, 4))
    assert x.shape[-1] == 40
    x = F.glu(convolve(F.conv1d, "decoder.1.0", x + first[..., 4:44]), dim=1)
    expected = convolve(F.conv_transpose1d, "decoder.1.2", x, 4).reshape(1, 4, 2, 156)
    with torch.no_grad():
        torch.testing.assert_close(model.estimate(mixture), expected)


def test_skips_are_aligned_with_the_estimates():
    """Without an LSTM in the way, moving the input by one period of the strides moves the output as much."""
    torch.manual_seed(0)
    model = build("demucs", channels=4, depth=2, lstm_layers=1)
    model.lstm_out = torch.nn.Identity()
    model.lstm = _Passing()
    period = 16
    x = torch.randn(1, 2, model.valid_length(400) + period)
    with torch.no_grad():
        here, there = model.estimate(x[..., :-period]), model.estimate(x[..., period:])
    edge = 32  # where fewer transposed convolutions overlap
    torch.testing.assert_close(here[..., period:][..., edge:-edge], there[..., :-period][..., edge:-edge])


class _Passing(torch.nn.Module):
    def forward(self, x):
        return x, None


@pytest.mark.parametrize(("frames", "valid"), [(441000, 447146), (44100, 49834)])
def test_valid_lengths_of_the_second_release(frames, valid):
    """Worked out by its rule: twice the frames through six layers and back, then half."""
    length = 2 * frames
    for _ in range(6):
        length = -(-(length - 8) // 4) + 1 + 2
    for _ in range(6):
        length = 4 * (length - 1) + 8
    assert build("demucs_v2", channels=1).valid_length(frames) == -(-length // 2) == valid


def test_the_second_release_is_the_first_at_twice_the_rate():
    """The same layers between an interpolation by 2 and its inverse, here by FFT."""
    torch.manual_seed(0)
    model = build("demucs_v2", channels=4, depth=2, normalize=False).eval()
    torch.manual_seed(0)
    inside = build("demucs_v1", channels=4, depth=2, normalize=False).eval()
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), inside.parameters(), strict=True))
    frames = model.valid_length(2000) // 2 * 2
    spectrum = torch.fft.rfft(torch.randn(1, 2, frames))
    spectrum[..., frames // 8 :] = 0  # far below the cut-off, any good resampler agrees
    with torch.no_grad():
        expected = inside.estimate(2 * torch.fft.irfft(F.pad(spectrum, (0, frames // 2)), n=2 * frames))
        found = model.estimate(torch.fft.irfft(spectrum))
    low = slice(0, found.shape[-1] // 3)
    expected = torch.fft.rfft(expected * torch.hann_window(expected.shape[-1]))[..., low] / 2
    found = torch.fft.rfft(found * torch.hann_window(found.shape[-1]))[..., low]
    assert (found - expected).abs().pow(2).sum() < 1e-3 * expected.abs().pow(2).sum()


@pytest.mark.parametrize("name", ["demucs", "demucs_v1", "demucs_v2"])
def test_the_ablations_without_glu_and_without_lstm(name):
    """Table 2: ReLU in the place of each GLU halves what the convolutions before them give; no LSTM, no parameters."""
    settings = {"channels": 4, "depth": 2}
    plain, no_glu, no_lstm = (build(name, **settings, **more) for more in ({}, {"glu": False}, {"lstm_layers": 0}))
    mixture = torch.randn(1, 2, 2000)
    for model in (no_glu, no_lstm):
        assert model(mixture).shape == (1, 4, 2, 2000)
        assert count_parameters(model) < count_parameters(plain)
    assert not any(isinstance(module, torch.nn.GLU) for module in no_glu.modules())
    assert not any(isinstance(module, torch.nn.LSTM) for module in no_lstm.modules())
    last = 8  # channels of the deepest layer
    lstm = sum(2 * (4 * last * (inputs + last) + 8 * last) for inputs in (last, 2 * last)) + 2 * last * last + last
    assert count_parameters(plain) - count_parameters(no_lstm) == lstm


def test_the_paper_size_without_glu_worked_out_from_its_text():
    widths = [2, 48, 96, 192, 384, 768, 1536]
    with torch.device("meta"):
        less = count_parameters(build("demucs")) - count_parameters(build("demucs", glu=False))
    # encoder: wide x wide + wide; decoder: 2 wide x wide + wide
    assert less == sum(wide * wide + wide + 2 * wide * wide + wide for wide in widths[1:])
