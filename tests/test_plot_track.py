"""Picture of one song: from stems, from a file, and from both."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from remix_miner.cli import main
from remix_miner.detector.loading import load_detector
from remix_miner.figures.predicted_song import predict_song
from remix_miner.figures.song import song_figure


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


@pytest.fixture
def song(stem_corpus: Callable[..., Path], tmp_path: Path) -> Path:
    return stem_corpus(tmp_path / "songs", {"a - one": 6.0}) / "a - one"


def test_stems_give_the_picture_of_their_sum_and_its_true_volumes(song: Path, tiny_detector: Path) -> None:
    model = load_detector(tiny_detector).model
    predicted = predict_song(model, song)
    assert predicted.name == "a - one"
    assert predicted.seconds == pytest.approx(6.0)
    assert predicted.volumes is not None
    assert predicted.volumes.shape == predicted.probabilities.shape
    assert predicted.valid.all()
    made = song_figure(predicted, {"drums": 0.1, "bass": None})
    # A spectrogram, and for each source its probability and its volume.
    assert len(made.axes) == 9
    assert "true volume" in made.axes[-1].get_xlabel()
    assert any("no threshold" in text.get_text() for axis in made.axes for text in axis.texts)


def test_a_file_alone_has_no_truth(song: Path, tiny_detector: Path) -> None:
    predicted = predict_song(load_detector(tiny_detector).model, song / "vocals.wav")
    assert predicted.volumes is None
    made = song_figure(predicted, {})
    assert len(made.axes) == 5
    assert "true volume" not in made.axes[-1].get_xlabel()


def test_a_file_with_stems_is_drawn_itself_with_their_volumes(song: Path, tiny_detector: Path, tmp_path: Path) -> None:
    rate = soundfile.info(song / "drums.wav").samplerate
    longer = 0.1 * np.random.default_rng(0).standard_normal((8 * rate, 2))
    soundfile.write(tmp_path / "mix.wav", longer, rate, subtype="FLOAT")
    predicted = predict_song(load_detector(tiny_detector).model, tmp_path / "mix.wav", song)
    assert predicted.volumes is not None
    assert predicted.volumes.shape == predicted.probabilities.shape == (4, 125)
    # The stems end after 6 s: 93.75 windows.
    assert not np.isnan(predicted.volumes[:, :94]).any()
    assert np.isnan(predicted.volumes[:, 94:]).all()


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot_track_draws_and_lists_spans(
    song: Path, tiny_detector: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"song.{suffix}"
    arguments = ["plot-track", str(song), "--detector", str(tiny_detector), "--min-seconds", "0.5", "--out", str(out)]
    assert run(*arguments, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["spans"]) == {"drums", "bass", "vocals"}
    assert out.stat().st_size > 5000
    first = out.read_bytes()
    assert run(*arguments) == 0
    assert "harvested" in capsys.readouterr().out
    assert suffix == "png" or out.read_bytes() == first


def test_what_cannot_be_drawn_is_said(
    song: Path, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = ["--detector", str(tiny_detector)]
    assert run("plot-track", str(song), *detector, "--out", str(tmp_path / "a.gif")) == 2
    assert "a picture is one of" in capsys.readouterr().err
    assert run("plot-track", str(song.parent / "missing.wav"), "--out", str(tmp_path / "a.png")) == 2
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), 16000)
    assert run("plot-track", str(tmp_path / "empty.wav"), *detector, "--out", str(tmp_path / "a.png")) == 2
    assert "no audio" in capsys.readouterr().err
