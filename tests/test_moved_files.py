"""The recording counts, not its path: files that moved are not mined again, and test songs stay out under any name."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from remix_miner.audio import read_audio
from remix_miner.duplicates.recordings import NO_FINGERPRINT, Recording
from remix_miner.duplicates.scan_filter import ScanFilter
from remix_miner.duplicates.taking import fingerprints_of
from remix_miner.errors import DataError
from remix_miner.mined.probabilities import ProbabilityStore
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.report import ScanReport
from remix_miner.mining.summary import summary


@pytest.fixture
def library(noise_song: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    for number in range(2):
        soundfile.write(folder / f"{number}.wav", 0.5 * noise_song(number, 20.0, 16000).T, 16000)
    return folder


@pytest.fixture
def scan(library: Path, tiny_detector: Path, tmp_path: Path) -> Callable[..., ScanReport]:
    def run(**options: Any) -> ScanReport:
        out = tmp_path / "mined"
        settings = MineSettings(
            str(tiny_detector),
            min_seconds=1.0,
            engine=Engine(workers=0),
            scan_filter=ScanFilter(out, **options),
        )
        return mine([library], out, settings)

    return run


def test_a_file_that_moved_is_not_mined_twice(
    scan: Callable[..., ScanReport], library: Path, harvest_of: Any, tmp_path: Path
) -> None:
    scan()
    before = harvest_of(tmp_path / "mined")
    (library / "rock").mkdir()
    (library / "0.wav").rename(library / "rock" / "renamed.wav")
    os.utime(library / "rock" / "renamed.wav", (5, 5))
    report = scan()
    assert report.moved == [("library/0.wav", "library/rock/renamed.wav")]
    assert (report.run.tracks, report.tracks) == (0, {"done": 2})
    assert "1 file moved" in summary(report, tmp_path)
    after = harvest_of(tmp_path / "mined")
    assert sorted(after.values()) == sorted(before.values())
    assert {key[0] for key in after} <= {"library/rock/renamed.wav", "library/1.wav"}
    with ProbabilityStore(tmp_path / "mined", to_read=True) as store:
        assert store.tracks() == ["library/1.wav", "library/rock/renamed.wav"]
    assert scan().moved == []


def test_a_copy_beside_the_file_is_no_move(scan: Callable[..., ScanReport], library: Path) -> None:
    scan(duplicates=False)
    shutil.copy(library / "0.wav", library / "copy.wav")
    report = scan(duplicates=False)
    assert report.moved == []
    assert report.tracks == {"done": 3}


def test_a_file_that_was_renamed_and_encoded_anew_is_left_out(scan: Callable[..., ScanReport], library: Path) -> None:
    scan()
    audio, rate = read_audio(library / "0.wav")
    soundfile.write(library / "other name.flac", audio.T, rate)
    (library / "0.wav").unlink()
    report = scan()
    assert report.tracks == {"done": 2}
    assert ["duplicate of library/0.wav" in skip.reason for skip in report.skipped] == [True]


@pytest.mark.parametrize("what", ["renamed", "deleted"])
def test_a_test_song_that_was_mined_is_found_though_its_file_is_renamed_or_gone(
    scan: Callable[..., ScanReport], library: Path, tmp_path: Path, what: str
) -> None:
    scan()
    audio, rate = read_audio(library / "0.wav")
    soundfile.write(tmp_path / "test song.flac", audio.T, rate)
    if what == "renamed":
        (library / "0.wav").rename(library / "other.wav")
    else:
        (library / "0.wav").unlink()
    with pytest.raises(DataError, match="already holds excerpts of library/"):
        scan(exclude=[tmp_path / "test song.flac"])


@pytest.mark.parametrize("fault", ["crash", "hang"])
def test_a_recording_that_crashes_or_hangs_costs_its_fingerprint_alone(
    library: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    from remix_miner.datasets.library import find_audio
    from remix_miner.duplicates.fingerprints import fingerprint_file

    def faulty(path: Path) -> Any:
        if path.name == "0.wav":
            if fault == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(1000)
        return fingerprint_file(path)

    monkeypatch.setattr("remix_miner.processes.workers.START_METHOD", "fork")
    monkeypatch.setattr("remix_miner.duplicates.taking.fingerprint_file", faulty)
    monkeypatch.setattr("remix_miner.duplicates.taking.STALL_SECONDS", 5.0 if fault == "hang" else 300.0)
    recordings = [Recording.of_file(file) for file in find_audio(library)[0]]
    made = dict(fingerprints_of(recordings, 2, lambda: False))
    assert made[recordings[0]] is NO_FINGERPRINT
    assert len(made[recordings[1]].peaks)
    if fault == "hang":
        return
    excluded = [Recording.of_file(file, excluded=True) for file in find_audio(library)[0]]
    with pytest.raises(DataError, match="to be excluded"):
        list(fingerprints_of(excluded, 2, lambda: False))
