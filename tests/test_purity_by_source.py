"""A promised purity for each source: in a scan, in a second mining and in a calibration."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remix_miner.calibration.fit import calibrate_source
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.cli import main
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.left_out import LeftOut
from remix_miner.detector.purity_curve import PurityCurve
from remix_miner.errors import UsageError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mining.thresholds import parse_purities, thresholds_of
from remix_miner.sources import parse_by_source

CURVE = PurityCurve([0.1, 0.3, 0.5], [0.85, 0.95, 0.985], [0.9, 0.97, 1.0], [None] * 3, [0.9, 0.6, 0.2], [9] * 3)
"""0.1 for a purity of 85% and less, 0.3 up to 95%, 0.5 up to 98.5%."""


@pytest.fixture
def curved(tiny_detector: Path, tmp_path: Path) -> Path:
    """The calibration of the tiny detector with the curve, and with left-out artists for the drums."""
    calibration = Calibration.load(tiny_detector / "calibration.json")
    sources = {
        source: dataclasses.replace(fitted, curve=None if source == "other" else CURVE)
        for source, fitted in calibration.sources.items()
    }
    rows = [LeftOut(target, target - 0.1, 0.99, 0.25, 0.3, 9, 0, 0.1, 0.5) for target in (0.8, 0.95)]
    sources["drums"] = dataclasses.replace(sources["drums"], left_out=rows)
    settings = {**calibration.settings, "bound": "harvest"}
    dataclasses.replace(calibration, sources=sources, settings=settings).save(tmp_path / "curved.json")
    return tmp_path / "curved.json"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    return int(stop.value.code or 0), output.out, output.err


@pytest.mark.parametrize(
    ("texts", "of_all", "named"),
    [
        ([], None, {}),
        (["0.9"], 0.9, {}),
        (["drums=0.9", "0.95"], 0.95, {"drums": 0.9}),
        (["0.95, drums = .9,bass=.8"], 0.95, {"drums": 0.9, "bass": 0.8}),
    ],
)
def test_numbers_are_read_in_any_order(texts: list[str], of_all: float | None, named: dict[str, float]) -> None:
    assert parse_by_source(texts, "--purity") == (of_all, named)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["drums"], r"--purity is P or SOURCE=P, for example 0.9 or drums=0.9.*got 'drums'"),
        (["drums="], "got 'drums='"),
        (["=0.9"], "got '=0.9'"),
        (["piano=0.9"], "SOURCE among drums, bass; got 'piano=0.9'"),
        (["vocals=0.9"], "SOURCE among drums, bass; got 'vocals=0.9'"),
        (["0.9", "0.95"], "two values for all sources: 0.9 and 0.95"),
        (["drums=0.9,drums=0.8"], "two values for drums: 0.9 and 0.8"),
    ],
)
def test_other_values_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_purities(texts, ("drums", "bass"))


def test_each_source_has_the_threshold_of_its_own_purity(curved: Path) -> None:
    calibration = Calibration.load(curved)
    found = thresholds_of(calibration, ("drums", "bass", "vocals"), {"drums": 0.8, "bass": 0.98})
    assert found.of_sources == {"drums": 0.1, "bass": 0.5, "vocals": 0.3}
    assert found.purity == {"drums": 0.8, "bass": 0.98, "vocals": 0.95}
    refused = thresholds_of(calibration, ("drums", "bass"), {"drums": 0.999})
    assert refused.refused == {"drums": "the calibration promises no purity of 99.9% at any threshold"}
    assert refused.purity == {"bass": 0.95}
    assert thresholds_of(calibration, ("drums", "bass"), 0.8).purity == {"drums": 0.8, "bass": 0.8}
    for wrong, message in (({"vocals": 0.9}, "names vocals, which is not mined"), ({"drums": 90}, "between 0 and 1")):
        with pytest.raises(UsageError, match=message):
            thresholds_of(calibration, ("drums", "bass"), wrong)


def test_the_promise_is_that_of_the_requested_purity(curved: Path) -> None:
    drums, bass = thresholds_of(Calibration.load(curved), ("drums", "bass"), {"drums": 0.8, "bass": 0.975}).promises()
    assert drums == (
        "without drums: at least 80% of the seconds silent (at or below -20 dB), with 95% confidence; 90.0% on the "
        "calibration songs, where 90% of the silent audio is found; the rule gives 70.0% on artists left out of the "
        "choice, with 25% of the silent audio found"
    )
    assert bass == (
        "without bass: at least 97.5% of the seconds silent (at or below -20 dB), with 95% confidence; 100.0% on the "
        "calibration songs, where 20% of the silent audio is found"
    )


def test_a_scan_keeps_and_resumes_with_a_purity_for_each_source(
    noise_library: Callable[[int], Path],
    tiny_detector: Path,
    curved: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shared = ["--detector", tiny_detector, "--calibration", curved, "--min-seconds", 1, "--workers", 0]
    scan = ["detect", noise_library(2), "--out", tmp_path / "mined", *shared[:-2], "--workers", 0]
    asked = ["--purity", "0.95", "--purity", "drums=0.8"]
    status, out, err = run(capsys, *scan, *asked)
    assert status == 0
    assert "expected without drums: at least 80% of the seconds silent" in err
    assert "purity asked for: drums 80%, bass 95%, vocals 95%\n" in out
    assert "purity that the calibration's rule gives on artists left out of the choice: drums 70.0%\n" in out
    report = json.loads((tmp_path / "mined" / "report.json").read_text())
    promised = {"drums": 0.8, "bass": 0.95, "vocals": 0.95}
    assert report["thresholds"] == {"drums": 0.1, "bass": 0.3, "vocals": 0.3}
    assert report["purity"] == report["settings"]["purity"] == promised
    assert set(report["left_out"]) == {"drums"}
    assert report["left_out"]["drums"]["found"] == 0.25
    with Catalogue.read(tmp_path / "mined") as catalogue:
        assert catalogue.settings["purity"] == promised

    status, out, _ = run(capsys, *scan, "--purity", "drums=0.8,0.95", "--json")
    assert (status, json.loads(out)["run"]["tracks"]) == (0, 0)
    status, _, err = run(capsys, *scan, "--purity", "0.95")
    assert (status, "mined with other settings (thresholds: " in err) == (2, True)
    status, _, err = run(capsys, *scan, "--sources", "drums", "--purity", "bass=0.9")
    assert (status, "SOURCE among drums; got 'bass=0.9'" in err) == (2, True)

    again = ["remine", tmp_path / "mined", "--out", tmp_path / "again", *shared[:4], "--workers", 0]
    status, out, err = run(capsys, *again, "--purity", "bass=0.8", "--json")
    assert status == 0
    assert "expected without bass: at least 80% of the seconds silent" in err
    result = json.loads(out)
    assert result["thresholds"] == {"drums": 0.3, "bass": 0.1, "vocals": 0.3}
    assert result["purity"] == {"drums": 0.95, "bass": 0.8, "vocals": 0.95}
    assert result["left_out"]["drums"]["target"] == 0.95
    status, out, _ = run(capsys, *again[:2], "--out", tmp_path / "third", "--threshold", "drums=0.2", "--json")
    assert (status, json.loads(out)["purity"], json.loads(out)["left_out"]) == (0, {}, {})


def test_folders_without_a_recorded_purity_are_resumed(
    noise_library: Callable[[int], Path],
    tiny_detector: Path,
    curved: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scan: list[object] = ["detect", noise_library(1), "--out", tmp_path / "mined", "--detector", tiny_detector]
    scan += ["--calibration", curved, "--min-seconds", 1, "--workers", 0, "--purity", "0.8", "--json"]
    kept = Catalogue.open

    def older(folder: Any, settings: Any, **options: Any) -> Catalogue:
        return kept(folder, {name: value for name, value in settings.items() if name != "purity"}, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Catalogue, "open", older)
        status, out, _ = run(capsys, *scan)
        assert (status, json.loads(out)["purity"]) == (0, {})
    status, out, _ = run(capsys, *scan)
    assert (status, json.loads(out)["run"]["tracks"]) == (0, 0)


def test_a_calibration_has_a_target_for_each_source(labelled_songs: Callable[..., list[LabelledSong]]) -> None:
    songs = labelled_songs(10, windows=600)
    settings = CalibrationSettings(confidence=0.8, worst_artist=0.75, precisions={"bass": 0.8})
    alone = CalibrationSettings(confidence=0.8, worst_artist=0.75, precision=0.8)
    assert calibrate_source(songs, 1, settings) == calibrate_source(songs, 1, alone)
    assert calibrate_source(songs, 0, settings).precision_target == 0.95
    assert settings.artists_needed() == 8
    assert dataclasses.replace(settings, precisions={"bass": 0.99}).artists_needed() == 40
    with pytest.raises(UsageError, match="precision of 'piano'"):
        CalibrationSettings(precisions={"piano": 0.9})
    with pytest.raises(UsageError, match="between 0 and 1"):
        CalibrationSettings(precisions={"drums": 90})


def test_calibrate_takes_a_target_for_each_source(
    stem_corpus: Callable[..., Path], tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    songs = stem_corpus(tmp_path / "songs", {"a - one": 6.0, "b - two": 6.0})
    command = ["calibrate", tiny_detector, "--stems", songs, "--mute", 1, "--min-seconds", 1, "--no-prior"]
    command += ["--out", tmp_path / "c.json", "--precision", "0.9,drums=0.3"]
    run(capsys, *command)
    read = Calibration.load(tmp_path / "c.json")
    assert {source: fitted.precision_target for source, fitted in read.sources.items()} == {
        "drums": 0.3,
        "bass": 0.9,
        "other": 0.9,
        "vocals": 0.9,
    }
    assert (read.settings["precision"], read.settings["precisions"]) == (0.9, {"drums": 0.3})
    assert read.sources["drums"].left_out_at(0.3) is not None
    assert "reaches 90% (drums 30%)" in (tmp_path / "c.html").read_text(encoding="utf-8")
    status, _, err = run(capsys, *command[:-1], "often")
    assert (status, "--precision is P or SOURCE=P" in err) == (2, True)
