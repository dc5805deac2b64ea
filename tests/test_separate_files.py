"""``separate`` from file to file: formats, rates, channels, names, resuming, and what is said about them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from remix_miner.audio import read_audio, write_audio, writer
from remix_miner.cli import main
from remix_miner.separators import loading
from remix_miner.separators.apply_separator import estimate_blocks
from remix_miner.separators.overlap_add import InferenceSettings
from remix_miner.separators.regrouping import TwoStems

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
    monkeypatch.setattr(loading, "load_separator", lambda name, device="cpu", download=False: found)
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


def test_values_that_are_no_numbers_are_counted_and_shown(
    tmp_path: Path, model: Halves, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three bad samples in the input are replaced with a remark; bad estimates make the song incomplete."""
    audio = np.full((2, 800), 0.25, dtype=np.float32)
    audio[0, 100], audio[1, 200], audio[1, 201] = np.nan, np.inf, -np.inf
    soundfile.write(tmp_path / "song.wav", audio.T, RATE, subtype="FLOAT")
    arguments = ("separate", "halves", tmp_path / "song.wav", "--out", tmp_path / "out")
    assert _run(*arguments) == 0
    assert "3 samples of the file are NaN or infinite" in capsys.readouterr().err
    assert _run(*arguments, "--json") == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["replaced_in_input"] == 3  # the record keeps it

    def broken(mixture: Tensor, frames: int | None = None) -> Tensor:
        estimates = 0.5 * mixture[:, None].repeat(1, 2, 1, 1)
        estimates[0, 1, 0, 50:52] = torch.nan
        return estimates

    monkeypatch.setattr(model, "forward", broken)
    assert _run(*arguments, "--restart", "--json", "--segment-seconds", "1") == 1
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["files"][0]["replaced"] == {"vocals": 2}
    assert "vocals 2" in said.err
    assert list(document["failed"]) == [str(tmp_path / "song.wav")]
    assert np.isfinite(soundfile.read(tmp_path / "out" / "song" / "vocals.wav")[0]).all()


def test_a_changed_input_is_reported_and_the_others_are_separated(
    tmp_path: Path, model: Halves, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        _noise(tmp_path / f"{name}.wav")
    out = tmp_path / "out"
    assert _run("separate", "halves", tmp_path / "a.wav", "--out", out) == 0
    _noise(tmp_path / "a.wav", seconds=0.7)
    both = ("separate", "halves", tmp_path / "a.wav", tmp_path / "b.wav", "--out", out)
    assert _run(*both) == 1
    assert "a.wav has changed since its estimates" in capsys.readouterr().err
    assert (out / "b" / "vocals.wav").is_file()
    assert soundfile.info(out / "a" / "vocals.wav").frames == round(1.3 * RATE)
    assert _run(*both, "--restart") == 0
    assert soundfile.info(out / "a" / "vocals.wav").frames == round(0.7 * RATE)


def test_other_settings_are_refused_before_any_work(tmp_path: Path, model: Halves) -> None:
    for name in ("a", "b"):
        _noise(tmp_path / f"{name}.wav")
    assert _run("separate", "halves", tmp_path / "b.wav", "--out", tmp_path / "out") == 0
    files = (tmp_path / "a.wav", tmp_path / "b.wav")
    assert _run("separate", "halves", *files, "--out", tmp_path / "out", "--overlap", "0.5") == 2
    assert not (tmp_path / "out" / "a").exists()


@pytest.mark.parametrize(("target", "rest"), [("vocals", 0.5), ("drums", 0.5)])
def test_two_stems_are_the_target_and_the_sum_of_the_others(
    tmp_path: Path, model: Halves, target: str, rest: float
) -> None:
    audio = _noise(tmp_path / "song.wav")
    arguments = ("separate", "halves", tmp_path / "song.wav", "--out", tmp_path / "out")
    assert _run(*arguments, "--two-stems", target) == 0
    names = sorted(path.name for path in (tmp_path / "out" / "song").glob("*.wav"))
    assert names == sorted([f"{target}.wav", f"no_{target}.wav"])
    estimate, _ = read_audio(tmp_path / "out" / "song" / f"no_{target}.wav")
    np.testing.assert_allclose(estimate, rest * audio, atol=1e-6)
    assert _run(*arguments, "--two-stems", "bass") == 2
    assert _run(*arguments) == 2  # the folder holds two stems


def test_two_stems_of_a_model_of_one_source_add_up_to_the_mixture() -> None:
    class Voice(Halves):
        sources = ("vocals",)

        def forward(self, mixture: Tensor, frames: int | None = None) -> Tensor:
            return 0.3 * mixture[:, None, :, 10:-10]

    mixture = torch.randn(1, 2, 120)
    estimates = TwoStems(Voice(), "vocals")(mixture, 100)
    torch.testing.assert_close(estimates.sum(dim=1), mixture[..., 10:-10])


@pytest.mark.parametrize(
    ("file_format", "suffix", "subtype"), [("flac", "flac", "PCM_24"), ("mp3", "mp3", "MPEG_LAYER_III")]
)
def test_formats(tmp_path: Path, model: Halves, file_format: str, suffix: str, subtype: str) -> None:
    audio = _noise(tmp_path / "song.wav")
    assert _run("separate", "halves", tmp_path / "song.wav", "--out", tmp_path / "out", "--format", file_format) == 0
    path = tmp_path / "out" / "song" / f"vocals.{suffix}"
    assert soundfile.info(path).subtype == subtype
    estimate, _ = read_audio(path)
    assert estimate.shape[0] == 2
    assert estimate.std() == pytest.approx(0.5 * audio.std(), rel=0.1)


def test_a_rate_that_mp3_lacks_is_reported(tmp_path: Path, model: Halves, capsys: pytest.CaptureFixture[str]) -> None:
    _noise(tmp_path / "song.wav", rate=96000, seconds=0.2)
    assert _run("separate", "halves", tmp_path / "song.wav", "--out", tmp_path / "out", "--format", "mp3") == 1
    assert "mp3 does not hold 96000 Hz" in capsys.readouterr().err


def test_an_output_folder_that_is_a_file_is_refused_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loading, "load_separator", lambda name, device="cpu", download=False: pytest.fail("loaded"))
    _noise(tmp_path / "song.wav")
    assert _run("separate", "halves", tmp_path / "song.wav", "--out", tmp_path / "song.wav") == 2
    assert "is a file, not a folder" in capsys.readouterr().err


def test_estimates_that_may_exceed_four_gibibytes_are_rf64(
    tmp_path: Path, model: Halves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RIFF_BYTES", 50_000)
    audio = _noise(tmp_path / "song.flac", seconds=1.3)
    assert _run("separate", "halves", tmp_path / "song.flac", "--out", tmp_path / "out") == 0
    path = tmp_path / "out" / "song" / "vocals.wav"
    assert path.read_bytes()[:4] == b"RF64"
    np.testing.assert_allclose(read_audio(path)[0], 0.5 * audio, atol=1e-4)


def test_a_full_disk_ends_with_status_1_and_leaves_the_earlier_estimates(tmp_path: Path) -> None:
    """A limit on file sizes stands for a full disk."""
    _noise(tmp_path / "song.wav", seconds=3)
    program = """
import resource, sys
sys.path.insert(0, {tests!r})
import remix_miner.separators.loading as loading
from test_separate_files import Halves
from remix_miner.cli import main
loading.load_separator = lambda name, device="cpu", download=False: Halves()
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
main(["separate", "halves", {song!r}, "--out", {out!r}, *{more!r}])
"""
    values = {"tests": str(Path(__file__).parent), "song": str(tmp_path / "song.wav"), "out": str(tmp_path / "out")}
    done = [
        subprocess.run(
            [sys.executable, "-c", program.format(**values, limit=limit, more=more)],
            capture_output=True,
            text=True,
            timeout=300,
        )
        for limit, more in ((10**7, []), (60_000, ["--restart"]))
    ]
    assert [each.returncode for each in done] == [0, 1], done[1].stderr
    assert "file too large" in done[1].stderr
    assert "Traceback" not in done[1].stderr
    assert soundfile.info(tmp_path / "out" / "song" / "vocals.wav").frames == 3 * RATE


def test_a_song_in_the_place_of_the_model_gets_advice(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["separate", str(tmp_path / "song.mp3"), "--out", str(tmp_path / "out")])
    assert exit_.value.code == 2
    assert "MODEL is missing" in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit_:
        main(["separate", "htdemucs", "--out", str(tmp_path / "out")])
    assert exit_.value.code == 2
    assert "FILES are missing" in capsys.readouterr().err
