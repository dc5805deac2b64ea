"""``remix-miner yield``: harvested audio against purity on labelled songs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remix_miner.commands._options.common import device_option, note, show, verb
from remix_miner.commands._options.labelled import (
    SongChoice,
    calibration_for,
    calibration_option,
    fuse_where_possible,
    label_and_predict_songs,
    labelled_songs,
    load_folds,
    silence_rate_option,
    silence_rates,
)
from remix_miner.errors import DataError, UsageError

if TYPE_CHECKING:
    from remix_miner.calibration.harvest import HarvestRule
    from remix_miner.calibration.yields import HarvestTable, OperatingPoint

SHORTEST_SPANS = (3.0, 5.0, 8.0, 10.0, 15.0, 20.0)


@verb(
    "Measure harvest against purity on labelled songs (--stems, --pairs), for all thresholds and for shortest spans "
    "from 3 to 20 s. Shows the largest harvest at the requested purity, on all songs and with the threshold of each "
    "artist chosen on the other artists.",
    "remix-miner yield default --stems songs/test --out yield.png",
)
@click.argument("detector")
@labelled_songs
@calibration_option
@click.option("--purity", default=0.95, show_default=True, help="Share of the harvest that must be silent.")
@click.option(
    "--volume-db", default=-20.0, show_default=True, help="Silent: at or below this, relative to the mixture."
)
@silence_rate_option
@click.option("--sources", default=None, help="Sources to measure; all if left out.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File for the picture: PNG, SVG or PDF.")
@device_option
def command(
    detector: str,
    choice: SongChoice,
    folds: tuple[str, ...],
    calibration_path: Path | None,
    purity: float,
    volume_db: float,
    silence_rate: str | None,
    sources: str | None,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    from remix_miner.figures.style import check_picture
    from remix_miner.mined.catalogue_db import CATALOGUE_NAME
    from remix_miner.sources import SOURCES, parse_sources

    if out is not None:
        check_picture(out)
    if not 0 < purity < 1:
        raise UsageError(f"--purity is a share between 0 and 1, got {purity}")
    wanted = SOURCES if sources is None else parse_sources(sources)
    if (Path(detector) / CATALOGUE_NAME).is_file():
        raise UsageError(
            f"{detector} is a mined folder, expected a detector; remix-miner remine mines it again at another purity"
        )
    from remix_miner.detector.loading import load_detector
    from remix_miner.detector.voice_activity import load_voice_activity
    from remix_miner.device import resolve_device

    loaded = load_detector(detector, device=resolve_device(device))
    fold_detectors = load_folds(folds, resolve_device(device))
    calibration = calibration_for(loaded, calibration_path)
    evidence = load_voice_activity() if calibration is not None and calibration.fused else None
    songs = label_and_predict_songs(loaded, choice, fold_detectors, evidence)
    calibration, songs = fuse_where_possible(calibration, songs, evidence)
    rates = silence_rates(silence_rate, choice.muted_variants > 0)
    from remix_miner.calibration.yields import measure

    tables, scanned = {}, {}
    for index, source in enumerate(SOURCES):
        known = [song for song in songs if song.known(index).any()]
        if source in wanted and known:
            chosen = None if calibration is None or source not in calibration.sources else calibration.threshold(source)
            tables[source] = measure(known, index, detector_rules(chosen), volume_db, rates.get(source))
            scanned[source] = sum(song.seconds for song in known)
    if not tables:
        raise DataError(f"no song has a label for any of {', '.join(wanted)}; give other songs or other --sources")
    rows = {source: _rows(table, purity) for source, table in tables.items()}
    points = {source: list(table.points) for source, table in tables.items()}
    _draw(out, points, scanned, purity)
    result = _as_json(points, scanned, purity)
    for source, row in rows.items():
        result["sources"][source]["rules"] = row
    show(result, as_json, "\n\n".join(_table(source, row, scanned[source]) for source, row in rows.items()))


def detector_rules(calibrated: float | None) -> "list[HarvestRule]":
    """Return rules for each shortest span: thresholds over the range of P, and the calibrated one."""
    import numpy as np
    from scipy.special import expit

    from remix_miner.calibration.harvest import HarvestRule

    thresholds = {float(value) for value in expit(np.linspace(-3, 9, 25))}
    if calibrated is not None:
        thresholds.add(calibrated)
    return [HarvestRule(p, seconds) for seconds in SHORTEST_SPANS for p in sorted(thresholds)]


def _rows(table: "HarvestTable", purity: float) -> list[dict[str, Any]]:
    """Return, for each shortest span, its largest harvest at ``purity`` and the harvest of held-out artists."""
    from remix_miner.calibration.yields import best_at_purity

    rows = []
    for length in table.lengths:
        best = best_at_purity([point for point in table.points if point.rule.min_seconds == length], purity)
        seconds, held_out = table.held_out(length, purity)
        rows.append(
            {
                "rule": f"{length:g} s",
                "threshold": None if best is None else best.rule.threshold,
                "seconds": 0.0 if best is None else best.seconds,
                "purity": None if best is None else best.purity,
                "volume_p95_db": None if best is None else best.volume_p95_db,
                "recall": 0.0 if best is None else best.recall,
                "held_out_seconds": seconds,
                "held_out_purity": held_out,
            }
        )
    return rows


def _table(source: str, rows: list[dict[str, Any]], scanned: float) -> str:
    lines = [
        f"{source}: largest harvest of {_length(scanned)}; right: threshold chosen on other artists",
        f"  {'spans':10} {'p':>7} {'harvest':>9} {'purity':>7} {'V of 95%':>9} {'recall':>7} | "
        f"{'harvest':>9} {'purity':>7}",
    ]
    for row in rows:
        if row["threshold"] is None:
            lines.append(f"  {row['rule']:10} never reaches this purity")
            continue
        held_out = "-" if row["held_out_purity"] is None else f"{row['held_out_purity']:.1%}"
        lines.append(
            f"  {row['rule']:10} {row['threshold']:7.4f} {_length(row['seconds']):>9} {row['purity']:7.1%} "
            f"{row['volume_p95_db']:6.0f} dB {row['recall']:7.0%} | {_length(row['held_out_seconds']):>9} {held_out:>7}"
        )
    return "\n".join(lines)


def _draw(
    out: Path | None, points: "dict[str, list[OperatingPoint]]", scanned: dict[str, float], purity: float
) -> None:
    if out is None:
        return
    from remix_miner.figures.style import save_picture
    from remix_miner.figures.yields import yield_figure

    save_picture(yield_figure(points, scanned, purity), out)
    note(f"picture in {out}")


def _as_json(points: "dict[str, list[OperatingPoint]]", scanned: dict[str, float], purity: float) -> dict[str, Any]:
    import dataclasses

    return {
        "purity": purity,
        "sources": {
            source: {"scanned_seconds": scanned[source], "points": [dataclasses.asdict(point) for point in of_source]}
            for source, of_source in points.items()
        },
    }


def _length(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.0f} s"
