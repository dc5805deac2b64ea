"""The scan of a library: decide what is to be done, let an engine do it, record what is safe, report."""

import contextlib
import dataclasses
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remix_miner.atomic import write_json
from remix_miner.checkpoint import versions
from remix_miner.datasets.library import LibraryFile, Skipped, find_audio
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.loading import LoadedDetector, load_detector
from remix_miner.device import Precision, Sampling, resolve_device
from remix_miner.errors import DataError, UsageError
from remix_miner.interrupts import Interrupts
from remix_miner.mined.catalogue import Catalogue, ScannedTrack
from remix_miner.mining.audit import Purity, judge, plant, planted_files
from remix_miner.mining.engines.local import Watch, scan_in_process, scan_locally
from remix_miner.mining.messages import (
    PASSING_FAILURES,
    Batch,
    Event,
    Failed,
    MinerSetup,
    ScanSettings,
    Task,
    TrackScan,
)
from remix_miner.mining.plan import share_of, tasks_for
from remix_miner.mining.report import REPORT_NAME, RunTally, ScanReport, failure_text, report_of
from remix_miner.progress import Progress
from remix_miner.sources import MINED_SOURCES

Chooser = Callable[[Sequence[LibraryFile]], Sequence[Skipped]]
"""Looks at the files before a scan and names those to leave out, each with its reason: duplicates, test songs."""

EngineFunction = Callable[[MinerSetup, Sequence[Task], Watch], Generator[Event, None, None]]


@dataclass(frozen=True)
class Engine:
    """Who scans. ``workers``: None takes one per CPU core, 0 this process; on a GPU each holds the detector there."""

    name: str = "local"
    workers: int | None = None
    device: str = "cpu"
    address: str | None = None
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        if self.name not in ("local", "ray"):
            raise UsageError(f"--engine is local or ray, got {self.name!r}")
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"--workers is 0 (scan in this process) or more, got {self.workers}")
        if self.name == "ray" and self.workers == 0:
            raise UsageError("--workers 0 scans in this process; leave out --engine ray")
        if self.name == "ray" and self.device == "auto":
            raise UsageError("--engine ray asks for --device cpu or cuda: this machine cannot know the others' GPUs")
        if self.name == "local" and self.address is not None:
            raise UsageError("--address belongs to --engine ray")

    def function(self) -> EngineFunction:
        """The generator of events."""
        if self.name == "ray":
            from remix_miner.mining.engines.ray import scan_with_ray

            return lambda setup, tasks, watch: scan_with_ray(
                setup, tasks, watch, self.workers, self.address, self.gpus_per_worker
            )
        if self.workers == 0:
            return scan_in_process
        return lambda setup, tasks, watch: scan_locally(setup, tasks, watch, self.processes)

    @property
    def processes(self) -> int:
        """Of this machine that may work at once; 0 means this process alone."""
        return usable_cores() if self.workers is None else self.workers


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_thresholds(
    detector: LoadedDetector, calibration: Calibration | None, sources: Iterable[str] = MINED_SOURCES
) -> tuple[dict[str, float], dict[str, str], Calibration]:
    """(threshold of each source to mine, reason for each one refused, the calibration they are from).

    Raises `DataError` without a calibration, with one that was made for another detector, or when every source is
    refused.
    """
    calibration = calibration or detector.calibration
    if calibration is None:
        raise DataError(
            f"detector {detector.name!r} has no calibration beside it; make one with remix-miner calibrate and pass it "
            "with --calibration"
        )
    calibration.check_detector(detector.sha256)
    thresholds, refused = {}, {}
    for source in sources:
        if source not in calibration.sources:
            refused[source] = "the calibration does not have it"
        elif (threshold := calibration.threshold(source)) is None:
            refused[source] = calibration.sources[source].reason or "the calibration has no threshold for it"
        else:
            thresholds[source] = float(threshold)
    if not thresholds:
        reasons = "; ".join(f"{source}: {reason}" for source, reason in refused.items())
        raise DataError(f"no source can be mined ({reasons}); choose other --sources or another --calibration")
    return thresholds, refused, calibration


def mine(
    library: Sequence[Path],
    out: Path,
    *,
    detector: str = "default",
    calibration: Calibration | None = None,
    sources: Iterable[str] = MINED_SOURCES,
    min_seconds: float = 5.0,
    sample_rate: int = 44100,
    channels: int = 2,
    precision: Precision = "float32",
    sampling: Sampling = "sparse",
    engine: Engine | None = None,
    shard: tuple[int, int] | None = None,
    restart: bool = False,
    retry_failed: bool = False,
    planted: Sequence[Path] = (),
    choose: Chooser | None = None,
    setup_changes: Mapping[str, Any] | None = None,
) -> ScanReport:
    """Scan files and folders for excerpts in which a source is silent; write shards and catalogue into ``out``.

    What ``out`` already holds is kept and not scanned again, unless ``restart`` throws it away. Of a library that is
    shared among several scans, ``shard`` takes one share. ``planted`` are labelled songs to audit the scan with.
    ``setup_changes`` replaces fields of `MinerSetup` (sizes of batches). The report is also written to
    ``out/report.json``. Files that fail are in the report; `DataError` is raised when the scan itself cannot go on:
    ``out`` is in use, or of other settings, or the disk is full.
    """
    engine = engine or Engine()
    run_engine = engine.function()
    loaded = load_detector(detector)
    thresholds, refused, calibration = choose_thresholds(loaded, calibration, sources)
    settings = ScanSettings(
        thresholds,
        float(min_seconds),
        sample_rate=sample_rate,
        channels=channels,
        precision=precision,
        sampling=sampling,
    )
    recorded = {"detector_sha256": loaded.sha256, **dataclasses.asdict(settings)}
    files, skipped = find_audio(library)
    if shard is not None:
        files = share_of(files, shard)
    with contextlib.ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        catalogue = stack.enter_context(Catalogue.open(out, recorded, restart=restart))
        if choose is not None:
            left_out = list(choose(files))
            out_of_scan = {one.path for one in left_out}
            files = [file for file in files if file.path not in out_of_scan]
            skipped = [*skipped, *left_out]
        songs, plants = {}, []
        if planted:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="remix-miner-")))
            songs = plant(planted, folder)
            plants = planted_files(folder, songs)
        tasks = tasks_for(catalogue.register(files, retry_failed=retry_failed), plants)
        tally = RunTally()
        audits: dict[str, Purity] = {}
        if tasks:
            setup = MinerSetup(
                out=out,
                detector=detector,
                detector_sha256=loaded.sha256,
                device=resolve_device(engine.device) if engine.name == "local" else engine.device,
                settings=settings,
                recorded_settings=recorded,
                run=secrets.token_hex(4),
                calibration=calibration,
            )
            setup = dataclasses.replace(setup, **(setup_changes or {}))
            run = catalogue.start_run(versions(), loaded.sha256)
            judged = _consume(run_engine, setup, tasks, catalogue, tally, lambda: interrupts.requested)
            if not tally.interrupted:
                catalogue.finish_run(run)
            audits = judge(judged, songs, list(thresholds)) if songs else {}
        report = report_of(catalogue, refused=refused, skipped=skipped, run=tally, planted=audits)
        write_json(out / REPORT_NAME, report.as_json())
        return report


def _consume(
    run_engine: EngineFunction,
    setup: MinerSetup,
    tasks: list[Task],
    catalogue: Catalogue,
    tally: RunTally,
    stopping: Callable[[], bool],
) -> list[TrackScan]:
    """Drive the engine: record every safe batch and every failure; returns the scans of planted songs."""
    judged = []
    heard: set[str] = set()
    excerpts = 0
    total = sum(task.seconds for task in tasks)
    started = time.monotonic()

    def note() -> str:
        tally.wall_seconds = time.monotonic() - started
        return (
            f"{len(heard)}/{len(tasks)} tracks, {tally.seconds / 3600:.2f} h at {tally.speed:.0f}x real time, "
            f"{excerpts} excerpts"
        )

    with Progress("scanning", total / 60, unit="minutes of audio") as progress:

        def progressed(seconds: float) -> None:
            tally.seconds += seconds
            progress.advance(seconds / 60, note())

        events = run_engine(setup, tasks, Watch(progressed, stopping))
        with contextlib.closing(events):
            for event in events:
                match event:
                    case TrackScan():
                        if event.task.file.name not in heard:
                            heard.add(event.task.file.name)
                            excerpts += len(event.found)
                            total += event.seconds - event.task.seconds
                        if not event.task.store:
                            judged.append(event)
                    case Failed(task, kind, reason):
                        heard.add(task.file.name)
                        total -= task.seconds
                        if task.store:
                            catalogue.fail_track(
                                task.file.name, failure_text(kind, reason), passing=kind in PASSING_FAILURES
                            )
                    case Batch(tracks, shards):
                        tally.excerpts += catalogue.finish_tracks([_row(track) for track in tracks], shards)
                        tally.tracks += len(tracks)
                progress.expect(total / 60)
                progress.advance(0, note())
        tally.interrupted = stopping()
        note()
    return judged


def _row(track: TrackScan) -> ScannedTrack:
    return ScannedTrack(
        name=track.task.file.name,
        sha256=track.sha256,
        seconds=track.seconds,
        sample_rate=track.sample_rate,
        channels=track.channels,
        problem=track.note,
    )
