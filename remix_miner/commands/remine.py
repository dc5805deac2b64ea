"""``remix-miner remine``: new excerpts of a mined folder at another purity, without the detector."""

from pathlib import Path

import click

from remix_miner.commands._options.common import note, show, verb


@verb(
    "Cut new excerpts of the tracks of a mined folder at another purity or at other thresholds, from the probabilities "
    "that the scan kept: the detector does not run, and only files with new spans are decoded. Resumes where an "
    "earlier run stopped. Excerpts rejected in review stay out. A folder that was mined without audio needs no "
    "threshold: its own excerpts are cut.",
    "remix-miner remine mined/ --purity 0.9 --out mined-90/",
)
@click.argument("mined", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The new mined folder.")
@click.option(
    "--purity",
    multiple=True,
    metavar="P|SOURCE=P",
    help="Promised share of pure seconds, e.g. 0.9, 0.95 or 0.98; of one source: drums=0.9, and the others have the "
    "calibration's own. Repeatable.",
)
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="SOURCE=P",
    help="Least probability of each window, in place of --purity; drums=0.9,bass=0.8. Repeatable.",
)
@click.option("--detector", default="default", show_default=True, help="The detector of the scan, for its calibration.")
@click.option(
    "--calibration",
    "calibration_path",
    default=None,
    type=click.Path(path_type=Path),
    help="Purities; those beside the detector if left out.",
)
@click.option("--sources", default="drums,bass,vocals", show_default=True, help="Whose absence to mine.")
@click.option("--min-seconds", default=None, type=float, help="Shortest excerpt; as in the scan if left out.")
@click.option(
    "--library",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Where the scanned folders are now, if they have moved. Repeatable.",
)
@click.option("--workers", default=None, type=int, help="Processes; one per CPU core if left out, 0: this process.")
def command(
    mined: Path,
    out: Path,
    purity: tuple[str, ...],
    thresholds: tuple[str, ...],
    detector: str,
    calibration_path: Path | None,
    sources: str,
    min_seconds: float | None,
    library: tuple[Path, ...],
    workers: int | None,
    as_json: bool,
) -> int:
    from remix_miner.detector.calibration import Calibration
    from remix_miner.detector.description import describe_detector
    from remix_miner.errors import UsageError
    from remix_miner.mined.catalogue_view import CatalogueView
    from remix_miner.mining.engines.choice import Engine
    from remix_miner.mining.promises import promise
    from remix_miner.mining.remine import RemineSettings, parse_thresholds, remine
    from remix_miner.mining.summary import summary
    from remix_miner.mining.thresholds import joint_as_scanned, parse_purities, thresholds_of
    from remix_miner.sources import parse_sources

    with CatalogueView.read(mined) as catalogue:
        scanned = catalogue.settings
    as_scanned = not purity and not thresholds and scanned.get("labels_only")
    if (not purity) == (not thresholds) and not as_scanned:
        raise UsageError("remine takes --purity P or --threshold SOURCE=P: one of the two")
    chosen, refused, calibration, promised = parse_thresholds(thresholds), {}, None, {}
    if as_scanned:
        chosen, promised = scanned["thresholds"], scanned.get("purity", {})
    if purity:
        calibration = describe_detector(detector).calibration
        if calibration_path is not None:
            calibration = Calibration.load(calibration_path)
        if calibration is None:
            raise UsageError(f"detector {detector!r} has no calibration beside it; name one with --calibration")
        calibration.check_detector(str(scanned["detector_sha256"]))
        mined_sources = parse_sources(sources)
        calibration = joint_as_scanned(calibration, scanned, mined_sources)
        found = thresholds_of(calibration, mined_sources, parse_purities(purity, mined_sources))
        chosen, refused, promised = found.of_sources, found.refused, found.purity

    def announce() -> None:
        for source, threshold in chosen.items():
            stated = None if calibration is None else promise(calibration, source, promised[source])
            note(f"without {source}: windows with P >= {threshold:.3f}" if stated is None else f"expected {stated}")

    settings = RemineSettings(
        chosen,
        refused,
        calibration,
        purity=promised,
        library=library,
        min_seconds=min_seconds,
        engine=Engine(workers=workers),
    )
    report = remine(mined, out, settings, announce)
    show(report.as_json(), as_json, summary(report, out))
    if report.run.interrupted:
        raise KeyboardInterrupt
    return 0 if report.complete else 1
