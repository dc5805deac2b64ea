"""Scan of a library: choose what to scan, run the jobs, record each safe batch, report."""

import contextlib
import dataclasses
import secrets
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from remix_miner.atomic import write_json
from remix_miner.audio import display_name
from remix_miner.checkpoint import versions
from remix_miner.datasets.library import LibraryFile, Skipped, find_audio
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.description import DetectorDescription, describe_detector
from remix_miner.device import Precision, Sampling
from remix_miner.duplicates.moved import follow_moved
from remix_miner.duplicates.scan_filter import ScanFilter
from remix_miner.errors import DataError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.library_folders import remember_folders
from remix_miner.mined.probabilities import ProbabilityStore
from remix_miner.mined.reviews.by_stretch import apply_by_stretch
from remix_miner.mined.uncompared import drop_tracks
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.messages import JobSetup
from remix_miner.mining.plan import check_share, share_of, tasks_for
from remix_miner.mining.promises import left_out_at
from remix_miner.mining.purity import Purity
from remix_miner.mining.recorder import Recorder
from remix_miner.mining.report import REPORT_NAME, RunTally, ScanReport, report_of
from remix_miner.mining.settings import BatchLimits, ScanSettings
from remix_miner.mining.thresholds import Promise, Thresholds, choose_thresholds, fusion_for
from remix_miner.processes.interrupts import Interrupts
from remix_miner.sources import MINED_SOURCES

FileFilter = Callable[[Sequence[LibraryFile]], Sequence[Skipped]]
"""Returns those of the files that a scan leaves out, each with its reason."""


@dataclass(frozen=True)
class MineSettings:
    """Settings of a scan. ``shard`` (I, N) is this scan's share of a library that N scans divide among them.

    ``purity``: the promised share of pure seconds, of all sources or of each that is named, in place of the
    calibration's own thresholds.
    ``planted``: labelled songs to audit the scan with. ``scan_filter``: leaves files out; a `ScanFilter` also gets the
    fingerprints of the scanned tracks and chooses among copies. ``restart``: delete the content of the mined folder.
    ``retry_failed``: scan files again that failed before. ``together``: mine only where all ``sources`` are silent at
    once; `DataError` if the calibration refuses one. ``labels_only``: store no audio.
    """

    detector: str = "default"
    calibration: Calibration | None = None
    purity: Promise = None
    sources: Iterable[str] = MINED_SOURCES
    min_seconds: float = 5.0
    sample_rate: int = 44100
    channels: int = 2
    precision: Precision = "float32"
    sampling: Sampling = "sparse"
    engine: Engine = field(default_factory=Engine)
    shard: tuple[int, int] | None = None
    restart: bool = False
    retry_failed: bool = False
    planted: Sequence[Path] = ()
    together: bool = False
    labels_only: bool = False
    scan_filter: FileFilter | None = None
    limits: BatchLimits = field(default_factory=BatchLimits)


def mine(
    library: Sequence[Path],
    out: Path,
    settings: MineSettings = MineSettings(),
    announce: Callable[[Thresholds], None] = lambda thresholds: None,
) -> ScanReport:
    """Scan files and folders for excerpts in which a source is silent; write shards and catalogue into ``out``.

    What ``out`` already holds is kept and not scanned again. ``announce`` is called when the scan starts. The report
    is also written to ``out/report.json``; it includes files that fail. Raises `DataError` if the scan itself cannot
    continue: ``out`` is in use or has other settings, or the disk is full.
    """
    detector = checked_detector(settings.detector)
    thresholds = choose_thresholds(detector, settings.calibration, settings.sources, settings.purity)
    if settings.together and thresholds.refused:
        source, reason = next(iter(thresholds.refused.items()))
        raise DataError(
            f"sources can be mined together only where each has a threshold; {source} has none: {reason}. Choose "
            "other sources, a lower --purity, or another --calibration"
        )
    scan_settings = ScanSettings(
        thresholds.of_sources,
        float(settings.min_seconds),
        sample_rate=settings.sample_rate,
        channels=settings.channels,
        precision=settings.precision,
        sampling=settings.sampling,
        fusion=fusion_for(thresholds, settings.min_seconds),
        together=settings.together,
        labels_only=settings.labels_only,
    )
    recorded = {
        "detector_sha256": detector.sha256,
        **dataclasses.asdict(scan_settings),
        "purity": thresholds.purity,
    }
    files, skipped = find_audio(library)
    if not files:
        why = f" ({display_name(skipped[0].path)}: {skipped[0].reason})" if skipped else ""
        raise DataError(f"no audio in {', '.join(map(display_name, library))}{why}; give folders or audio files")
    if settings.shard is not None:
        files = share_of(files, settings.shard)
    with contextlib.ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        catalogue = stack.enter_context(Catalogue.open(out, recorded, restart=settings.restart))
        with catalogue.transaction() as database:
            remember_folders(database, library)
            check_share(catalogue, settings.shard)
        probabilities = stack.enter_context(ProbabilityStore(out))
        moved = follow_moved(catalogue, probabilities, files)
        copies = settings.scan_filter if isinstance(settings.scan_filter, ScanFilter) else None
        if settings.scan_filter is not None:
            left_out = list(settings.scan_filter(files))
            files = without(files, left_out, catalogue)
            skipped = [*skipped, *left_out]
        songs, plants = {}, []
        if settings.planted:
            from remix_miner.mining.audit import judge, plant, planted_files

            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="remix-miner-")))
            songs = plant(settings.planted, folder)
            plants = planted_files(folder, songs)
        tasks = tasks_for(catalogue.register(files, retry_failed=settings.retry_failed), plants)
        tally = RunTally()
        audits: dict[str, Purity] = {}
        if tasks:
            setup = JobSetup(
                out=out,
                detector=settings.detector,
                detector_sha256=detector.sha256,
                device=settings.engine.resolved_device,
                settings=scan_settings,
                recorded_settings=recorded,
                run=secrets.token_hex(4),
                calibration=thresholds.calibration,
                limits=settings.limits,
                fingerprints=copies is not None and copies.needs_fingerprints,
                excluded=None if copies is None else copies.excluded,
            )
            announce(thresholds)
            run = catalogue.start_run(versions(), detector.sha256)
            write_fingerprints = None if copies is None or not setup.fingerprints else copies.write
            recorder = Recorder(catalogue, probabilities, tasks, tally, write_fingerprints)
            recorder.consume(setup, settings.engine, lambda: interrupts.requested)
            if not tally.interrupted:
                catalogue.finish_run(run)
            audits = judge(recorder.planted, songs, list(thresholds.of_sources)) if songs else {}
            skipped += recorder.excluded
        if copies is not None and not tally.interrupted:
            skipped += copies.choose(catalogue)
            probabilities.keep_only(catalogue.done_tracks())
        with catalogue.transaction() as database:
            apply_by_stretch(database)
        report = report_of(catalogue, refused=thresholds.refused, skipped=skipped, run=tally, planted=audits)
        found_left_out = left_out_at(thresholds.calibration, thresholds.purity)
        report = dataclasses.replace(report, moved=moved, left_out=found_left_out)
        write_json(out / REPORT_NAME, report.as_json())
        return report


def checked_detector(name: str) -> DetectorDescription:
    """Return the description of a detector that can be loaded; `DataError` otherwise.

    One that is not part of the package is loaded to find out, which takes the second that torch needs to start.
    """
    found = describe_detector(name)
    if not found.built_in:
        from remix_miner.detector.loading import load_detector

        load_detector(name)
    return found


def without(files: Sequence[LibraryFile], left_out: Sequence[Skipped], catalogue: Catalogue) -> list[LibraryFile]:
    """Return the files that are not left out. Those left out are removed from the catalogue unless they are done."""
    out_of_scan = {skip.path for skip in left_out}
    names = [file.name for file in files if file.path in out_of_scan]
    unfinished = [name for name in names if (catalogue.status(name) or ("done",))[0] != "done"]
    if unfinished:
        with catalogue.transaction() as database:
            drop_tracks(database, unfinished)
    return [file for file in files if file.path not in out_of_scan]
