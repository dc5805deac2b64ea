"""The scan of a library from Python."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from remix_miner.api.detector import Detector
from remix_miner.detector.calibration import Calibration
from remix_miner.duplicates.scan_filter import ScanFilter
from remix_miner.errors import UsageError
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.report import ScanReport
from remix_miner.mining.summary import summary
from remix_miner.sources import MINED_SOURCES, parse_sources


class ScanResult:
    """A mined folder and the report of its last scan; printing shows the summary."""

    def __init__(self, folder: Path, report: ScanReport) -> None:
        self.folder = folder
        self.report = report

    def excerpts(self, **options: Any) -> MinedExcerpts:
        """Return the excerpts of the folder; ``options`` are those of `MinedExcerpts`."""
        return MinedExcerpts(self.folder, **options)

    def __repr__(self) -> str:
        tracks = sum(self.report.tracks.values())
        found = ", ".join(
            f"{values['seconds']:.0f} s without {source}" for source, values in self.report.sources.items()
        )
        return f"ScanResult({str(self.folder)!r}, {tracks} track{'s' * (tracks != 1)}: {found})"

    def __str__(self) -> str:
        return summary(self.report, self.folder)


def scan(
    library: str | Path | Sequence[str | Path],
    out: str | Path,
    detector: str | Path | Detector = "default",
    calibration: str | Path | Calibration | None = None,
    sources: str | Iterable[str] = MINED_SOURCES,
    min_seconds: float = 5.0,
    exclude: Sequence[str | Path] = (),
    keep_duplicates: bool = False,
    workers: int = 0,
    **settings: Any,
) -> ScanResult:
    """Scan files and folders and store the spans in which a source is silent; ``remix-miner detect`` from Python.

    ``detector``: a name, a run folder, a weights file, or a `Detector`, whose calibration is used. ``exclude``: test
    songs of which nothing is mined. ``workers``: processes besides this one; 0 scans in this process. ``settings``:
    further fields of `MineSettings`, such as ``sample_rate`` and ``restart``. A second call resumes. Files that cannot
    be used are in the report; raises `DataError` when the scan itself cannot go on.
    """
    if workers < 0:
        raise UsageError(f"workers must be 0 or more, got {workers}")
    folder = Path(out)
    files = [Path(path) for path in ([library] if isinstance(library, str | Path) else library)]
    if isinstance(detector, Detector):
        calibration = calibration or detector.calibration
        detector = detector.path
    if isinstance(calibration, str | Path):
        calibration = Calibration.load(calibration)
    excluded = [Path(path) for path in exclude]
    restart = bool(settings.get("restart", False))
    scan_filter = ScanFilter(
        folder, exclude=excluded, duplicates=not keep_duplicates, workers=max(workers, 1), restart=restart
    )
    report = mine(
        files,
        folder,
        MineSettings(
            detector=str(detector),
            calibration=calibration,
            sources=parse_sources(sources),
            min_seconds=min_seconds,
            engine=Engine(workers=workers),
            scan_filter=scan_filter,
            **settings,
        ),
    )
    return ScanResult(folder, report)
