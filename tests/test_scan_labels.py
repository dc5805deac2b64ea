"""Scans that write labels, store no audio, or mine where several sources are silent at once."""

import csv
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.calibration.fit import calibrate
from remix_miner.calibration.scores import score_songs
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.songs.weak import label_weak_songs
from remix_miner.cli import main
from remix_miner.detector.loading import load_detector
from remix_miner.detector.training.material import load_weak
from remix_miner.errors import DataError
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.inspection import inspect_folder
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.merge import merge
from remix_miner.mining.remine import RemineSettings, remine
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.track.cut import find_spans

HERE = Engine(workers=0)


@pytest.fixture(scope="module")
def library(noise_library: Callable[[int], Path]) -> Path:
    return noise_library(5)


def settings(detector: Path, **changes: Any) -> MineSettings:
    return MineSettings(str(detector), min_seconds=1.0, sample_rate=16000, engine=HERE, **changes)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as status:
        main([str(argument) for argument in arguments])
    return int(status.value.code or 0)


def detect(library: Path, out: Path, detector: Path, *options: object) -> int:
    fixed = ("--detector", detector, "--min-seconds", 1, "--workers", 0, "--sample-rate", 16000)
    return run("detect", library, "--out", out, *fixed, *options)


def spans(folder: Path) -> list[tuple[Any, ...]]:
    with CatalogueView.read(folder) as catalogue:
        return catalogue.database.execute(
            "SELECT path, source, start_seconds, round(excerpts.seconds, 6), probability_mean, probability_min "
            "FROM excerpts JOIN tracks ON tracks.id = track_id WHERE review IS NULL ORDER BY 1, 2, 3"
        ).fetchall()


def rows(labels: Path) -> list[dict[str, str]]:
    with (labels / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def with_audio(library: Path, tiny_detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mined") / "with-audio"
    assert mine([library], out, settings(tiny_detector)).complete
    return out


# --- labels and no audio ---------------------------------------------------------------------------------------------


def test_labels_are_the_spans_of_the_scan_and_no_audio_is_stored(library, with_audio, tiny_detector, tmp_path):
    out, labels = tmp_path / "mined", tmp_path / "labels"
    assert detect(library, out, tiny_detector, "--labels", labels, "--no-audio") == 0
    assert spans(out) == spans(with_audio)
    assert not list(out.rglob("*.h5"))
    found = [
        (str(library / Path(track).name), source, start, start + seconds, mean)
        for track, source, start, seconds, mean, _ in spans(with_audio)
    ]
    written = [
        (row["path"], row["source"], float(row["start_seconds"]), float(row["end_seconds"]), float(row["probability"]))
        for row in rows(labels)
    ]
    assert [row[:2] for row in written] == [row[:2] for row in found]
    for ours, theirs in zip(written, found, strict=True):
        assert ours[2:] == pytest.approx(theirs[2:], abs=2e-6)
    tracks = {row["path"] for row in rows(labels)}
    assert len(list((labels / "audacity").glob("*.txt"))) == len(list((labels / "jams").glob("*.jams"))) == len(tracks)
    assert len((labels / "labels.rttm").read_text().splitlines()) == len(found)
    inspection = inspect_folder(out)
    assert not inspection.damage
    assert inspection.sources["drums"]["excerpts"] == sum(row[1] == "drums" for row in found)
    assert "without audio" in inspection.remarks[0]


def test_readers_of_audio_refuse_a_folder_without_it(library, tiny_detector, tmp_path, capsys):
    mine([library], tmp_path / "mined", settings(tiny_detector, labels_only=True))
    with pytest.raises(DataError, match=r"mined without audio .* remine"):
        MinedExcerpts(tmp_path / "mined")
    assert run("export", tmp_path / "mined", "--format", "msst", "--without", "drums", "--out", tmp_path / "msst") == 2
    assert "mined without audio" in capsys.readouterr().err
    assert not (tmp_path / "msst").exists()
    labels = ("--format", "labels", "--min-seconds", 1, "--out", tmp_path / "labels")
    assert run("export", tmp_path / "mined", *labels) == 0
    assert run("inspect", tmp_path / "mined", "--page", tmp_path / "page.html") == 0
    assert (tmp_path / "page.html").read_text().count("data:audio/mpeg") >= 1  # its sound comes from the library


def test_audio_is_cut_later_as_a_scan_would_have_stored_it(
    library, with_audio, tiny_detector, harvest_of, tmp_path, monkeypatch
):
    mine([library], tmp_path / "mined", settings(tiny_detector, labels_only=True))
    monkeypatch.setattr("remix_miner.mining.jobs.task.load_detector", None)
    assert run("remine", tmp_path / "mined", "--out", tmp_path / "cut", "--workers", 0) == 0
    assert harvest_of(tmp_path / "cut") == harvest_of(with_audio)
    assert run("remine", with_audio, "--out", tmp_path / "no", "--workers", 0) == 2  # that one has its audio


def test_a_scan_without_audio_resumes_and_does_not_mix_with_one_with_audio(library, tiny_detector, tmp_path):
    here = tmp_path / "library"
    shutil.copytree(library, here)
    (here / "4.wav").rename(tmp_path / "4.wav")
    out, labels = tmp_path / "mined", tmp_path / "labels"
    mine([here], out, settings(tiny_detector, labels_only=True))
    before = spans(out)
    (tmp_path / "4.wav").rename(here / "4.wav")
    report = mine([here], out, settings(tiny_detector, labels_only=True))
    assert report.run.tracks == 1
    assert set(before) < set(spans(out))
    assert mine([here], out, settings(tiny_detector, labels_only=True)).run.tracks == 0
    with pytest.raises(DataError, match="labels_only"):
        mine([here], out, settings(tiny_detector))
    assert detect(here, out, tiny_detector, "--labels", labels, "--no-audio") == 0
    count = len(rows(labels))
    gone = rows(labels)[0]["path"]
    os.utime(gone, ns=(1, 1))  # changed: what it gave is superseded, and it is scanned again
    soundfile.write(gone, np.zeros(16000), 16000)
    assert detect(here, out, tiny_detector, "--labels", labels, "--no-audio") == 0
    assert 0 < len(rows(labels)) < count
    stem = Path(gone).stem
    assert not [path for path in labels.rglob("*.*") if path.parent != labels and path.name.startswith(f"{stem}-")]


def test_the_settings_of_an_older_folder_are_not_different(with_audio, library, tiny_detector, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(with_audio, old)
    database = sqlite3.connect(old / "catalogue.sqlite")
    (text,) = database.execute("SELECT value FROM meta WHERE key = 'settings_json'").fetchone()
    recorded = {name: value for name, value in json.loads(text).items() if name not in ("together", "labels_only")}
    database.execute("UPDATE meta SET value = ? WHERE key = 'settings_json'", (json.dumps(recorded),))
    database.commit()
    database.close()
    assert mine([library], old, settings(tiny_detector)).run.tracks == 0


def test_parts_without_audio_merge(library, tiny_detector, tmp_path):
    for number in (1, 2):
        shard = settings(tiny_detector, labels_only=True, shard=(number, 2))
        mine([library], tmp_path / str(number), shard)
    merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "2"])
    assert spans(tmp_path / "merged") == sorted(spans(tmp_path / "1") + spans(tmp_path / "2"))


def test_a_folder_of_labels_that_holds_something_else_is_refused_before_the_scan(library, tiny_detector, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "notes.txt").write_text("mine")
    assert detect(library, tmp_path / "mined", tiny_detector, "--labels", labels) == 2
    assert not (tmp_path / "mined").exists()
    assert [path.name for path in labels.iterdir()] == ["notes.txt"]


def test_a_scan_that_finds_nothing_writes_empty_labels(library, tiny_detector, tmp_path):
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    soundfile.write(quiet / "a.wav", np.zeros(48000), 16000)
    assert detect(quiet, tmp_path / "mined", tiny_detector, "--labels", tmp_path / "labels") == 0
    assert rows(tmp_path / "labels") == []


# --- several sources at once -----------------------------------------------------------------------------------------


def test_spans_together_are_those_in_which_every_source_passes():
    """P of drums passes to 10 s, of bass from 4 s to 16 s: together from 4 s to 10 s, at most."""
    probabilities = np.zeros((4, 313), dtype=np.float32)
    centres = np.arange(313) * 0.064
    probabilities[0, centres <= 10] = 0.9
    probabilities[1, (centres >= 4) & (centres <= 16)] = 0.8
    thresholds = {"drums": 0.85, "bass": 0.75}
    found = find_spans(probabilities, np.ones(313, bool), 160_000, 8000, ScanSettings(thresholds, 2.0, together=True))
    assert [span.source for span in found] == ["drums", "bass"]
    assert len({(span.start_frame, span.frames) for span in found}) == 1
    start, seconds = found[0].start_frame / 8000, found[0].frames / 8000
    # The first common window is centred at 63 * 0.064 s = 4.032 s, the last at 156 * 0.064 s = 9.984 s.
    assert (start, start + seconds) == pytest.approx((62 * 0.064 + 0.32, 157 * 0.064 - 0.32), abs=1e-3)
    assert [round(span.probability_mean, 3) for span in found] == [0.9, 0.8]
    apart = find_spans(probabilities, np.ones(313, bool), 160_000, 8000, ScanSettings(thresholds, 2.0))
    assert len({(span.start_frame, span.frames) for span in apart}) == 2


def test_isolated_other_is_where_the_three_others_are_silent(library, tiny_detector, tmp_path, capsys):
    out, labels = tmp_path / "mined", tmp_path / "labels"
    assert detect(library, out, tiny_detector, "--isolated", "other", "--labels", labels) == 0
    found = spans(out)
    by_source = {
        source: [row[:1] + row[2:4] for row in found if row[1] == source] for source in {row[1] for row in found}
    }
    assert set(by_source) == {"drums", "bass", "vocals"}
    assert by_source["drums"] == by_source["bass"] == by_source["vocals"] != []
    options = ("--format", "musdb18-hq", "--without", "drums,bass,vocals", "--min-seconds", 1)
    assert run("export", out, *options, "--out", tmp_path / "stems") == 0
    assert len(list((tmp_path / "stems").rglob("other.wav"))) == len(by_source["drums"])
    with CatalogueView.read(out) as catalogue:
        assert catalogue.settings["together"] is True
    with pytest.raises(Exception, match="together"):
        remine(out, tmp_path / "again", RemineSettings({"drums": 0.3}, engine=HERE))
    thresholds = dict.fromkeys(("drums", "bass", "vocals"), 0.3)
    remine(out, tmp_path / "again", RemineSettings(thresholds, engine=HERE))
    assert spans(tmp_path / "again") == [
        (*row[:4], pytest.approx(row[4], abs=0.02), pytest.approx(row[5], abs=0.02)) for row in found
    ]


def test_a_source_without_a_threshold_cannot_be_required(library, tiny_detector, tmp_path, capsys):
    assert detect(library, tmp_path / "mined", tiny_detector, "--isolated", "vocals") == 2
    assert "other has none: 95% is out of reach" in capsys.readouterr().err
    assert detect(library, tmp_path / "mined", tiny_detector, "--isolated", "guitar") == 2
    assert not (tmp_path / "mined").exists()


# --- round trips -----------------------------------------------------------------------------------------------------


def test_the_labels_of_a_scan_are_read_by_the_detector_s_commands(library, with_audio, tiny_detector, tmp_path, capsys):
    labels = tmp_path / "labels"
    assert run("export", with_audio, "--format", "labels", "--min-seconds", 1, "--out", labels) == 0
    weak = load_weak(labels / "labels.csv")
    assert len(weak) == len({row["path"] for row in rows(labels)})
    capsys.readouterr()
    table = ("--weak", labels / "labels.csv", "--min-seconds", 1)
    assert run("score-detector", tiny_detector, *table, "--json") == 0
    drums = json.loads(capsys.readouterr().out)["sources"]["drums"]
    assert drums["silence_rate"] == 1.0
    assert drums["recall"]["value"] == drums["precision"]["value"] == 1.0  # its own windows, at its own threshold
    assert drums["purity"]["value"] == 1.0
    assert drums["auc"]["value"] is drums["volume_p95_db"]["value"] is None
    assert run("calibrate", tiny_detector, *table, "--no-evidence", "--out", tmp_path / "c.json") == 2
    assert "no window of any source is sounding" in capsys.readouterr().err


def test_weak_labels_give_the_thresholds_of_windows_with_those_labels(library, tiny_detector, tmp_path, capsys):
    """Labels of whole tracks by the detector's own P: silent where P of drums is high. The calibration finds that P."""
    detector = load_detector(str(tiny_detector))
    lines = ["path,source,start_seconds,end_seconds,silent"]
    for path in sorted(library.iterdir()):
        seconds = soundfile.info(path).duration
        half = round(seconds / 2, 3)
        for start, end, silent in ((0.0, half, 1), (half, seconds, 0)):
            lines.append(f"{path},drums,{start},{end},{silent}")
    (tmp_path / "weak.csv").write_text("\n".join(lines))
    songs = label_weak_songs(detector.model, [tmp_path / "weak.csv"])
    assert all(isinstance(song, LabelledSong) and not song.levels_known for song in songs)
    assert [song.name for song in songs] == [str(path) for path in sorted(library.iterdir())]
    for song, weak in zip(songs, load_weak(tmp_path / "weak.csv"), strict=True):
        known = ~np.isnan(song.volumes[0])
        np.testing.assert_array_equal(song.volumes[0][known] <= -20, weak.silent[0][known] == 1)
        assert np.isnan(song.volumes[1:]).all()
    score = score_songs(songs, {"drums": 0.3})["drums"]
    assert score.auc.value is not None
    assert score.auc_training.value is score.volume_p95_db.value is None
    calibration = calibrate(songs, "tiny", "d" * 64)
    assert calibration.sources["drums"].probability == []  # no level is known
    assert np.isnan(calibration.expected_volume_db("drums", 0.5))
    assert run("calibrate", tiny_detector, "--weak", tmp_path / "weak.csv", "--bound", "none", "--precision", 0.3,
               "--out", tmp_path / "c.json") == 0  # fmt: skip
    assert (tmp_path / "c.html").is_file()
    written = json.loads((tmp_path / "c.json").read_text())
    assert list(written["sources"]) == ["drums"]
    assert written["sources"]["drums"]["spans"]["before"]["p50"] is None
    (tmp_path / "short.csv").write_text(f"{lines[0]}\n{sorted(library.iterdir())[0]},drums,0,0.2,1")
    with pytest.raises(DataError, match="no window lies inside"):
        label_weak_songs(detector.model, [tmp_path / "short.csv"])
