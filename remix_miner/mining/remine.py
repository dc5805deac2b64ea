"""New excerpts from a mined folder at other thresholds: spans from the stored probabilities, no detector."""

import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remix_miner.atomic import write_json
from remix_miner.checkpoint import versions
from remix_miner.datasets.library import Skipped
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.evidence import Fusion
from remix_miner.duplicates.scan_filter import uncompared_copies
from remix_miner.duplicates.store import STORE_NAME, FingerprintStore
from remix_miner.errors import UsageError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_db import CATALOGUE_NAME
from remix_miner.mined.catalogue_rows import ScannedTrack
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.library_folders import KEY as FOLDERS_KEY
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.mined.probabilities import ProbabilityStore, StoredTrack
from remix_miner.mined.reviews.by_stretch import apply_by_stretch
from remix_miner.mined.reviews.copying import take_reviews
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.known_tracks import DoneTrack, PurityRows, at_purities, file_of, known_spans, waiting_tracks
from remix_miner.mining.messages import JobSetup, KnownSpans, Task
from remix_miner.mining.promises import left_out_at
from remix_miner.mining.recorder import Recorder, unstored_excerpt
from remix_miner.mining.report import REPORT_NAME, RunTally, ScanReport, report_of
from remix_miner.mining.settings import BatchLimits, ScanSettings
from remix_miner.processes.interrupts import Interrupts
from remix_miner.sources import parse_by_source


@dataclass(frozen=True)
class RemineSettings:
    """Settings of a second mining. ``library``: folders or files in which to find tracks that have moved.

    ``thresholds``: least probability per source of every window of an excerpt. ``purity``: what is promised of each
    (`thresholds.Thresholds`); empty for thresholds without a promise. ``min_seconds``: shortest excerpt; None keeps the
    folder's. ``labels_only``: record the excerpts without their audio; no file is decoded.
    """

    thresholds: Mapping[str, float]
    refused: Mapping[str, str] = field(default_factory=dict)
    calibration: Calibration | None = None
    purity: Mapping[str, float] = field(default_factory=dict)
    library: Sequence[Path] = ()
    min_seconds: float | None = None
    labels_only: bool = False
    engine: Engine = field(default_factory=Engine)
    limits: BatchLimits = field(default_factory=BatchLimits)


def remine(mined: Path, out: Path, settings: RemineSettings, announce: Callable[[], None] = lambda: None) -> ScanReport:
    """Cut new excerpts of the tracks of ``mined`` into ``out``; files with new spans are decoded, no others.

    Parts of excerpts that were rejected in review are left out, and so are copies, where an interrupted scan has not
    looked for them. Files that are missing or changed since the scan fail.
    A second call with the same settings resumes. Raises `DataError` for a folder without probabilities.
    """
    if out.resolve() == mined.resolve():
        raise UsageError("--out is another folder than the one that is mined again")
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(CatalogueView.read(mined))
        known = stack.enter_context(ProbabilityStore(mined, to_read=True))
        scan_settings, recorded = _settings(old.settings, settings)
        folders = LibraryFolders.of(old.database, settings.library)
        interrupts = stack.enter_context(Interrupts())
        catalogue = stack.enter_context(Catalogue.open(out, recorded))
        probabilities = stack.enter_context(ProbabilityStore(out))
        probabilities.take_over(mined)
        with catalogue.transaction() as database:
            for row in old.database.execute("SELECT value FROM meta WHERE key = ?", (FOLDERS_KEY,)).fetchall():
                database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (FOLDERS_KEY, *row))
        copies: dict[str, str] = {}
        if (mined / STORE_NAME).is_file():
            with FingerprintStore(out) as fingerprints:
                fingerprints.take_over(mined)
            with FingerprintStore(mined, to_read=True) as fingerprints:
                copies = {} if fingerprints.keeps_copies else uncompared_copies(old)
        tasks = []
        purity_rows: dict[str, PurityRows] = {}
        for track, stored in waiting_tracks(catalogue, old, known, folders, copies):
            found, purity_rows[track.name] = known_spans(old, stored, scan_settings, settings.calibration)
            if settings.labels_only:
                catalogue.finish_track(_labelled(track, stored, found, settings.calibration))
            elif found.found:
                found = dataclasses.replace(found, note=track.problem)
                tasks.append(Task(file_of(stored, folders), track.seconds, known=found))
            else:
                catalogue.finish_track(
                    ScannedTrack(
                        track.name, stored.sha256, track.seconds, stored.sample_rate, track.channels, track.problem
                    )
                )
        tasks.sort(key=lambda task: (-task.seconds, task.file.name))
        tally = RunTally()
        if tasks:
            announce()
            setup = JobSetup(
                out=out,
                detector=str(recorded["detector_sha256"]),
                detector_sha256=str(recorded["detector_sha256"]),
                device="cpu",
                settings=scan_settings,
                recorded_settings=recorded,
                run=secrets.token_hex(4),
                calibration=settings.calibration,
                limits=settings.limits,
            )
            run = catalogue.start_run(versions(), setup.detector_sha256)
            Recorder(catalogue, probabilities, tasks, tally).consume(
                setup, settings.engine, lambda: interrupts.requested
            )
            if not tally.interrupted:
                catalogue.finish_run(run)
        skipped = [Skipped(folders.path_of(name) or Path(name), reason) for name, reason in copies.items()]
        probabilities.keep_only(catalogue.done_tracks())
        if settings.calibration is not None:
            rows = at_purities(known, catalogue, scan_settings, settings.calibration, purity_rows)
            probabilities.restate_purities(rows)
        _take_reviews(catalogue, mined)
        found_left_out = {} if settings.calibration is None else left_out_at(settings.calibration, settings.purity)
        report = report_of(catalogue, refused=settings.refused, skipped=skipped, run=tally, planted={})
        report = dataclasses.replace(report, left_out=found_left_out)
        write_json(out / REPORT_NAME, report.as_json())
        return report


def _take_reviews(catalogue: Catalogue, mined: Path) -> None:
    """Copy the reviews of the old folder, and apply them to the new excerpts."""
    database = catalogue.database
    database.execute("ATTACH ? AS part", (f"{(mined / CATALOGUE_NAME).absolute().as_uri()}?mode=ro",))
    try:
        with catalogue.transaction():
            take_reviews(database)
            apply_by_stretch(database)
    finally:
        database.execute("DETACH part")


def _labelled(
    track: DoneTrack, stored: StoredTrack, known: KnownSpans, calibration: Calibration | None
) -> ScannedTrack:
    """Return a track with its spans as excerpts without audio."""
    spans = [unstored_excerpt(span.with_expected_volume(calibration), stored.sample_rate) for span in known.found]
    return ScannedTrack(
        track.name, stored.sha256, track.seconds, stored.sample_rate, track.channels, track.problem, spans
    )


def _settings(old: Mapping[str, Any], new: RemineSettings) -> tuple[ScanSettings, dict[str, Any]]:
    """Return the settings of the new folder: the old one's, with other thresholds."""
    names = {field.name for field in dataclasses.fields(ScanSettings)}
    values = {name: value for name, value in old.items() if name in names}
    values["thresholds"] = dict(new.thresholds)
    values["labels_only"] = new.labels_only
    if values.get("together") and set(new.thresholds) != set(old["thresholds"]):
        raise UsageError(
            f"the folder holds spans in which {', '.join(old['thresholds'])} are silent together; give a threshold for "
            f"each of them, got {', '.join(new.thresholds)}"
        )
    if new.min_seconds is not None:
        values["min_seconds"] = float(new.min_seconds)
    if values.get("fusion") is not None:
        values["fusion"] = Fusion(**values["fusion"])
    settings = ScanSettings(**values)
    return settings, {**old, **dataclasses.asdict(settings), "purity": dict(new.purity)}


def parse_thresholds(texts: Iterable[str]) -> dict[str, float]:
    """Parse thresholds from the command line.

    >>> parse_thresholds(["drums=.9,bass=.8", "vocals=0.85"])
    {'drums': 0.9, 'bass': 0.8, 'vocals': 0.85}
    """
    _, thresholds = parse_by_source(texts, "--threshold", for_all=False)
    for source, threshold in thresholds.items():
        if not 0 <= threshold <= 1:
            raise UsageError(f"--threshold is SOURCE=P with P from 0 to 1; got {source}={threshold:g}")
    return thresholds
