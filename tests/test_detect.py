"""`remix-miner detect` as it is typed, and what it tells."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile

from remix_miner.cli import main
from remix_miner.datasets.library import LibraryFile, Skipped
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.loading import load_detector
from remix_miner.detector.spans import silent_spans
from remix_miner.detector.stream import track_probabilities
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.shards.reader import Shard
from remix_miner.mining.audit import judge
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.messages import Found, Task, TrackScan
from remix_miner.mining.plan import parse_shard, share_of, tasks_for
from remix_miner.mining.summary import summary
from remix_miner.mining.thresholds import choose_thresholds
from remix_miner.sources import SOURCES


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, noise_song: Any) -> Path:
    folder = tmp_path_factory.mktemp("songs") / "library"
    folder.mkdir()
    for number in range(3):
        soundfile.write(folder / f"{number}.flac", 0.5 * noise_song(number, 4.0, 16000).T, 16000)
    return folder


@pytest.fixture
def detect(tiny_detector: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: Any) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            main(["detect", *map(str, arguments), "--detector", str(tiny_detector), "--workers", "0"])
        output = capsys.readouterr()
        return int(exited.value.code or 0), output.out, output.err

    run.detector = tiny_detector  # type: ignore[attr-defined]
    return run


def test_the_summary_and_the_report_tell_the_same(library: Path, detect: Any, harvest_of: Any, tmp_path: Path) -> None:
    status, out, err = detect(library, "--out", tmp_path, "--min-seconds", 1, "--json")
    assert status == 0
    report = json.loads(out)
    assert report == json.loads((tmp_path / "report.json").read_text())
    assert report["totals"]["tracks"] == {"done": 3}
    assert report["totals"]["hours_scanned"] == pytest.approx(12 / 3600)
    found = harvest_of(tmp_path)
    assert sum(row["excerpts"] for row in report["totals"]["sources"].values()) == len(found) > 0
    assert "expected without drums: 97.0% of windows at or below -20 dB (at least 95.0%, 95% sure)" in err
    status, out, _ = detect(library, "--out", tmp_path, "--min-seconds", 1)
    assert status == 0
    assert "3 tracks scanned, 12 s of audio" in out
    assert "this run: nothing new" in out


@pytest.mark.parametrize(("workers", "computes_here"), [(1, False), (0, True)])
def test_only_the_process_that_computes_imports_torch(
    library: Path, tmp_path: Path, workers: int, computes_here: bool
) -> None:
    code = (
        "import sys\n"
        "from remix_miner.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    arguments = ["detect", str(library), "--out", str(tmp_path / "mined"), "--workers", str(workers)]
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    imported = set(ran.stderr.splitlines()[-1].split())
    assert "3 tracks scanned" in ran.stdout
    slow = {"torch", "scipy", "kymatio"} & imported
    assert slow == ({"torch", "scipy", "kymatio"} if computes_here else set())
    assert not {"torchaudio", "librosa", "sklearn", "matplotlib", "pandas"} & imported


def test_shards_are_as_the_contract_says(library: Path, detect: Any, tiny_detector: Path, tmp_path: Path) -> None:
    detect(library, "--out", tmp_path, "--min-seconds", 1, "--sources", "vocals,drums")
    (path,) = (tmp_path / "shards").glob("drums-*.h5")
    with h5py.File(path) as shard:
        assert dict(shard.attrs) | {"settings": ""} == {
            "format": "remix-miner/excerpts",
            "format_version": 1,
            "source": "drums",
            "sample_rate": 44100,
            "channels": 2,
            "detector_sha256": Calibration.load(tiny_detector / "calibration.json").detector_sha256,
            "threshold": 0.3,
            "settings": "",
        }
        settings = json.loads(shard.attrs["settings"])
        assert (settings["min_seconds"], settings["thresholds"]) == (1.0, {"drums": 0.3, "vocals": 0.3})
        assert shard["excerpts"]["track"][0].startswith(b"library/")


def test_probabilities_and_what_they_lead_to_expect_reach_shard_and_catalogue(
    library: Path, detect: Any, tiny_detector: Path, tmp_path: Path
) -> None:
    detect(library, "--out", tmp_path, "--min-seconds", 1)
    model = load_detector(tiny_detector).model
    with Catalogue.read(tmp_path) as catalogue:
        rows = catalogue.database.execute(
            "SELECT path, source, start_seconds, probability_mean, probability_min, expected_volume_db, shard, "
            "shard_start FROM excerpts JOIN tracks ON tracks.id = track_id"
        ).fetchall()
    assert rows
    for path, source, start, mean, least, expected, shard, first in rows:
        mono = soundfile.read(library.parent / path, dtype="float32")[0].mean(axis=1)
        row = track_probabilities(model, mono)[SOURCES.index(source)]
        (span,) = [one for one in silent_spans(row, 0.3, 4.0, 1.0) if abs(one.start_seconds - start) < 0.001]
        inside = row[span.first_window : span.last_window + 1]
        assert mean == pytest.approx(inside.mean(), abs=1e-4)
        assert least == pytest.approx(inside.min(), abs=1e-4)
        assert expected == pytest.approx(-40 * mean, abs=1e-6)  # the calibration's table is a line from 0 to -40 dB
        with Shard(tmp_path / "shards" / shard) as stored:
            (excerpt,) = stored.excerpts[stored.excerpts["start_frame"] == first]
            assert (excerpt["probability_mean"], excerpt["probability_min"]) == pytest.approx((mean, least), abs=1e-6)


def test_sampling_as_kymatio_does_finds_the_same(library: Path, detect: Any, tmp_path: Path) -> None:
    """The same excerpts at probabilities that differ a little, so the option does reach the transform."""
    rows = {}
    for sampling in ("sparse", "kymatio"):
        detect(library, "--out", tmp_path / sampling, "--min-seconds", 1, "--sampling", sampling)
        with Catalogue.read(tmp_path / sampling) as catalogue:
            assert catalogue.settings["sampling"] == sampling
            rows[sampling] = catalogue.database.execute(
                "SELECT path, source, start_seconds, excerpts.seconds, probability_mean FROM excerpts "
                "JOIN tracks ON tracks.id = track_id ORDER BY path, source, start_seconds"
            ).fetchall()
    assert rows["sparse"]
    assert [row[:4] for row in rows["sparse"]] == [row[:4] for row in rows["kymatio"]]
    moved = [abs(ours[4] - theirs[4]) for ours, theirs in zip(rows["sparse"], rows["kymatio"], strict=True)]
    assert 0 < max(moved) < 0.01


def test_other_settings_are_refused_with_the_way_out(library: Path, detect: Any, tmp_path: Path) -> None:
    assert detect(library, "--out", tmp_path, "--min-seconds", 1)[0] == 0
    status, out, err = detect(library, "--out", tmp_path, "--min-seconds", 2)
    assert (status, out) == (2, "")
    assert "min_seconds: 1.0 there, 2.0 here" in err
    assert "--restart" in err
    assert detect(library, "--out", tmp_path, "--min-seconds", 2, "--restart")[0] == 0


def test_a_file_that_cannot_be_used_is_told_and_exit_status_is_1(library: Path, detect: Any, tmp_path: Path) -> None:
    shutil.copytree(library, tmp_path / "library")
    (tmp_path / "library" / "text.mp3").write_text("no music here " * 100)
    (tmp_path / "library" / "list.wma").write_text("x")
    status, out, _ = detect(tmp_path / "library", "--out", tmp_path / "mined")
    assert status == 1
    assert "1 failed: not audio, or damaged from the start, for example library/text.mp3" in out
    assert "1 skipped: format .wma is not supported" in out
    assert detect(tmp_path / "library", "--out", tmp_path / "mined")[0] == 1
    (failure,) = json.loads((tmp_path / "mined" / "report.json").read_text())["failures"]
    assert failure["kind"] == "undecodable"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing", "--out", "m"], "does not exist"),
        (["LIBRARY", "--out", "m", "--sources", "drum"], "choose among drums, bass, other, vocals"),
        (["LIBRARY", "--out", "m", "--sources", "other"], "95% is out of reach"),
        (["LIBRARY", "--out", "m", "--shard", "0/4"], "I from 1 to N"),
        (["LIBRARY", "--out", "m", "--min-seconds", "0"], "min-seconds must be positive, got 0.0"),
        (["LIBRARY", "--out", "m", "--calibration", "missing.json"], "cannot be read as a calibration"),
        (["LIBRARY", "--out", "m", "--purity", "95"], "share between 0 and 1"),
        (["", "--out", "m"], "the path is empty"),
        (["README.md", "--out", "m"], "README.md: format .md is not supported; its content is not audio"),
        (["nothing", "--out", "m"], "no audio in nothing"),
    ],
)
def test_wrong_usage_is_told_and_exit_status_is_2(
    library: Path, detect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("no audio")
    (tmp_path / "nothing").mkdir()
    status, _, err = detect(*(str(library) if argument == "LIBRARY" else argument for argument in arguments))
    assert status == 2
    assert message in err
    assert "expected without" not in err
    assert not (tmp_path / "m").exists()


def test_a_second_library_of_the_same_name_is_refused_and_one_that_moved_is_not(
    library: Path, detect: Any, harvest_of: Any, tmp_path: Path
) -> None:
    """Its files would take the names of the first library's files, and replace those of equal names."""
    first = shutil.copytree(library, tmp_path / "one" / "Music")
    second = shutil.copytree(library, tmp_path / "two" / "Music")
    out = tmp_path / "mined"
    assert detect(first, "--out", out)[0] == 0
    before = harvest_of(out)
    status, _, err = detect(second, "--out", out)
    assert (status, "two/Music would take its names" in err) == (2, True)
    assert harvest_of(out) == before
    shutil.rmtree(first)
    assert detect(second, "--out", out)[0] == 0
    assert harvest_of(out) == before


def test_another_share_is_refused_in_the_folder_of_a_share(library: Path, detect: Any, tmp_path: Path) -> None:
    assert detect(library, "--out", tmp_path, "--shard", "2/2")[0] == 0
    assert detect(library, "--out", tmp_path, "--shard", "2/2")[0] == 0
    status, _, err = detect(library, "--out", tmp_path, "--shard", "1/2")
    assert (status, "holds share 2/2" in err) == (2, True)


@pytest.mark.parametrize("again", [False, True])
def test_a_disk_that_is_full_outside_the_shards_is_a_clear_error(
    library: Path, detect: Any, tmp_path: Path, again: bool
) -> None:
    """A limit of the size of files stands for the full disk; what was there before is whole."""
    if again:
        assert detect(library, "--out", tmp_path, "--min-seconds", 1)[0] == 0
    before = {name: (tmp_path / name).read_bytes() for name in ("report.json",) if (tmp_path / name).exists()}
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "import remix_miner.mining.detect; from remix_miner.cli import main; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({300 if again else 9000}, resource.RLIM_INFINITY)); "
        "main(sys.argv[1:])"
    )
    arguments = ["detect", str(library), "--out", str(tmp_path), "--workers", "0", "--min-seconds", "1"]
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--detector", str(detect.detector), "--keep-duplicates"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1, process.stderr
    assert "Traceback" not in process.stderr
    assert "make room" in process.stderr
    assert all((tmp_path / name).read_bytes() == content for name, content in before.items())
    assert detect(library, "--out", tmp_path, "--min-seconds", 1)[0] == 0


def test_a_source_without_threshold_is_refused_and_the_others_are_mined(
    library: Path, detect: Any, tmp_path: Path
) -> None:
    status, _, err = detect(library, "--out", tmp_path, "--sources", "drums,other")
    assert status == 0
    assert "refused without other: 95% is out of reach" in err
    assert list(json.loads((tmp_path / "report.json").read_text())["thresholds"]) == ["drums"]


def test_a_calibration_made_for_another_detector_is_refused(
    library: Path, detect: Any, tiny_detector: Path, tmp_path: Path
) -> None:
    values = json.loads((tiny_detector / "calibration.json").read_text())
    values["detector_sha256"] = "0" * 64
    (tmp_path / "other.json").write_text(json.dumps(values))
    status, _, err = detect(library, "--out", tmp_path / "m", "--calibration", tmp_path / "other.json")
    assert status == 2
    assert "made for the detector" in err
    assert not (tmp_path / "m").exists()


def test_a_detector_without_calibration_is_refused(library: Path, tiny_detector: Path, tmp_path: Path) -> None:
    from remix_miner.detector.loading import load_detector

    shutil.copytree(tiny_detector, tmp_path / "bare")
    (tmp_path / "bare" / "calibration.json").unlink()
    with pytest.raises(DataError, match="no calibration beside it"):
        choose_thresholds(load_detector(tmp_path / "bare"), None)


def test_shares_of_a_library_are_disjoint_and_make_the_whole(library: Path, detect: Any, tmp_path: Path) -> None:
    files = [LibraryFile(Path(f"/m/{number}.mp3"), f"m/{number}.mp3", 1, 1) for number in range(200)]
    shares = [share_of(files, (index, 4)) for index in (1, 2, 3, 4)]
    assert sorted(file.name for share in shares for file in share) == sorted(file.name for file in files)
    assert all(30 < len(share) < 70 for share in shares)
    assert share_of(files[:50], (2, 4)) == [file for file in shares[1] if file in files[:50]]
    assert parse_shard("3/40") == (3, 40)
    for wrong in ("5/4", "1", "a/b", "-1/4", "1/0"):
        with pytest.raises(UsageError):
            parse_shard(wrong)
    for share in ("1/2", "2/2"):
        detect(library, "--out", tmp_path / share[0], "--shard", share)
    done = [json.loads((tmp_path / n / "report.json").read_text())["totals"]["tracks"].get("done", 0) for n in "12"]
    assert sum(done) == 3


def test_the_longest_file_comes_first() -> None:
    files = [LibraryFile(Path(f"/{name}"), name, size, 1) for name, size in [("a.wav", 10**6), ("b.mp3", 10**6)]]
    assert [task.file.name for task in tasks_for(files)] == ["b.mp3", "a.wav"]


def test_files_that_the_chooser_names_are_left_out(library: Path, tiny_detector: Path, tmp_path: Path) -> None:
    def choose(files: Any) -> list[Skipped]:
        return [Skipped(file.path, f"same recording as {files[0].path}") for file in files[1:]]

    settings = MineSettings(detector=str(tiny_detector), engine=Engine(workers=0), scan_filter=choose)
    report = mine([library], tmp_path, settings)
    assert report.tracks == {"done": 1}
    assert "2 skipped: same recording" in summary(report, tmp_path)


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory, noise_song: Any) -> Path:
    """Three songs of two channels: in each, one source sounds and the others are 40 dB below it."""
    folder = tmp_path_factory.mktemp("stems")
    for number, loud in enumerate(("drums", "bass", "vocals")):
        (folder / f"song{number}").mkdir()
        for source in ("drums", "bass", "other", "vocals"):
            audio = 1.4 * noise_song(10 + number, 4.0, 16000) * (1.0 if source == loud else 0.01)
            soundfile.write(folder / f"song{number}" / f"{source}.wav", audio.T, 16000, subtype="FLOAT")
    return folder


def test_planted_songs_are_judged_and_leave_no_trace(
    library: Path, stems: Path, detect: Any, harvest_of: Any, tmp_path: Path
) -> None:
    detect(library, "--out", tmp_path / "plain", "--min-seconds", 1)
    status, out, _ = detect(library, "--out", tmp_path / "audited", "--min-seconds", 1, "--plant", stems)
    assert status == 0
    assert harvest_of(tmp_path / "audited") == harvest_of(tmp_path / "plain")
    report = json.loads((tmp_path / "audited" / "report.json").read_text())
    assert report["totals"]["tracks"] == {"done": 3}
    assert set(report["planted"]) == {"drums", "bass", "vocals"}
    assert all(row["songs"] == 3 for row in report["planted"].values())
    assert any(row["songs_harvested"] for row in report["planted"].values())
    assert "audit without" in out


def test_purity_is_the_share_of_windows_that_are_truly_silent(stems: Path) -> None:
    """Of song 0 (drums sound) 2 s and of song 1 (drums silent) all 4 s are taken: 22 impure windows, 53 pure ones."""
    from remix_miner.datasets.corpora import load_stem_tracks

    tracks = {f"{number}.flac": track for number, track in enumerate(load_stem_tracks(stems))}

    def scanned(name: str, frames: int) -> TrackScan:
        task = Task(LibraryFile(Path(name), name, 1, 1), 4.0, store=False)
        return TrackScan(task, "", 4.0, 16000, 2, None, [Found("drums", 0, frames, 0.9, 0.8)])

    result = judge([scanned("0.flac", 32_000), scanned("1.flac", 64_000)], tracks, ["drums", "bass"])
    drums = result["drums"]
    assert (drums.songs, drums.songs_harvested, drums.excerpts, drums.seconds) == (2, 2, 2, 6.0)
    assert drums.purity == pytest.approx(53 / 75)
    assert (drums.low, drums.high) == (0.0, 1.0)
    assert drums.median_db == pytest.approx(20 * np.log10(0.01 / 1.03), abs=0.5)
    assert result["bass"].purity is None
    assert result["bass"].seconds == 0
