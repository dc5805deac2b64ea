"""TFC-TDF-U-Nets and the Mixer against published sizes and what their parts must do."""

import pytest
import torch

from remix_miner.errors import DataError, UsageError
from remix_miner.separators import build
from remix_miner.separators.base import centre_fit, count_parameters
from remix_miner.separators.loading import load_separator, save_separator
from remix_miner.separators.spectrogram import Spectrogram

PART = {"n_fft": 256, "hop_frames": 64, "bins": 64, "growth": 4, "levels": 2}


@pytest.mark.parametrize(
    ("name", "settings", "millions"),
    [
        ("tfc_tdf_v1", {}, 2.2),  # the same table
        ("tfc_tdf_v2", {}, 7.4),  # Kim et al. 2021, the table 'Configurations and Training'
        ("tfc_tdf_v3", {}, 69.6),  # 'about 70 M'
        # a public MUSDB18 configuration of the same network
        ("tfc_tdf_v3", {"hop_frames": 1024, "levels": 5, "channels": 128, "growth": 128, "blocks": 2}, 112.0),
    ],
)
def test_published_sizes(name, settings, millions):
    with torch.device("meta"):
        assert round(count_parameters(build(name, **settings)) / 1e6, 1) == millions


@pytest.mark.parametrize(("source", "n_fft"), [("vocals", 6144), ("drums", 4096), ("bass", 16384), ("other", 8192)])
def test_each_source_has_the_papers_transform_and_segments_of_256_columns(source, n_fft):
    with torch.device("meta"):
        model = build("tfc_tdf_v2", sources=(source,))
    assert model.spectrogram.n_fft == n_fft
    frames = model.valid_length(round(model.segment_seconds * model.sample_rate))
    assert frames == 261120
    assert model.spectrogram.columns(frames) == 256


def test_a_whole_spectrogram_gives_the_signal_back():
    spectrogram = Spectrogram(256, 64, 129)
    signals = torch.randn(2, 2, 64 * 31)
    channels = spectrogram(signals)
    assert channels.shape == (2, 4, 129, 32)
    torch.testing.assert_close(spectrogram.inverse(channels), signals, rtol=1e-4, atol=1e-5)


def test_bins_above_the_cut_are_silent():
    spectrogram = Spectrogram(256, 64, 32)  # a quarter of the band
    time = torch.arange(64 * 63) / 8000
    low, high = torch.sin(2 * torch.pi * 500 * time), torch.sin(2 * torch.pi * 3000 * time)
    kept = spectrogram.inverse(spectrogram((low + high)[None, None]))[0, 0]
    centre = slice(500, -500)
    torch.testing.assert_close(kept[centre], low[centre], rtol=0, atol=2e-3)


def test_spectrogram_columns_hold_real_and_imaginary_parts_in_turn():
    spectrogram = Spectrogram(256, 64, 129)
    signals = torch.randn(1, 2, 64 * 7)
    expected = torch.stft(signals[0], 256, 64, window=torch.hann_window(256), return_complex=True)
    channels = spectrogram(signals)[0]
    torch.testing.assert_close(channels[0], expected[0].real)
    torch.testing.assert_close(channels[3], expected[1].imag)


def test_folding_into_subbands_and_back_is_the_identity():
    model = build("tfc_tdf_v3", n_fft=256, hop_frames=64, bins=128, growth=4, channels=4, levels=2, blocks=1)
    x = torch.randn(1, 4, 128, 5)
    folded = model._fold(x)
    assert folded.shape == (1, 16, 32, 5)
    assert torch.equal(model._unfold(folded), x)
    assert torch.equal(folded[:, 0], x[:, 0, :32])  # a subband is a contiguous range of frequencies
    assert torch.equal(folded[:, 1], x[:, 0, 32:64])


def test_sizes_that_cannot_be_halved_are_refused():
    with pytest.raises(UsageError, match="multiple of 2"):
        build("tfc_tdf_v2", n_fft=256, hop_frames=64, bins=100, levels=3)
    with pytest.raises(UsageError, match="129 bins, 200 cannot be kept"):
        build("tfc_tdf_v2", n_fft=256, hop_frames=64, bins=200, levels=2)


def test_the_mixer_starts_by_changing_nothing_and_alone_is_trained():
    torch.manual_seed(0)
    model = build("kuielab_mdx_net", part=PART).train()
    mixture = torch.randn(1, 2, 3000)
    estimates = model(mixture)
    with torch.no_grad():
        length = model.valid_length(3000)
        padded = centre_fit(mixture, length)
        alone = torch.stack([part(padded, 3000)[:, 0] for part in model.parts.values()], dim=1)
    torch.testing.assert_close(estimates, alone, rtol=1e-4, atol=1e-5)
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == ["mixer.weight"]
    assert model.mixer.weight.shape == (8, 10)  # Linear((4 + 1) * 2 -> 8)
    assert not any(part.training for part in model.parts.values())
    assert model.training


def test_the_mixer_takes_trained_separators(tmp_path):
    trained = {}
    for number, source in enumerate(("drums", "bass")):
        torch.manual_seed(number)
        trained[source] = build("tfc_tdf_v2", sources=(source,), **PART)
        save_separator(tmp_path / source, trained[source])
    model = build("kuielab_mdx_net", sources=("drums", "bass"), part=PART)
    paths = {source: tmp_path / source for source in trained}
    model.load_parts(paths)
    for source, part in trained.items():
        assert torch.equal(model.parts[source].last.weight, part.last.weight)
    with pytest.raises(DataError, match="separates bass, not drums alone"):
        model.load_parts({"drums": paths["bass"], "bass": paths["bass"]})
    with pytest.raises(UsageError, match="a model is needed for each of drums, bass"):
        model.load_parts({"drums": paths["drums"]})
    save_separator(tmp_path / "mixer", model)
    assert torch.equal(load_separator(tmp_path / "mixer").parts["bass"].last.weight, trained["bass"].last.weight)


def test_v1_has_nine_blocks_of_five_convolutions_and_segments_of_128_columns():
    """Kim et al. 2021, the table 'Configurations and Training': # TFC-TDF blocks 9, # convs 5, bottleneck factor 16."""
    with torch.device("meta"):
        model = build("tfc_tdf_v1")
    blocks = [module for module in model.modules() if type(module).__name__ == "DenseTfcTdf"]
    assert len(blocks) == 9
    assert {len(block.tfc) for block in blocks} == {5}
    assert model.spectrogram.bins // blocks[0].tdf[0].out_features == 16
    frames = model.valid_length(round(model.segment_seconds * model.sample_rate))
    assert (frames, model.spectrogram.columns(frames)) == (127 * 1024, 128)


def test_v1_convolutions_see_every_output_before_them():
    """Worked by hand for growth 24: 24, 48, ... 120 inputs in the encoder; 48 to 144 after concatenated skips."""
    with torch.device("meta"):
        model = build("tfc_tdf_v1")
    widths = [[layer[0].in_channels for layer in block.tfc] for block in (model.encoder[0], model.decoder[0])]
    assert widths == [[24, 48, 72, 96, 120], [48, 72, 96, 120, 144]]
