"""The Python face: a detector, a separator and an evaluation as functions of a song or a corpus."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import remix_miner
from remix_miner import Detector, MinedExcerpts, build, evaluate, scan, separate
from remix_miner.cli import main
from remix_miner.detector.loading import load_detector
from remix_miner.errors import UsageError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.track.scan import scan_audio

STUB = Path(remix_miner.__file__).with_name("__init__.pyi").read_text(encoding="utf-8")


@pytest.fixture
def song(tmp_path: Path) -> Path:
    samples = 0.1 * np.random.default_rng(0).standard_normal((2, 12 * 16000)).astype(np.float32)
    soundfile.write(tmp_path / "song.wav", samples.T, 16000, subtype="FLOAT")
    return tmp_path / "song.wav"


def test_every_public_name_exists_and_is_typed() -> None:
    stated = dict(re.findall(r"^from ([\w.]+) import (\w+) as \2$", STUB, re.MULTILINE))
    assert len(stated) == STUB.count(" as ")
    assert set(re.findall(r" as (\w+)$", STUB, re.MULTILINE)) == set(remix_miner.PUBLIC)
    for name, module in remix_miner.PUBLIC.items():
        assert getattr(remix_miner, name) is getattr(importlib.import_module(module), name)
        assert f"from {module} import {name} as {name}\n" in STUB
        assert name in dir(remix_miner)


def test_a_detector_finds_in_a_file_what_a_scan_finds(song: Path, tiny_detector: Path) -> None:
    detector = Detector(tiny_detector)
    found = detector(song, min_seconds=1.0)
    thresholds = {source: threshold for source, threshold in detector.thresholds.items() if threshold is not None}
    scanned = scan_audio(song, load_detector(tiny_detector).model, ScanSettings(thresholds, 1.0))
    np.testing.assert_array_equal(found.probabilities, scanned.probabilities)
    spans = [(source, span.start_seconds) for source, spans in found.spans.items() for span in spans]
    assert len(spans) == len(scanned.found) > 0
    for excerpt in scanned.found:
        assert any(
            source == excerpt.source and abs(start - excerpt.start_frame / 16000) < 1e-3 for source, start in spans
        )
    assert found.times[-1] == pytest.approx(12.0, abs=0.064)


def test_thresholds_can_be_changed(song: Path, tiny_detector: Path) -> None:
    """At p = 0 the whole song is one span, and without a threshold a source has none."""
    detector = Detector(tiny_detector)
    detector.thresholds |= {"drums": 0.0, "bass": None}
    result = detector(song, min_seconds=1.0)
    (span,) = result.spans["drums"]
    assert span.seconds == pytest.approx(result.seconds)
    assert "bass" not in result.spans
    assert result.thresholds["drums"] == 0.0
    detector.thresholds |= {"other": None, "vocals": None}
    assert list(detector(song, min_seconds=1.0).spans) == ["drums"]
    detector.thresholds |= {"drums": None}
    assert detector(song, min_seconds=1.0).spans == {}


def test_samples_give_what_their_file_gives(song: Path, tiny_detector: Path) -> None:
    detector = Detector(tiny_detector)
    samples, rate = soundfile.read(song, dtype="float32")
    for given in (samples.T, torch.from_numpy(samples.T)):
        np.testing.assert_array_equal(detector(given, rate).probabilities, detector(song).probabilities)
    mono = detector(samples.mean(axis=1, dtype=np.float32), rate)
    np.testing.assert_allclose(mono.probabilities, detector(song).probabilities, atol=1e-5)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((2, 16000)), None, "sample rate"),
        (np.zeros((16000, 2)), 16000, "transpose"),
        (np.zeros((2, 2, 16000)), 16000, "shape"),
        (np.full((1, 16000), np.nan), 16000, "NaN"),
    ],
)
def test_samples_that_cannot_be_used_are_refused(
    samples: np.ndarray, rate: int | None, message: str, tiny_detector: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        Detector(tiny_detector)(samples, rate)


def test_a_picture_shows_in_a_notebook_and_is_saved(song: Path, tiny_detector: Path, tmp_path: Path) -> None:
    picture = Detector(tiny_detector)(song).plot()
    assert picture._repr_png_().startswith(b"\x89PNG")
    picture.save(tmp_path / "song.svg")
    assert "<svg" in (tmp_path / "song.svg").read_text(encoding="utf-8")


def test_descriptions_are_short(
    song: Path, tiny_detector: Path, mine: Callable[..., Catalogue], tmp_path: Path
) -> None:
    mine(tmp_path / "mined", {"a.mp3": {"vocals": [5.0]}}).close()
    detector = Detector(tiny_detector)
    default = load_detector("default")
    for thing in (detector, detector(song), default, default.calibration, MinedExcerpts(tmp_path / "mined")):
        assert len(repr(thing)) < 250, repr(thing)
        assert "\n" not in repr(thing)
    assert repr(MinedExcerpts(tmp_path / "mined")).endswith("1 excerpt: 0.00 h without vocals)")


def test_separate_gives_each_source_at_the_songs_rate_and_length(song: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build("demucs", channels=4, depth=2, sample_rate=8000, segment_seconds=2.0).eval()
    estimates = separate(model, song)
    assert list(estimates) == ["drums", "bass", "other", "vocals"]
    assert {audio.shape for audio in estimates.values()} == {(2, 12 * 16000)}
    samples, rate = soundfile.read(song, dtype="float32")
    np.testing.assert_allclose(separate(model, samples.T, rate)["bass"], estimates["bass"], atol=1e-6)
    paths = estimates.save(tmp_path / "estimates")
    written, rate = soundfile.read(paths[0], dtype="float32")
    assert rate == 16000
    np.testing.assert_array_equal(written.T, estimates["drums"])


def test_evaluate_scores_an_oracle_as_worked_out_by_hand(stem_corpus: Callable[..., Path], tmp_path: Path) -> None:
    corpus = stem_corpus(tmp_path / "songs", {"a - one": 3.0, "b - two": 3.0})
    scores = evaluate("mixture", corpus, metrics=["usdr"])
    expected = []
    for name in ("a - one", "b - two"):
        stems = [soundfile.read(corpus / name / f"{source}.wav", dtype="float64")[0] for source in remix_miner.SOURCES]
        rest = sum(stems) - stems[0]
        expected.append(10 * np.log10((stems[0] ** 2).sum() / (rest**2).sum()))
    assert scores["usdr"]["drums"] == pytest.approx(np.mean(expected), abs=1e-2)
    assert "drums" in str(scores)
    assert "2 songs" in repr(scores)
    with pytest.raises(UsageError, match="csdr"):
        scores["csdr"]


def test_scan_mines_what_the_command_mines(
    noise_library: Callable[[int], Path], tiny_detector: Path, tmp_path: Path, harvest_of: Callable[..., Any]
) -> None:
    library = noise_library(2)
    result = scan(library, tmp_path / "a", Detector(tiny_detector), min_seconds=1.0, keep_duplicates=True)
    options = ["--detector", str(tiny_detector), "--keep-duplicates", "--workers", "0", "--min-seconds", "1"]
    with pytest.raises(SystemExit) as exit_:
        main(["detect", str(library), "--out", str(tmp_path / "b"), *options])
    assert exit_.value.code == 0
    assert harvest_of(tmp_path / "a") == harvest_of(tmp_path / "b") != {}
    assert len(result.excerpts(seconds=2.0)) > 0
    assert "2 tracks" in repr(result)
    assert "2 tracks scanned" in str(result)
