"""One pass over each file: fingerprints come from the scan's decoding, and copies are removed when it is complete."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.audio import AudioReader
from remix_miner.datasets.library import find_audio
from remix_miner.duplicates.fingerprints import fingerprint_file
from remix_miner.duplicates.matching import LEAST_COMMON, Index, indexed_keys, proposed_pairs
from remix_miner.duplicates.recordings import Fingerprint
from remix_miner.duplicates.scan_filter import ScanFilter
from remix_miner.duplicates.store import FingerprintStore
from remix_miner.errors import DataError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.inspection import inspect_folder
from remix_miner.mined.probabilities import ProbabilityStore
from remix_miner.mined.reviews.decisions import Review, record, review_transaction
from remix_miner.mined.uncompared import uncompared_tracks
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.merge import merge
from remix_miner.mining.remine import RemineSettings, remine
from remix_miner.mining.report import ScanReport
from remix_miner.mining.settings import BatchLimits
from remix_miner.mining.track.scan import scan_audio
from remix_miner.synthesis.song import synthesize_song

RATE = 22050
KILLS = 12
COPIES = ["library/a0.flac", "library/c1.ogg", "library/e1.wav"]
"""Left out: the first by name and a lossy file, each in favour of a better copy, and a crop."""
KEPT = ["library/b0.wav", "library/d1.wav", "library/f2.wav"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Songs 0 as flac and wav, song 1 as ogg, wav and a crop, and song 2."""
    folder = tmp_path_factory.mktemp("music") / "library"
    folder.mkdir()
    first, second, third = (synthesize_song(seed, 12, RATE).mixture.T for seed in range(3))
    for name, audio in {
        "a0.flac": first,
        "b0.wav": first,
        "c1.ogg": second,
        "d1.wav": second,
        "e1.wav": 0.5 * second[2 * RATE : 10 * RATE],
        "f2.wav": third,
    }.items():
        soundfile.write(folder / name, audio, RATE)
    return folder


@pytest.fixture(scope="module")
def scan(library: Path, tiny_detector: Path) -> Callable[..., ScanReport]:
    def run(
        out: Path,
        workers: int = 0,
        shard: tuple[int, int] | None = None,
        scan: Callable[..., Any] = scan_audio,
        library: Path = library,
        **options: Any,
    ) -> ScanReport:
        settings = MineSettings(
            str(tiny_detector),
            min_seconds=1.0,
            sample_rate=16000,
            engine=Engine(workers=workers),
            shard=shard,
            scan_filter=ScanFilter(out, **options),
            limits=BatchLimits(excerpts=1),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("remix_miner.processes.workers.START_METHOD", "fork")
            patch.setattr("remix_miner.mining.jobs.task.scan_audio", scan)
            return mine([library], out, settings)

    return run


@pytest.fixture(scope="module")
def complete(scan: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("complete") / "mined"
    report = scan(out)
    assert report.complete
    assert report.tracks == {"done": 3}
    return out


def stops_after(count: int) -> Callable[..., Any]:
    """A scan that interrupts the run, as Ctrl-C does, when ``count`` files are scanned."""
    scanned = []

    def scan(path: Path, *arguments: Any, **options: Any) -> Any:
        result = scan_audio(path, *arguments, **options)
        scanned.append(path)
        if len(scanned) == count:
            os.kill(os.getpid(), signal.SIGINT)
        return result

    return scan


@pytest.fixture
def interrupted(scan: Any, tmp_path: Path) -> Path:
    """A scan that ended after five files: two copies of one song are mined."""
    out = tmp_path / "interrupted"
    assert scan(out, scan=stops_after(5)).run.interrupted
    return out


def done_in(folder: Path) -> list[str]:
    with Catalogue.read(folder) as catalogue:
        return catalogue.done_tracks()


def test_a_file_is_opened_once_and_its_fingerprint_is_that_of_the_file(
    scan: Any, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    class Counting(AudioReader):
        def __init__(self, path: Path) -> None:
            opened.append(path.name)
            super().__init__(path)

    for module in (
        "remix_miner.mining.track.scan",
        "remix_miner.mining.track.held_audio",
        "remix_miner.duplicates.fingerprints",
    ):
        monkeypatch.setattr(f"{module}.AudioReader", Counting)
    scan(tmp_path)
    assert sorted(opened) == sorted(path.name for path in library.iterdir())
    with FingerprintStore(tmp_path, to_read=True) as store:
        stored = {name: made for (name, *_), made in store.known().items()}
    for file in find_audio(library)[0]:
        peaks, seconds = fingerprint_file(file.path)
        assert stored[file.name].peaks.tobytes() == peaks.tobytes()
        assert stored[file.name].seconds == seconds
    opened.clear()
    assert scan(tmp_path).run.tracks == 0
    assert opened == []


def test_copies_are_in_the_shards_and_nowhere_else(complete: Path, library: Path, harvest_of: Any) -> None:
    assert done_in(complete) == KEPT
    assert {track for track, _, _ in harvest_of(complete)} == set(KEPT)
    assert {MinedExcerpts(complete)[index]["track"] for index in range(len(MinedExcerpts(complete)))} == set(KEPT)
    with ProbabilityStore(complete, to_read=True) as store:
        assert store.tracks() == KEPT
    report = json.loads((complete / "report.json").read_text())
    reasons = {Path(skip["path"]).relative_to(library.parent): skip["reason"] for skip in report["skipped"]}
    assert sorted(map(str, reasons)) == COPIES
    assert report["run"]["tracks"] == 6
    inspection = inspect_folder(complete, verify=True)
    assert inspection.damage == []
    with Catalogue.read(complete) as catalogue:
        live = sum(catalogue.excerpt_places(name)[:, 1].sum() for name in catalogue.shards())
        stored = sum(shard["frames"] for shard in catalogue.shards().values())
    assert inspection.unread_bytes == report["totals"]["unread_bytes"] == 4 * (stored - live) > 0


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_interruptions_do_not_change_the_choice(
    scan: Any, complete: Path, interrupted: Path, harvest_of: Any, tmp_path: Path, workers: int
) -> None:
    scan(tmp_path / "workers", workers)
    assert harvest_of(tmp_path / "workers") == harvest_of(complete)
    assert len(done_in(interrupted)) == 5
    assert any("not yet compared" in remark for remark in inspect_folder(interrupted).remarks)
    assert scan(interrupted, workers).complete
    assert harvest_of(interrupted) == harvest_of(complete)
    assert inspect_folder(interrupted, verify=True).damage == []


def test_shares_one_of_them_interrupted_merge_to_the_same(
    scan: Any, complete: Path, harvest_of: Any, tmp_path: Path
) -> None:
    for number in (1, 2):
        scan(tmp_path / str(number), shard=(number, 2))
    scan(tmp_path / "whole", scan=stops_after(5))
    merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "2"])
    assert harvest_of(tmp_path / "merged") == harvest_of(complete)
    merge(tmp_path / "mixed", [tmp_path / "whole", tmp_path / "1", tmp_path / "2"])
    assert harvest_of(tmp_path / "mixed") == harvest_of(complete)


@pytest.mark.skipif(sys.platform != "linux", reason="finds workers through /proc")
def test_killed_at_any_moment_the_choice_is_that_of_an_undisturbed_scan(
    scan: Any, complete: Path, harvest_of: Any, tmp_path: Path
) -> None:
    choose = random.Random(1)
    out, finished = tmp_path / "0", 0
    for _ in range(KILLS):
        process = multiprocessing.get_context("fork").Process(target=patiently, args=(scan, out))
        process.start()
        process.join(choose.uniform(0.1, 1.2))
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        if process.exitcode == 0:
            assert harvest_of(out) == harvest_of(complete)
            finished += 1
            out = tmp_path / str(finished)
    assert patiently(scan, out).complete
    assert harvest_of(out) == harvest_of(complete)
    with ProbabilityStore(out, to_read=True) as store:
        assert store.tracks() == KEPT


def patiently(scan: Any, out: Path) -> ScanReport:
    """Scan when the workers of a killed scan have ended, too: they hold its lock."""
    while True:
        try:
            report: ScanReport = scan(out, 2)
            return report
        except DataError as error:
            if "in use" not in str(error):
                raise
            time.sleep(0.02)


def test_an_interrupted_scan_is_cut_again_without_copies(
    interrupted: Path, library: Path, harvest_of: Any, tmp_path: Path
) -> None:
    thresholds = RemineSettings({"drums": 0.3}, library=[library], engine=Engine(workers=0))
    report = remine(interrupted, tmp_path / "again", thresholds)
    both = {"library/c1.ogg", "library/d1.wav"} | {"library/a0.flac", "library/b0.wav"}
    assert len(both & set(done_in(interrupted))) > len(both & set(done_in(tmp_path / "again"))) == 2
    assert {skip.path.name for skip in report.skipped} <= {Path(name).name for name in COPIES}
    assert {track for track, _, _ in harvest_of(tmp_path / "again")} <= set(done_in(tmp_path / "again"))
    assert remine(interrupted, tmp_path / "again", thresholds).run.tracks == 0


def test_a_copy_that_was_reviewed_stays(scan: Any, interrupted: Path) -> None:
    with review_transaction(interrupted) as database:
        query = (
            "SELECT excerpts.id, track_id, source, start_seconds, excerpts.seconds, path FROM excerpts "
            "JOIN tracks ON tracks.id = track_id WHERE path IN (?, ?)"
        )
        excerpt_id, track_id, source, start, seconds, name = database.execute(query, COPIES[:2]).fetchone()
        record(database, Review(track_id, source, start, seconds, "accepted", "me", excerpt_id=excerpt_id))
    report = scan(interrupted)
    assert name in done_in(interrupted)
    assert len(report.skipped) == 3
    assert name not in {f"library/{skip.path.name}" for skip in report.skipped}


def test_an_excluded_recording_leaves_no_trace_but_its_fingerprint(
    scan: Any, library: Path, complete: Path, harvest_of: Any, tmp_path: Path
) -> None:
    test_song = tmp_path / "test.flac"
    audio, rate = soundfile.read(library / "d1.wav")
    soundfile.write(test_song, audio[3 * rate :], rate)
    out = tmp_path / "mined"
    for workers, scanned in ((1, 6), (0, 0)):
        report = scan(out, workers, exclude=[test_song])
        assert report.complete
        assert report.run.tracks + sum("excluded" in skip.reason for skip in report.skipped) >= scanned
        assert sorted(skip.path.name for skip in report.skipped) == ["a0.flac", "c1.ogg", "d1.wav", "e1.wav"]
        assert done_in(out) == ["library/b0.wav", "library/f2.wav"]
    expected = {key: audio for key, audio in harvest_of(complete).items() if key[0] != "library/d1.wav"}
    assert harvest_of(out) == expected
    with Catalogue.read(out) as catalogue:
        assert catalogue.track_counts() == {"done": 2}
        assert uncompared_tracks(catalogue.database) == set()


def test_a_better_copy_that_could_not_be_scanned_gives_way(
    library: Path, scan: Any, harvest_of: Any, tmp_path: Path
) -> None:
    """And is left out when it can be read later: the copy that was mined stays."""
    music = tmp_path / "library"
    shutil.copytree(library, music)
    whole = (music / "b0.wav").read_bytes()
    (music / "b0.wav").write_bytes(b"no music" * 1000)
    assert scan(tmp_path / "mined", library=music).failures[0][0] == "library/b0.wav"
    assert "library/a0.flac" in done_in(tmp_path / "mined")
    (music / "b0.wav").write_bytes(whole)
    report = scan(tmp_path / "mined", library=music)
    assert report.complete
    assert done_in(tmp_path / "mined") == ["library/a0.flac", *KEPT[1:]]


def test_the_index_of_excluded_recordings_proposes_what_a_comparison_of_all_does(library: Path) -> None:
    peaks = [fingerprint_file(file.path)[0] for file in find_audio(library)[0]]
    pairs, _ = proposed_pairs(peaks)
    for number, one in enumerate(peaks):
        expected = [pair.sum() - number for pair in pairs if number in pair]
        assert [other for other in Index(peaks).proposed(one).tolist() if other != number] == expected
    assert Index([]).proposed(peaks[0]).tolist() == []
    nothing = Fingerprint(np.zeros(0, dtype=peaks[0].dtype), 0.0).peaks
    assert Index(peaks).proposed(nothing).tolist() == []
    assert min(len(indexed_keys(one)) for one in peaks) > LEAST_COMMON
