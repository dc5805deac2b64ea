"""Engines: the same excerpts whoever scans, and a file that takes its worker with it costs that file alone."""

import faulthandler
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from remix_miner.errors import AudioError, DataError, UsageError
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.jobs.run import Watch, run_jobs
from remix_miner.mining.messages import JobSetup
from remix_miner.mining.report import ScanReport
from remix_miner.mining.settings import BatchLimits, ScanSettings
from remix_miner.mining.summary import summary
from remix_miner.mining.track.scan import scan_audio
from remix_miner.processes.environment import worker_environment

Harvest = dict[tuple[str, str, int], str]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, noise_song: Any) -> Path:
    folder = tmp_path_factory.mktemp("songs") / "library"
    folder.mkdir()
    for number, suffix in enumerate(("wav", "flac", "ogg", "mp3", "wav", "flac")):
        song = 0.5 * noise_song(number, 3.0 + number / 2, 16000)
        soundfile.write(folder / f"{number}.{suffix}", song.T, 16000)
    return folder


@pytest.fixture(scope="module")
def scan(library: Path, tiny_detector: Path) -> Callable[..., ScanReport]:
    def run(
        out: Path,
        workers: int,
        scan: Callable[..., Any] = scan_audio,
        start_method: str = "fork",
        **limits: Any,
    ) -> ScanReport:
        settings = MineSettings(
            detector=str(tiny_detector),
            min_seconds=1.0,
            engine=Engine(workers=workers),
            limits=BatchLimits(**limits),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("remix_miner.processes.workers.START_METHOD", start_method)
            patch.setattr("remix_miner.mining.jobs.task.scan_audio", scan)
            return mine([library], out, settings)

    return run


@pytest.fixture(scope="module")
def undisturbed(
    scan: Callable[..., ScanReport],
    harvest_of: Callable[[Path], Harvest],
    tmp_path_factory: pytest.TempPathFactory,
) -> Harvest:
    out = tmp_path_factory.mktemp("undisturbed")
    report = scan(out, workers=0)
    assert report.complete
    assert report.tracks == {"done": 6}
    found = harvest_of(out)
    assert len(found) >= 6
    return found


@pytest.mark.parametrize("changes", [{}, {"excerpts": 1}, {"seconds": 0.3, "held_bytes": 0}])
def test_workers_give_what_one_process_gives(
    scan: Any, harvest_of: Any, undisturbed: Harvest, tmp_path: Path, changes: dict[str, Any]
) -> None:
    report = scan(tmp_path, workers=2, **changes)
    assert report.complete
    assert harvest_of(tmp_path) == undisturbed


def test_spawned_workers_give_the_same(scan: Any, harvest_of: Any, undisturbed: Harvest, tmp_path: Path) -> None:
    scan(tmp_path, workers=1, start_method="spawn")
    assert harvest_of(tmp_path) == undisturbed


def dies_at(name: str, times: Path | None = None) -> Callable[..., Any]:
    """A scan that kills its process at one file: always, or as long as the file ``times`` has a line to take away."""

    def scan(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == name and (times is None or times.exists()):
            if times is not None:
                times.unlink()
            faulthandler.disable()  # the crash is meant: no report of it among the results
            os.kill(os.getpid(), signal.SIGSEGV)
        return scan_audio(path, *arguments, **options)

    return scan


def test_workers_compute_with_one_thread_each(scan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set for them reaches a worker, holds in every library that has threads, and is gone afterwards."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)

    def tells(path: Path, *arguments: Any, **options: Any) -> Any:
        (tmp_path / "told").write_text(os.environ["OMP_NUM_THREADS"] + os.environ["OPENBLAS_NUM_THREADS"])
        return scan_audio(path, *arguments, **options)

    assert scan(tmp_path / "mined", workers=1, scan=tells).complete
    assert (tmp_path / "told").read_text() == "11"
    code = "import numpy, torch, threadpoolctl as t; print({pool['num_threads'] for pool in t.threadpool_info()})"
    with worker_environment():
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout == "{1}\n"
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_a_file_that_always_kills_its_worker_costs_that_file_only(
    scan: Any, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    report = scan(tmp_path, workers=2, scan=dies_at("3.mp3"))
    assert report.tracks == {"done": 5, "failed": 1}
    ((track, kind, reason),) = report.failures
    assert (track, kind) == ("library/3.mp3", "crashed")
    assert "SIGSEGV" in reason
    assert harvest_of(tmp_path) == {key: value for key, value in undisturbed.items() if key[0] != track}
    assert "--retry-failed" in summary(report, tmp_path)


def test_a_file_that_kills_its_worker_once_is_scanned_in_the_second_try(
    scan: Any, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    (tmp_path / "once").touch()
    report = scan(tmp_path / "mined", workers=2, scan=dies_at("0.wav", tmp_path / "once"), excerpts=10_000)
    assert report.complete
    assert harvest_of(tmp_path / "mined") == undisturbed


def setup_and_tasks(library: Path, detector: Path, out: Path) -> tuple[JobSetup, list[Any]]:
    from remix_miner.datasets.library import find_audio
    from remix_miner.detector.loading import load_detector
    from remix_miner.mining.plan import tasks_for

    settings = ScanSettings({"drums": 0.3, "vocals": 0.3}, min_seconds=1.0)
    sha256 = load_detector(detector).sha256
    return JobSetup(out, str(detector), sha256, "cpu", settings, {}, "run"), tasks_for(find_audio(library)[0])


def run(setup: JobSetup, tasks: list[Any], watch: Watch, workers: int) -> Any:
    return run_jobs(setup, Engine(workers=workers).lanes(setup, watch, len(tasks)), tasks, watch)


@pytest.fixture
def fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remix_miner.processes.workers.START_METHOD", "fork")


@pytest.mark.usefixtures("fork")
def test_a_file_that_never_ends_is_given_up(
    library: Path, tiny_detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "1.flac":
            time.sleep(1000)
        raise AudioError("at once, so that no other file is slow where the machine is")

    monkeypatch.setattr("remix_miner.mining.jobs.task.scan_audio", hangs)
    monkeypatch.setattr("remix_miner.mining.jobs.queue.STALL_SECONDS", 2.0)
    setup, tasks = setup_and_tasks(library, tiny_detector, tmp_path)
    batches = list(run(setup, tasks, Watch(), workers=2))
    failed = {failed.task.file.path.name: failed.kind for batch in batches for failed in batch.failed}
    assert failed.pop("1.flac") == "stalled"
    assert list(failed.values()) == ["undecodable"] * 5


def test_an_error_in_the_scan_of_a_file_is_that_files(scan: Any, tmp_path: Path) -> None:
    def raises(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "2.ogg":
            raise MemoryError("no room for 3 GB")
        return scan_audio(path, *arguments, **options)

    report = scan(tmp_path, workers=0, scan=raises)
    assert report.failures == [("library/2.ogg", "error", "MemoryError: no room for 3 GB")]


def test_a_file_that_changes_while_its_excerpts_are_written_leaves_none(
    scan: Any, library: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    """Its batch is given up: no trace of it, and the other tracks of the batch are scanned again."""
    from remix_miner.datasets.library import find_audio
    from remix_miner.mining.plan import tasks_for

    fruitful = {track for track, _, _ in undisturbed}
    *_, last = (task.file.name for task in tasks_for(find_audio(library)[0]) if task.file.name in fruitful)

    class Touched:
        def __init__(self, held: Any) -> None:
            self.held = held

        def blocks(self) -> Any:
            os.utime(self.held.path, ns=(time.time_ns(), time.time_ns()))
            return self.held.blocks()

    def touches(path: Path, *arguments: Any, **options: Any) -> Any:
        import dataclasses

        scanned = scan_audio(path, *arguments, **options)
        return dataclasses.replace(scanned, held=Touched(scanned.held)) if path.name == last[8:] else scanned

    for workers in (0, 1):
        out = tmp_path / str(workers)
        report = scan(out, workers=workers, scan=touches)
        assert [(track, kind) for track, kind, _ in report.failures] == [(last, "changed")]
        assert harvest_of(out) == {key: value for key, value in undisturbed.items() if key[0] != last}


@pytest.mark.usefixtures("fork")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_scan_that_is_asked_to_stop_closes_what_is_finished(
    library: Path, tiny_detector: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped when two tracks are scanned, in the middle of a job; the track at hand waits until it is noticed."""
    scanned = 0

    def count(counts: Any) -> None:
        nonlocal scanned
        scanned = counts.tracks

    def slow(path: Path, *arguments: Any, on_block: Callable[[float], None], **options: Any) -> Any:
        result = scan_audio(path, *arguments, on_block=on_block, **options)
        for _ in range(10 if workers else 0):
            time.sleep(0.1)
            on_block(0.0)
        return result

    monkeypatch.setattr("remix_miner.mining.jobs.task.scan_audio", slow)
    monkeypatch.setattr("remix_miner.mining.jobs.queue.SHORTEST_JOB_SECONDS", 1e9)
    setup, tasks = setup_and_tasks(library, tiny_detector, tmp_path)
    watch = Watch(count, lambda: scanned >= 2)
    safe: set[str] = set()
    for batch in run(setup, tasks, watch, workers):
        safe |= {track.task.file.name for track in batch.tracks}
        assert all(shard.path.is_file() for shard in batch.shards)
    assert 2 <= len(safe) < 6
    assert not list(tmp_path.glob("shards/.*"))


def test_a_full_disk_is_a_clear_error_and_a_rerun_finishes(
    scan: Any, harvest_of: Any, undisturbed: Harvest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remix_miner.mined.shards.writer import ShardWriter

    append = ShardWriter.append

    def full(writer: Any, *arguments: Any, **options: Any) -> None:
        if options["track"] == "library/2.ogg":
            raise DataError("cannot write drums.h5: No space left on device; make room and run the same command again")
        append(writer, *arguments, **options)

    for workers in (0, 2):
        out = tmp_path / str(workers)
        with monkeypatch.context() as patch:
            patch.setattr(ShardWriter, "append", full)
            with pytest.raises(DataError, match="No space left"):
                scan(out, workers=workers, excerpts=1)
        before = harvest_of(out)
        assert before.items() <= undisturbed.items()
        assert scan(out, workers=workers).complete
        assert harvest_of(out) == undisturbed


@pytest.mark.usefixtures("fork")
def test_workers_that_cannot_load_are_an_error(library: Path, tiny_detector: Path, tmp_path: Path) -> None:
    setup, tasks = setup_and_tasks(library, tiny_detector, tmp_path)
    import dataclasses

    with pytest.raises(DataError, match="no detector"):
        list(run(dataclasses.replace(setup, detector="nowhere"), tasks, Watch(), workers=2))
    with pytest.raises(DataError, match="replaced"):
        list(run(dataclasses.replace(setup, detector_sha256="0" * 64), tasks, Watch(), workers=2))


def test_engines_that_cannot_be_are_refused() -> None:
    for options in ({"name": "slurm"}, {"workers": -1}, {"name": "ray", "workers": 0}, {"address": "auto"}):
        with pytest.raises(UsageError):
            Engine(**options)  # type: ignore[arg-type]


def test_devices_are_shared_out_and_those_that_are_not_there_are_refused() -> None:
    from remix_miner.device import resolve_device, share_of_device

    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda")
    for wrong in ("gpu", "cuda:99"):
        with pytest.raises(UsageError, match="--device"):
            resolve_device(wrong)
    with pytest.raises(UsageError, match="'meta' cannot be used here"):
        resolve_device("meta")
    assert [share_of_device("cuda", worker, gpus=2) for worker in range(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert {share_of_device(name, 3, gpus=2) for name in ("cpu", "cuda:1")} == {"cpu", "cuda:1"}


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), -0.1, 2.0])
def test_thresholds_that_are_no_probabilities_are_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="threshold of drums"):
        ScanSettings({"drums": threshold})
