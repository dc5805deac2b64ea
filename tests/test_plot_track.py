"""Picture of one song: from stems, from a file, and from both."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.api.detector import Detector, SongSilence
from remix_miner.cli import main
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.figures.predicted_song import song_volumes


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


@pytest.fixture
def song(stem_corpus: Callable[..., Path], tmp_path: Path) -> Path:
    return stem_corpus(tmp_path / "songs", {"a - one": 6.0}) / "a - one"


def figure_of(song: SongSilence, volumes: np.ndarray | None = None) -> Any:
    return song.plot(volumes).figure


def volumes_of(song: Path, windows: int) -> np.ndarray:
    return song_volumes(load_stem_tracks(song)[0], windows)


def test_a_picture_has_probabilities_and_true_volumes(song: Path, tiny_detector: Path) -> None:
    (track,) = load_stem_tracks(song)
    predicted = Detector(tiny_detector)(track.read().sum(axis=0), track.sample_rate)
    volumes = volumes_of(song, len(predicted.times))
    assert predicted.seconds == pytest.approx(6.0)
    assert volumes.shape == predicted.probabilities.shape
    assert predicted.valid.all()
    assert not np.isnan(volumes).any()
    made = figure_of(dataclasses.replace(predicted, thresholds={"drums": 0.1, "bass": None}), volumes)
    # A spectrogram, and for each source its probability and its volume.
    assert len(made.axes) == 9
    assert "true volume" in made.axes[-1].get_xlabel()
    assert any("no threshold" in text.get_text() for axis in made.axes for text in axis.texts)


def test_a_file_alone_has_no_truth(song: Path, tiny_detector: Path) -> None:
    made = figure_of(Detector(tiny_detector)(song / "vocals.wav"))
    assert len(made.axes) == 5
    assert "true volume" not in made.axes[-1].get_xlabel()


def test_volumes_are_unknown_behind_the_end_of_the_stems(song: Path) -> None:
    volumes = volumes_of(song, 125)
    assert volumes.shape == (4, 125)
    # The stems end after 6 s: 93.75 windows.
    assert not np.isnan(volumes[:, :94]).any()
    assert np.isnan(volumes[:, 94:]).all()
    np.testing.assert_array_equal(volumes_of(song, 50), volumes[:, :50])


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot_track_draws_and_lists_spans(
    song: Path, tiny_detector: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"song.{suffix}"
    arguments = ["plot-track", str(song), "--detector", str(tiny_detector), "--min-seconds", "1", "--out", str(out)]
    assert run(*arguments, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["spans"]) == {"drums", "bass", "vocals"}
    assert result["remarks"] == []
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
