"""``separate`` from file to file: formats, rates, channels, names, resuming, and what is said about them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from remix_miner.audio import read_audio, write_audio
from remix_miner.cli import main
from remix_miner.separators import loading
from remix_miner.separators.apply_separator import estimate_blocks
from remix_miner.separators.overlap_add import InferenceSettings

RATE = 8000


class Halves(nn.Module):
    """Two estimates of half the mixture each, made at its own rate and channels."""

    sources = ("drums", "vocals")
    segment_seconds = 0.5
    name = "halves"

    def __init__(self, sample_rate: int = RATE, audio_channels: int = 2, gain: float = 0.5) -> None:
        super().__init__()
        self.sample_rate, self.audio_channels, self.gain, self.calls = sample_rate, audio_channels, gain, 0

    def valid_length(self, frames: int) -> int:
        return frames

    def forward(self, mixture: Tensor, frames: int | None = None) -> Tensor:
        self.calls += 1
        return self.gain * mixture[:, None].expand(-1, 2, -1, -1)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Halves:
    found = Halves()
    monkeypatch.setattr(loading, "load_separator", lambda name, device="cpu": found)
    return found


def _noise(path: Path, seconds: float = 1.3, rate: int = RATE, channels: int = 2, level: float = 0.1) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = (level * np.random.default_rng(len(path.name)).standard_normal((channels, round(seconds * rate)))).astype(
        np.float32
    )
    soundfile.write(path, audio.T, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return audio


def _run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_a_float_file_comes_back_exactly_and_the_estimates_sum_to_it(tmp_path: Path, model: Halves) -> None:
    audio = _noise(tmp_path / "song.wav")
    assert _run("separate", "halves", tmp_path / "song.wav", "--out", tmp_path / "out") == 0
    estimates = [read_audio(tmp_path / "out" / "song" / f"{name}.wav") for name in model.sources]
    assert {rate for _, rate in estimates} == {RATE}
    np.testing.assert_allclose(sum(estimate for estimate, _ in estimates), audio, atol=1e-6)
    assert soundfile.info(tmp_path / "out" / "song" / "drums.wav").subtype == "FLOAT"


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (11025, 2), (22050, 1), (4000, 2)])
def test_rate_channels_and_length_come_back(rate: int, channels: int) -> None:
    seconds = 1.7
    time = np.arange(round(rate * seconds)) / rate
    tone = np.stack([0.3 * np.sin(2 * np.pi * 300 * time)] * channels).astype(np.float32)
    blocks = [block.T for block in np.array_split(tone, 7, axis=-1)]
    estimates = np.concatenate(list(estimate_blocks(Halves(), blocks, rate, channels, InferenceSettings())), axis=-1)
    assert estimates.shape == (2, *tone.shape)
    middle = slice(rate // 5, -rate // 5)
    np.testing.assert_allclose(estimates.sum(axis=0)[:, middle], tone[:, middle], atol=1e-4)


def test_more_channels_than_the_model_takes_are_averaged_and_it_is_said(
    tmp_path: Path, model: Halves, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = _noise(tmp_path / "six.wav", channels=6)
    assert _run("separate", "halves", tmp_path / "six.wav", "--out", tmp_path / "out") == 0
    estimate, _ = read_audio(tmp_path / "out" / "six" / "drums.wav")
    np.testing.assert_allclose(estimate, np.repeat(0.5 * audio.mean(axis=0, keepdims=True), 2, axis=0), atol=1e-6)
    assert "6 channels averaged to mono; estimates have 2" in capsys.readouterr().err


def test_songs_of_one_name_get_folders_of_their_own_also_in_later_runs(tmp_path: Path, model: Halves) -> None:
    first, second = _noise(tmp_path / "a" / "song.wav"), _noise(tmp_path / "b" / "song.flac", level=0.05)
    out = tmp_path / "out"
    assert _run("separate", "halves", tmp_path / "a" / "song.wav", "--out", out) == 0
    assert _run("separate", "halves", tmp_path / "b" / "song.flac", tmp_path / "a" / "song.wav", "--out", out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["song", "song (2)"]
    for folder, audio in (("song", first), ("song (2)", second)):
        estimate, _ = read_audio(out / folder / "vocals.wav")
        np.testing.assert_allclose(2 * estimate, audio, atol=1e-4)


def test_a_rerun_does_nothing_and_other_settings_are_refused(
    tmp_path: Path, model: Halves, capsys: pytest.CaptureFixture[str]
) -> None:
    _noise(tmp_path / "song.wav")
    arguments = ("separate", "halves", tmp_path / "song.wav", "--out", tmp_path / "out")
    assert _run(*arguments) == 0
    calls = model.calls
    assert _run(*arguments, "--json") == 0
    assert model.calls == calls
    assert json.loads(capsys.readouterr().out.split("\n", 2)[-1])["files"][0]["resumed"]
    (tmp_path / "out" / "song" / "drums.wav").unlink()
    assert _run(*arguments) == 0
    assert model.calls > calls
    assert _run(*arguments, "--shifts", "2") == 2
    assert "differ in inference" in capsys.readouterr().err
    assert _run(*arguments, "--shifts", "2", "--restart") == 0


def test_clipping_is_counted_never_hidden_by_a_gain(
    tmp_path: Path, model: Halves, capsys: pytest.CaptureFixture[str]
) -> None:
    model.gain = 1.0
    audio = np.array([[0.5, 1.5, -2.0, 0.25] * 100] * 2, dtype=np.float32)
    write_audio(tmp_path / "loud.wav", audio, RATE)
    assert _run("separate", "halves", tmp_path / "loud.wav", "--out", tmp_path / "wav") == 0
    np.testing.assert_allclose(read_audio(tmp_path / "wav" / "loud" / "drums.wav")[0], audio, atol=1e-6)
    assert _run("separate", "halves", tmp_path / "loud.wav", "--out", tmp_path / "flac", "--format", "flac24") == 0
    clipped, _ = read_audio(tmp_path / "flac" / "loud" / "drums.flac")
    np.testing.assert_allclose(clipped, audio.clip(-1, 1), atol=1e-6)
    assert soundfile.info(tmp_path / "flac" / "loud" / "drums.flac").subtype == "PCM_24"
    assert capsys.readouterr().err.count("beyond full scale") == 2


def test_a_damaged_file_is_reported_and_the_others_are_separated(tmp_path: Path, model: Halves) -> None:
    _noise(tmp_path / "good.wav")
    (tmp_path / "bad.flac").write_bytes(b"fLaC" + bytes(100))
    assert _run("separate", "halves", tmp_path / "bad.flac", tmp_path / "good.wav", "--out", tmp_path / "out") == 1
    assert (tmp_path / "out" / "good" / "vocals.wav").exists()
    assert not (tmp_path / "out" / "bad").exists() or not any((tmp_path / "out" / "bad").iterdir())


def test_an_interrupted_song_leaves_no_file(tmp_path: Path, model: Halves, monkeypatch: pytest.MonkeyPatch) -> None:
    _noise(tmp_path / "song.wav", seconds=25)

    def interrupted(mixture: Tensor, frames: int | None = None) -> Any:
        model.calls += 1
        if model.calls > 3:
            raise KeyboardInterrupt
        return 0.5 * mixture[:, None].expand(-1, 2, -1, -1)

    monkeypatch.setattr(model, "forward", interrupted)
    assert _run("separate", "halves", tmp_path / "song.wav", "--out", tmp_path / "out") == 130
    assert list((tmp_path / "out").rglob("*.*")) == []
    assert torch.is_grad_enabled()
