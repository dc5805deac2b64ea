"""A picture, the Python API and a scan give the same spans for a track, with and without the second network."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from remix_miner import Detector, scan
from remix_miner.cli import main
from remix_miner.detector import fused_stream
from remix_miner.detector.calibration import Calibration, FusedSource
from remix_miner.detector.evidence import Fusion
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mining import thresholds

RATE = 22_050


class Brightness:
    """Evidence whose log-odds of silence follow the second of the track."""

    name, version, sha256, licence, source = "brightness", "1", "a" * 64, "MIT", "vocals"
    cost, margin_seconds = 0.0, 0.5

    def log_odds(self, mono: np.ndarray, centres: np.ndarray) -> np.ndarray:
        smooth = np.convolve(np.abs(np.diff(mono, prepend=0.0)), np.ones(4000) / 4000, "same")
        return 8 * np.sin(40 * smooth[np.clip(centres, 0, len(mono) - 1)])


@pytest.fixture
def detector(tiny_detector: Path, tmp_path: Path) -> Path:
    """The tiny detector, with joint probabilities of vocals at another threshold than its own."""
    folder = shutil.copytree(tiny_detector, tmp_path / "detector")
    calibration = Calibration.load(folder / "calibration.json")
    evidence = Brightness()
    fusion = Fusion(
        evidence.name, "1", evidence.sha256, "MIT", "vocals", -0.5, 1.2, 0.8, gate=0.05, sure=0.99, min_seconds=1.0
    )
    joint = dataclasses.replace(calibration.sources["vocals"], threshold=0.45)
    fused = {"vocals": FusedSource(fusion, joint)}
    dataclasses.replace(calibration, fused=fused).save(folder / "calibration.json")
    return folder


@pytest.fixture
def song(noise_song, tmp_path: Path) -> Path:  # type: ignore[no-untyped-def]
    """A song in a folder of its own; four seconds are out of phase, one second holds values that are not numbers."""
    (tmp_path / "library").mkdir()
    audio = noise_song(3, 24.0, RATE)
    audio[1, 6 * RATE : 10 * RATE] *= -1
    audio[:, 15 * RATE] = np.nan
    path: Path = tmp_path / "library" / "song.wav"
    soundfile.write(path, audio.T, RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize("installed", [True, False])
def test_picture_api_and_scan_give_the_same_spans(
    installed: bool,
    song: Path,
    detector: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(thresholds, "load_voice_activity", lambda: Brightness() if installed else None)
    monkeypatch.setattr(fused_stream, "_loaded", lambda: Brightness() if installed else None)
    options = ["--detector", str(detector), "--min-seconds", "1"]
    with pytest.raises(SystemExit):
        main(["detect", str(song.parent), "--out", str(tmp_path / "mined"), *options, "--workers", "0"])
    remarks = capsys.readouterr().err
    with Catalogue.read(tmp_path / "mined") as catalogue:
        rows = catalogue.database.execute("SELECT source, start_seconds, seconds, probability_mean FROM excerpts")
        mined = sorted(rows.fetchall())
    assert {source for source, *_ in mined} == {"drums", "bass", "vocals"}

    with pytest.raises(SystemExit):
        main(["plot-track", str(song), "--out", str(tmp_path / "a.png"), *options, "--device", "cpu", "--json"])
    output = capsys.readouterr()
    drawn = json.loads(output.out)
    found = Detector(detector)(song, min_seconds=1.0)
    for spans in (
        {source: [tuple(span.values())[:3] for span in spans] for source, spans in drawn["spans"].items()},
        {source: [dataclasses.astuple(span)[:3] for span in spans] for source, spans in found.spans.items()},
    ):
        as_mined = sorted((source, start, end - start, mean) for source in spans for start, end, mean in spans[source])
        assert [source for source, *_ in as_mined] == [source for source, *_ in mined]
        # Excerpts start and end at whole samples.
        np.testing.assert_allclose([row[1:] for row in as_mined], [row[1:] for row in mined], atol=2 / RATE)
    assert found.thresholds["vocals"] == (0.45 if installed else 0.3)
    loss = "vocals by the detector alone: brightness is not installed"
    for text in (remarks, output.err, " ".join(found.remarks), " ".join(drawn["remarks"])):
        assert (loss in text) is not installed
    for text in (output.err, " ".join(found.remarks)):
        assert "out of phase" in text
        assert "2 samples are NaN" in text
    assert repr(found).endswith("; 1 remark)" if installed else "; 2 remarks)")


def test_samples_give_the_joint_probabilities_of_their_file(
    song: Path, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thresholds, "load_voice_activity", Brightness)
    monkeypatch.setattr(fused_stream, "_loaded", Brightness)
    samples, rate = soundfile.read(song, dtype="float32")
    samples[np.isnan(samples)] = 0
    soundfile.write(song, samples, rate, subtype="FLOAT")
    silence_of = Detector(detector)
    given, read = silence_of(samples.T, rate, min_seconds=1.0), silence_of(song, min_seconds=1.0)
    np.testing.assert_array_equal(given.probabilities, read.probabilities)
    np.testing.assert_array_equal(given.mono, read.mono)
    assert given.spans == read.spans
    alone = scan(song, tmp_path / "mined", silence_of, min_seconds=1.0)
    assert alone.report.sources["vocals"]["seconds"] == pytest.approx(
        sum(span.seconds for span in given.spans["vocals"]), abs=0.01
    )
