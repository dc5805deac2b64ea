"""A scan can be killed anywhere, and libraries and folders may change under it: nothing is lost and nothing doubled."""

import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remix_miner.duplicates.scan_filter import ScanFilter
from remix_miner.errors import DataError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.inspection import inspect_folder
from remix_miner.mined.shards.files import shard_paths
from remix_miner.mined.shards.reader import Shard
from remix_miner.mining.detect import FileFilter, MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.report import ScanReport
from remix_miner.mining.settings import BatchLimits
from remix_miner.mining.summary import summary
from remix_miner.mining.track.scan import scan_audio

Harvest = dict[tuple[str, str, int], str]
KILLS = 30


@pytest.fixture(scope="module")
def songs(noise_library: Callable[[int], Path]) -> Path:
    return noise_library(8)


@pytest.fixture(scope="module")
def scan(tiny_detector: Path) -> Callable[..., ScanReport]:
    def run(
        library: Path,
        out: Path,
        workers: int = 0,
        scan_filter: FileFilter | None = None,
        scan: Callable[..., Any] = scan_audio,
        batch_excerpts: int = 2,
    ) -> ScanReport:
        settings = MineSettings(
            detector=str(tiny_detector),
            min_seconds=1.0,
            sample_rate=16000,
            engine=Engine(workers=workers),
            retry_failed=True,
            scan_filter=scan_filter,
            limits=BatchLimits(excerpts=batch_excerpts),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("remix_miner.processes.workers.START_METHOD", "fork")
            patch.setattr("remix_miner.mining.jobs.task.scan_audio", scan)
            return mine([library], out, settings)

    return run


@pytest.fixture(scope="module")
def undisturbed(scan: Any, songs: Path, harvest_of: Any, tmp_path_factory: pytest.TempPathFactory) -> Harvest:
    out = tmp_path_factory.mktemp("undisturbed")
    assert scan(songs, out).complete
    found: Harvest = harvest_of(out)
    assert len(found) >= 8
    return found


def children(process: int) -> list[int]:
    try:
        return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def kill(process: int) -> bool:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="finds workers through /proc")
def test_killed_thirty_times_the_excerpts_are_those_of_an_undisturbed_scan(
    scan: Any, songs: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    choose = random.Random(0)
    targets = choose.sample(["worker", "parent", "both"] * (KILLS // 3), KILLS)
    finished = 0
    out = tmp_path / "0"

    def patient_scan(out: Path, workers: int) -> ScanReport:
        """Forked workers hold their parent's lock until the system has ended them too, a moment later."""
        while True:
            try:
                return scan(songs, out, workers, scan_filter=ScanFilter(out))
            except DataError as error:
                if "in use" not in str(error):
                    raise
                time.sleep(0.02)

    while targets:
        process = multiprocessing.get_context("fork").Process(target=patient_scan, args=(out, 2))
        process.start()
        assert process.pid is not None
        while process.is_alive() and targets:
            time.sleep(choose.uniform(0.05, 0.4))
            workers = children(process.pid)
            if targets[-1] != "parent" and not workers:
                continue  # they have not started yet
            if targets[-1] == "worker":
                if kill(choose.choice(workers)):
                    targets.pop()
                continue
            for worker in workers if targets[-1] == "both" else []:
                kill(worker)
            if process.is_alive() and kill(process.pid):
                targets.pop()
            process.join()
        process.join()
        for path in shard_paths(out):
            Shard(path).close()
        if process.exitcode == 0:
            assert patient_scan(out, 0).complete  # once more: a track that two kills in a row hit is tried again
            assert harvest_of(out) == undisturbed
            finished += 1
            out = tmp_path / str(finished)
    assert patient_scan(out, 0).complete
    assert harvest_of(out) == undisturbed


def test_finished_shards_are_never_altered(scan: Any, songs: Path, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    for song in sorted(songs.iterdir())[:4]:
        shutil.copy(song, tmp_path / "library")
    scan(tmp_path / "library", tmp_path / "mined")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in shard_paths(tmp_path / "mined")}
    assert before
    for song in sorted(songs.iterdir())[4:]:
        shutil.copy(song, tmp_path / "library")
    scan(tmp_path / "library", tmp_path / "mined")
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in shard_paths(tmp_path / "mined")}
    assert after.items() > before.items()


def test_a_rerun_with_nothing_new_starts_no_engine(scan: Any, songs: Path, tmp_path: Path) -> None:
    scan(songs, tmp_path)

    def never(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("scanned again")

    report = scan(songs, tmp_path, scan=never)
    assert report.complete
    assert report.run.tracks == 0
    assert "nothing new" in summary(report, tmp_path)


def test_files_that_are_new_changed_touched_or_gone(
    scan: Any, songs: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    library, out = tmp_path / "library", tmp_path / "mined"
    library.mkdir()
    for name in ("0.wav", "1.wav", "2.wav"):
        shutil.copy(songs / name, library)
    scan(library, out)
    (library / "0.wav").unlink()
    shutil.copy(songs / "5.wav", library / "1.wav")
    shutil.copy(songs / "3.wav", library)
    report = scan(library, out)
    assert (report.run.tracks, report.complete) == (2, True)
    expected = {key: audio for key, audio in undisturbed.items() if key[0][8:] in ("0.wav", "2.wav", "3.wav")}
    expected |= {("library/1.wav", *key[1:]): audio for key, audio in undisturbed.items() if key[0][8:] == "5.wav"}
    assert harvest_of(out) == expected


def test_a_deleted_shard_is_made_again(
    scan: Any, songs: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    scan(songs, tmp_path)
    shard_paths(tmp_path)[0].unlink()
    report = scan(songs, tmp_path)
    assert report.run.tracks >= 1
    assert harvest_of(tmp_path) == undisturbed


@pytest.mark.parametrize("workers", [0, 2])
def test_files_that_vanish_change_or_appear_in_mid_scan_are_scanned_by_the_next_run(
    scan: Any, songs: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path, workers: int
) -> None:
    library, out = tmp_path / "library", tmp_path / "mined"
    shutil.copytree(songs, library)
    (library / "6.wav").unlink()

    scans: Counter[str] = Counter()

    def disturbed(path: Path, *arguments: Any, **options: Any) -> Any:
        scans[path.name] += 1
        if path.name == "0.wav":
            shutil.copy(songs / "6.wav", library)
        if path.name == "2.wav":
            path.rename(path.with_suffix(".away"))
        scanned = scan_audio(path, *arguments, **options)
        if path.name == "4.wav":
            os.utime(path, (1, 1))
        return scanned

    report = scan(library, out, workers, scan=disturbed, batch_excerpts=1000)
    assert {(track, kind) for track, kind, _ in report.failures} == {
        ("library/2.wav", "unreadable"),
        ("library/4.wav", "changed"),
    }
    assert not report.complete
    assert report.tracks == {"done": 5, "pending": 2}
    assert workers or set(scans.values()) == {1}  # nobody else's work is lost with them
    (library / "2.away").rename(library / "2.wav")
    assert scan(library, out, workers).complete
    assert harvest_of(out) == undisturbed


def test_odd_names_loops_and_folders_that_cannot_be_read(
    scan: Any, songs: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, out = tmp_path / "library", tmp_path / "mined"
    library.mkdir()
    names = ["new\nline.wav", "emoji 🎸.wav", "quote'\".wav", " blank .wav", "-dash.wav", "back\\slash.wav"]
    places = [library / name for name in names] + [Path(os.fsdecode(os.fsencode(library) + b"/latin\xe9.wav"))]
    for place in places:
        shutil.copy(songs / "6.wav", place)
    (library / "loop").symlink_to(library)
    (library / "nowhere.wav").symlink_to(tmp_path / "missing")
    (library / "empty.wav").touch()
    (library / "closed").mkdir()
    shutil.copy(songs / "6.wav", library / "closed")
    listed = Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder.name == "closed":  # tests may run as root, to whom every folder is open
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    report = scan(library, out, 1)
    assert report.complete
    assert report.tracks == {"done": 7}
    found = harvest_of(out)
    per_song = [audio for key, audio in undisturbed.items() if key[0] == "library/6.wav"]
    assert sorted(found.values()) == sorted(7 * per_song)
    assert {one.reason.split(":")[0] for one in report.skipped} >= {
        "empty (0 bytes)",
        "broken link",
        "cannot be read",
    }
    summary(report, out).encode("utf-8")
    assert (out / "report.json").read_text(encoding="utf-8")
    assert scan(library, out).run.tracks == 0


def test_the_second_of_two_scans_into_one_folder_is_refused(scan: Any, songs: Path, tmp_path: Path) -> None:
    def second(path: Path, *arguments: Any, **options: Any) -> Any:
        with pytest.raises(DataError, match="in use by process"):
            scan(songs, tmp_path)
        return scan_audio(path, *arguments, **options)

    assert scan(songs, tmp_path, scan=second).complete


def test_ctrl_c_keeps_what_is_finished_and_a_second_run_does_the_rest(
    scan: Any, songs: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    def interrupting(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "3.wav":
            os.kill(os.getpid(), signal.SIGINT)
        return scan_audio(path, *arguments, **options)

    report = scan(songs, tmp_path, scan=interrupting)
    assert report.run.interrupted
    assert not report.complete
    assert 0 < report.tracks["done"] < 8
    assert "the same command resumes" in summary(report, tmp_path)
    with Catalogue.read(tmp_path) as catalogue:
        assert catalogue.runs[-1]["finished"] is None
    assert harvest_of(tmp_path).items() <= undisturbed.items()
    assert scan(songs, tmp_path).complete
    assert harvest_of(tmp_path) == undisturbed


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of file size that raises EFBIG")
def test_a_disk_that_is_full_in_mid_shard(
    scan: Any, songs: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    """A limit of the size of files stands for the full disk: writes beyond it fail with an error of the system."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_600_000, resource.RLIM_INFINITY))
        try:
            scan(songs, tmp_path, batch_excerpts=1000)
        except DataError as error:
            (tmp_path / "error.txt").write_text(str(error))

    process = multiprocessing.get_context("fork").Process(target=limited)
    process.start()
    process.join()
    assert "make room" in (tmp_path / "error.txt").read_text()
    assert scan(songs, tmp_path).complete
    assert harvest_of(tmp_path) == undisturbed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A function that gives a file system in memory so many bytes, and returns where it lies."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def make(size: int) -> Path:
        again = "remount," if folder.is_mount() else ""
        command = ["mount", "-t", "tmpfs", "-o", f"{again}size={size}", "tmpfs", str(folder)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("a small file system cannot be mounted here")
        return folder

    yield make
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_small_disk_that_fills_up_again_and_again(
    scan: Any, songs: Path, harvest_of: Any, undisturbed: Harvest, small_disk: Any, workers: int
) -> None:
    """Every time it is given a little more room, and what was recorded before stays."""
    errors: list[str] = []
    recorded, in_part = 0, False
    for kilobytes in (40, 80, 2500, 7500, 8000, 9000, 10_000, 64_000):
        out = small_disk(1024 * kilobytes) / "mined"
        try:
            report = scan(songs, out, workers)
        except DataError as error:
            errors.append(str(error))
        if kilobytes > 40:  # with so little not even the tables of the catalogue can be made
            found = inspect_folder(out, verify=True)
            assert not found.damage
            live = sum(int(row["excerpts"]) for row in found.sources.values())
            assert live >= recorded
            recorded, in_part = live, in_part or 0 < live < len(undisturbed)
    assert len(errors) >= 3
    assert all("make room" in error or "disk is full" in error for error in errors)
    assert in_part or workers  # how far several of them come before the disk is full is not the same every time
    assert report.complete
    assert harvest_of(out) == undisturbed


def test_interrupted_on_the_command_line_it_says_so_and_exits_with_130(
    songs: Path, tiny_detector: Path, tmp_path: Path
) -> None:
    arguments = ["detect", str(songs), "--out", str(tmp_path), "--detector", str(tiny_detector), "--workers", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "remix_miner.cli", *arguments],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "catalogue.sqlite").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"what was finished is kept" in stderr
