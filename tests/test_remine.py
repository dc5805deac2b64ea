"""`remix-miner remine`: what a scan at other thresholds would have found, without the detector."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remix_miner.cli import main
from remix_miner.detector.calibration import Calibration
from remix_miner.errors import DataError, UsageError
from remix_miner.mined import probabilities
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.probabilities import PROBABILITIES_NAME
from remix_miner.mined.probability_codes import decode
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.remine import RemineSettings, parse_thresholds, remine

HERE = Engine(workers=0)


@pytest.fixture(scope="module")
def library(noise_library: Callable[[int], Path]) -> Path:
    return noise_library(4)


@pytest.fixture(scope="module")
def mined(library: Path, tiny_detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mined")
    mine([library], out, MineSettings(str(tiny_detector), min_seconds=1.0, sample_rate=16000, engine=HERE))
    return out


def spans(folder: Path) -> list[tuple[Any, ...]]:
    with Catalogue.read(folder) as catalogue:
        return catalogue.database.execute(
            "SELECT path, source, start_seconds, excerpts.seconds FROM excerpts JOIN tracks ON tracks.id = track_id "
            "WHERE review IS NULL ORDER BY 1, 2, 3"
        ).fetchall()


def test_the_same_thresholds_give_the_same_excerpts(mined: Path, harvest_of: Any, tmp_path: Path) -> None:
    """But for windows that lie within half a step of the threshold, of which there are none here."""
    report = remine(mined, tmp_path / "out", RemineSettings({"drums": 0.3, "bass": 0.3, "vocals": 0.3}, engine=HERE))
    assert report.complete
    assert harvest_of(tmp_path / "out") == harvest_of(mined)


def settings_of(folder: Path) -> dict[str, Any]:
    with Catalogue.read(folder) as catalogue:
        return catalogue.settings


def test_it_finds_what_a_scan_with_those_thresholds_finds(
    library: Path, mined: Path, tiny_detector: Path, harvest_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = json.loads((tiny_detector / "calibration.json").read_text())
    values["sources"]["drums"]["threshold"] = 0.2
    scanned = MineSettings(
        str(tiny_detector),
        Calibration.from_json(values),
        sources=("drums",),
        min_seconds=1.0,
        sample_rate=16000,
        engine=HERE,
    )
    mine([library], tmp_path / "scan", scanned)
    monkeypatch.setattr("remix_miner.mining.jobs.task.load_detector", None)  # the detector is not needed
    remine(mined, tmp_path / "out", RemineSettings({"drums": 0.2}, engine=HERE))
    harvest_of(tmp_path / "out")
    found, wanted = spans(tmp_path / "out"), spans(tmp_path / "scan")
    assert len(found) == len(wanted) > 0
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours[:2] == theirs[:2]
        assert ours[2:] == pytest.approx(theirs[2:], abs=0.13)  # a window at either end is within half a step of p
    report = remine(mined, tmp_path / "out", RemineSettings({"drums": 0.2}, engine=HERE))
    assert report.run.tracks == 0
    with pytest.raises(DataError, match="other settings"):
        remine(mined, tmp_path / "out", RemineSettings({"drums": 0.6}, engine=HERE))


def test_the_report_states_other_purities_by_the_new_calibration(
    mined: Path, tiny_detector: Path, tmp_path: Path
) -> None:
    """One threshold with the target 0.95 serves 0.9 and 0.95; 0.98 is not promised."""
    values = json.loads((tiny_detector / "calibration.json").read_text())
    values["sources"]["drums"]["threshold"] = 0.2
    calibration = Calibration.from_json(values)
    settings = RemineSettings({"drums": 0.2}, calibration=calibration, purity={"drums": 0.95}, engine=HERE)
    report = remine(mined, tmp_path / "out", settings)
    found = report.sources["drums"]["seconds"]
    assert report.at_purity == {purity: {"drums": pytest.approx(found, abs=0.01)} for purity in (0.9, 0.95)}
    with Catalogue.read(mined) as catalogue:
        (before,) = catalogue.database.execute("SELECT sum(seconds) FROM excerpts WHERE source = 'drums'").fetchone()
    assert found > (before or 0)


def test_the_probabilities_of_a_track_are_decoded_once_and_a_resumed_call_states_the_same(
    library: Path, mined: Path, tiny_detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spans and seconds at other purities come from one decoding. A track of an earlier call is decoded for the latter
    alone."""
    decoded = []
    monkeypatch.setattr(probabilities, "decode", lambda codes: decoded.append(codes) or decode(codes))
    calibration = Calibration.load(tiny_detector / "calibration.json")
    settings = RemineSettings({"drums": 0.3}, calibration=calibration, purity={"drums": 0.95}, engine=HERE)
    at_once = remine(mined, tmp_path / "out", settings).at_purity
    assert len(decoded) == len(list(library.iterdir())) == 4
    assert at_once[0.95]["drums"] > 0
    with Catalogue.open(tmp_path / "out", settings_of(tmp_path / "out")) as catalogue, catalogue.transaction() as open_:
        open_.execute("UPDATE tracks SET status = 'pending' WHERE path = 'library/1.wav'")
        open_.execute("DELETE FROM excerpts WHERE track_id IN (SELECT id FROM tracks WHERE status = 'pending')")
    assert remine(mined, tmp_path / "out", settings).at_purity == at_once


def test_the_remark_of_a_scan_on_a_file_is_kept(mined: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(mined, tmp_path / "copy")
    remark = "parts are out of phase between channels for 4.0 s: a channel is judged there"
    with sqlite3.connect(copy / "catalogue.sqlite") as database:
        database.execute("UPDATE tracks SET error = ?", (remark,))
    report = remine(copy, tmp_path / "out", RemineSettings({"drums": 0.3}, engine=HERE))
    assert spans(tmp_path / "out")
    with Catalogue.read(tmp_path / "out") as catalogue:
        assert set(catalogue.database.execute("SELECT error FROM tracks")) == {(remark,)}
    assert len(report.notes) == 4


def test_only_files_with_new_spans_are_opened_and_those_that_are_gone_fail(
    library: Path, tiny_detector: Path, tmp_path: Path
) -> None:
    shutil.copytree(library, tmp_path / "library", copy_function=shutil.copy2)
    settings = MineSettings(str(tiny_detector), min_seconds=1.0, sample_rate=16000, engine=HERE)
    mine([tmp_path / "library"], tmp_path / "mined", settings)
    first = spans(tmp_path / "mined")[0][0]
    for song in (tmp_path / "library").iterdir():
        if f"library/{song.name}" != first:
            song.unlink()
    every = {"drums": 0.0}
    report = remine(tmp_path / "mined", tmp_path / "none", RemineSettings({"drums": 0.9999}, engine=HERE))
    assert report.complete
    report = remine(tmp_path / "mined", tmp_path / "out", RemineSettings(every, engine=HERE))
    assert {kind for _, kind, _ in report.failures} == {"unreadable"}
    assert report.tracks == {"done": 1, "pending": 3}
    (tmp_path / "library").rename(tmp_path / "moved")
    shutil.copytree(library, tmp_path / "elsewhere" / "library", copy_function=shutil.copy2)
    again = RemineSettings(every, library=[tmp_path / "elsewhere" / "library"], engine=HERE)
    assert remine(tmp_path / "mined", tmp_path / "out", again).complete


def test_a_file_that_changed_since_the_scan_is_not_cut(library: Path, tiny_detector: Path, tmp_path: Path) -> None:
    shutil.copytree(library, tmp_path / "library")
    settings = MineSettings(str(tiny_detector), min_seconds=1.0, sample_rate=16000, engine=HERE)
    mine([tmp_path / "library"], tmp_path / "mined", settings)
    changed = tmp_path / "library" / "1.wav"
    status = changed.stat()
    content = bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    os.utime(changed, ns=(status.st_mtime_ns, status.st_mtime_ns))
    report = remine(tmp_path / "mined", tmp_path / "out", RemineSettings({"drums": 0.0}, engine=HERE))
    assert [(track, kind) for track, kind, _ in report.failures] == [("library/1.wav", "changed")]


def test_what_was_rejected_in_review_stays_out(mined: Path, tmp_path: Path) -> None:
    shutil.copytree(mined, tmp_path / "mined")
    track, source, start, seconds = spans(mined)[0]
    database = sqlite3.connect(tmp_path / "mined" / "catalogue.sqlite")
    database.execute(
        "UPDATE excerpts SET review = 'rejected' WHERE start_seconds = ? AND source = ? AND track_id = "
        "(SELECT id FROM tracks WHERE path = ?)",
        (start, source, track),
    )
    database.commit()
    database.close()
    remine(tmp_path / "mined", tmp_path / "out", RemineSettings({source: 0.0}, engine=HERE))
    for path, _, first, length in spans(tmp_path / "out"):
        assert path != track or first >= start + seconds or first + length <= start


def test_as_it_is_typed(mined: Path, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main(["remine", str(mined), "--out", str(tmp_path / "out"), "--workers", "0", *arguments])
        output = capsys.readouterr()
        return int(exited.value.code or 0), output.out, output.err

    status, _, err = run()
    assert (status, "one of the two" in err) == (2, True)
    status, _, err = run("--purity", "0.9")
    assert (status, "made for the detector" in err) == (2, True)
    status, out, _ = run("--purity", "0.9", "--detector", str(tiny_detector), "--json")
    assert status == 0
    assert json.loads(out)["thresholds"] == {"drums": 0.3, "bass": 0.3, "vocals": 0.3}
    status, _, err = run("--purity", "0.9999", "--detector", str(tiny_detector))
    assert (status, "no source can be mined" in err) == (2, True)


def test_thresholds_that_cannot_be_and_folders_without_probabilities_are_refused(mined: Path, tmp_path: Path) -> None:
    for wrong in ("drums", "piano=0.5", "drums=2", "drums=x"):
        with pytest.raises(UsageError, match="--threshold is SOURCE=P"):
            parse_thresholds([wrong])
    shutil.copytree(mined, tmp_path / "old")
    (tmp_path / "old" / PROBABILITIES_NAME).unlink()
    with pytest.raises(DataError, match="older version"):
        remine(tmp_path / "old", tmp_path / "out", RemineSettings({"drums": 0.5}, engine=HERE))
    with pytest.raises(UsageError, match="another folder"):
        remine(mined, mined, RemineSettings({"drums": 0.5}, engine=HERE))
