"""``remix-miner detect``: scan a library for excerpts in which drums, bass or vocals are silent."""

from pathlib import Path
from typing import Any, get_args

import click

from remix_miner.commands._options.common import note, show, verb
from remix_miner.commands._options.engine import engine_options
from remix_miner.device import Precision, Sampling


class LibraryPath(click.Path):
    """A path that is not the empty text, which would be the current folder."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if not str(value):
            self.fail("the path is empty; '.' is the current folder", parameter, context)
        return super().convert(value, parameter, context)


@verb(
    "Scan a library for excerpts in which a source is silent, and store them as HDF5 shards with a catalogue. "
    "Resumes where an earlier run stopped: new and changed files are scanned, others are not. "
    "A file that cannot be used is reported and does not stop the scan (exit status 1).",
    "remix-miner detect library/ --out mined/ --workers 8",
)
@click.argument("library", nargs=-1, required=True, type=LibraryPath(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The mined folder.")
@click.option("--detector", default="default", show_default=True, help="A run folder, a file, or a built-in name.")
@click.option(
    "--calibration",
    "calibration_path",
    default=None,
    type=click.Path(path_type=Path),
    help="Thresholds; those beside the detector if left out.",
)
@click.option(
    "--purity",
    multiple=True,
    metavar="P|SOURCE=P",
    help="Promised share of pure seconds (0.9, 0.95, 0.98), in place of the calibration's own thresholds; of one "
    "source: drums=0.9. Repeatable.",
)
@click.option("--sources", default="drums,bass,vocals", show_default=True, help="Whose absence to mine.")
@click.option("--together", is_flag=True, help="Mine only where all of --sources are silent at once.")
@click.option(
    "--isolated",
    default=None,
    metavar="SOURCE",
    help="Mine only where SOURCE is alone: --together with the three other sources.",
)
@click.option(
    "--labels",
    default=None,
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write the spans as labels: CSV, Audacity, RTTM and JAMS, as export --format labels does.",
)
@click.option("--no-audio", is_flag=True, help="Store no audio, only the catalogue; remine can cut it later.")
@click.option("--min-seconds", default=5.0, show_default=True, help="Shortest excerpt.")
@click.option("--sample-rate", default=44100, show_default=True, help="Of the stored excerpts, in Hz.")
@click.option("--channels", default=2, show_default=True, type=click.IntRange(1, 2), help="Of the stored excerpts.")
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    type=click.Choice(get_args(Precision)),
    help="Of the detector's network; bfloat16 is faster on processors that have it (AVX512-BF16, AMX).",
)
@click.option(
    "--sampling",
    default="sparse",
    show_default=True,
    type=click.Choice(get_args(Sampling)),
    help="Of the scattering transform: as much as envelopes need, or where kymatio does, to check the former.",
)
@engine_options
@click.option("--shard", default=None, metavar="I/N", help="Scan share I of N (from 1) only; join them with merge.")
@click.option("--restart", is_flag=True, help="Delete the contents of --out and scan from the start.")
@click.option("--retry-failed", is_flag=True, help="Also scan files again that failed before.")
@click.option(
    "--exclude",
    multiple=True,
    metavar="STEMS",
    type=click.Path(path_type=Path, exists=True),
    help="Test sets, as stems or as audio: files that hold one of these recordings are not mined. Repeatable.",
)
@click.option("--keep-duplicates", is_flag=True, help="Mine every copy of a recording; without it, one.")
@click.option(
    "--plant",
    "planted",
    multiple=True,
    metavar="STEMS",
    type=click.Path(path_type=Path, exists=True),
    help="Labelled songs to add to the scan, to measure the purity of the harvest; never stored. Repeatable.",
)
def command(
    library: tuple[Path, ...],
    out: Path,
    detector: str,
    calibration_path: Path | None,
    purity: tuple[str, ...],
    sources: str,
    together: bool,
    isolated: str | None,
    labels: Path | None,
    no_audio: bool,
    min_seconds: float,
    sample_rate: int,
    channels: int,
    precision: Precision,
    sampling: Sampling,
    shard: str | None,
    restart: bool,
    retry_failed: bool,
    exclude: tuple[Path, ...],
    keep_duplicates: bool,
    planted: tuple[Path, ...],
    as_json: bool,
    **engine: Any,
) -> int:
    from remix_miner.detector.calibration import Calibration
    from remix_miner.duplicates.scan_filter import ScanFilter
    from remix_miner.errors import UsageError
    from remix_miner.export.settings import ExportSettings
    from remix_miner.mining.detect import MineSettings, mine
    from remix_miner.mining.engines.choice import Engine, usable_cores
    from remix_miner.mining.plan import parse_shard
    from remix_miner.mining.summary import summary
    from remix_miner.mining.thresholds import Thresholds, parse_purities
    from remix_miner.sources import SOURCES, parse_sources

    def announce(thresholds: Thresholds) -> None:
        for line in thresholds.promises():
            note(f"expected {line}")
        if thresholds.loss is not None:
            note(thresholds.loss)
        for source, reason in thresholds.refused.items():
            note(f"refused without {source}: {reason}")

    silent = parse_sources(sources)
    if isolated is not None:
        if isolated not in SOURCES:
            raise UsageError(f"--isolated is one of {', '.join(SOURCES)}, got {isolated!r}")
        silent, together = tuple(source for source in SOURCES if source != isolated), True
    exported = ExportSettings("labels", min_seconds=min_seconds)
    if labels is not None:
        from remix_miner.export.run import check_target, export

        check_target(labels, out, exported)
    scanner = Engine(**engine)
    here = min(scanner.processes, usable_cores())
    settings = MineSettings(
        detector=detector,
        calibration=None if calibration_path is None else Calibration.load(calibration_path),
        purity=parse_purities(purity, silent),
        sources=silent,
        together=together,
        labels_only=no_audio,
        min_seconds=min_seconds,
        sample_rate=sample_rate,
        channels=channels,
        precision=precision,
        sampling=sampling,
        engine=scanner,
        shard=None if shard is None else parse_shard(shard),
        restart=restart,
        retry_failed=retry_failed,
        planted=planted,
        scan_filter=ScanFilter(out, exclude=exclude, duplicates=not keep_duplicates, workers=here, restart=restart),
    )
    report = mine(library, out, settings, announce)
    if labels is not None:
        written = export(out, labels, exported, may_be_empty=True)
        note(f"{written.spans:,} spans of {written.tracks:,} tracks as labels in {labels}")
    if no_audio:
        note(f"no audio is stored; remix-miner remine {out} --out FOLDER cuts it")
    show(report.as_json(), as_json, summary(report, out))
    if report.run.interrupted:
        raise KeyboardInterrupt("what was finished is kept, and the same command resumes")
    return 0 if report.complete else 1
