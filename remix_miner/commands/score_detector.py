"""``remix-miner score-detector``: metrics of a detector on labelled songs, per source and per song."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remix_miner.commands._options.common import device_option, note, show, verb, warn
from remix_miner.commands._options.labelled import (
    SongChoice,
    calibration_for,
    calibration_option,
    fuse_where_possible,
    label_and_predict_songs,
    labelled_songs,
    load_folds,
    warn_of_training_songs,
    weak_option,
)

if TYPE_CHECKING:
    from remix_miner.calibration.intervals import Estimate
    from remix_miner.calibration.scores import SourceScore


@verb(
    "Score a detector on labelled songs that neither trained nor calibrated it. Shows for each source the area under "
    "the ROC curve, precision and recall at the calibrated threshold, and seconds and purity of the harvest, with 95% "
    "intervals over artists; then the same for each song.",
    "remix-miner score-detector default --stems songs/test --pairs songs/karaoke",
)
@click.argument("detector")
@labelled_songs
@weak_option
@calibration_option
@click.option(
    "--volume-db", default=-20.0, show_default=True, help="Silent: at or below this, relative to the mixture."
)
@click.option("--min-seconds", default=5.0, show_default=True, help="Shortest excerpt.")
@device_option
def command(
    detector: str,
    choice: SongChoice,
    folds: tuple[str, ...],
    calibration_path: Path | None,
    volume_db: float,
    min_seconds: float,
    device: str,
    as_json: bool,
) -> None:
    import dataclasses

    from remix_miner.calibration.intervals import BootstrapSettings
    from remix_miner.calibration.scores import ScoreSettings, score_songs
    from remix_miner.detector.loading import load_detector
    from remix_miner.detector.voice_activity import load_voice_activity
    from remix_miner.device import resolve_device

    loaded = load_detector(detector, device=resolve_device(device))
    fold_detectors = load_folds(folds, resolve_device(device))
    calibration = calibration_for(loaded, calibration_path)
    evidence = load_voice_activity() if calibration is not None and calibration.fused else None
    songs = label_and_predict_songs(loaded, choice, fold_detectors, evidence)
    calibration, songs = fuse_where_possible(calibration, songs, evidence)
    thresholds: dict[str, float | None] = {}
    if calibration is None:
        note(f"detector {loaded.name!r} has no calibration: figures that need a threshold are left out")
    else:
        thresholds = {source: fitted.threshold for source, fitted in calibration.sources.items()}
    warn_of_training_songs(loaded, songs, fold_detectors)
    names = list(dict.fromkeys(song.name for song in songs))
    twice = sorted(set(names) & set(calibration.data.get("tracks", []))) if calibration else []
    if twice:
        warn(f"{len(twice)} of the {len(names)} songs calibrated these thresholds, e.g. {twice[0]!r}")
    settings = ScoreSettings(volume_db, min_seconds, BootstrapSettings(seed=choice.seed))
    overall = score_songs(songs, thresholds, settings)
    per_song = {}
    for name in names:
        versions = [song for song in songs if song.name == name]
        if any(song.known(source).any() for song in versions for source in range(len(song.volumes))):
            per_song[name] = score_songs(versions, thresholds, settings)
    result = {
        "detector": loaded.name,
        "detector_sha256": loaded.sha256,
        "volume_db": volume_db,
        "min_seconds": min_seconds,
        "muted_variants": choice.muted_variants,
        "sources": {source: dataclasses.asdict(score) for source, score in overall.items()},
        "songs": {
            name: {source: dataclasses.asdict(score) for source, score in scores.items()}
            for name, scores in per_song.items()
        },
    }
    show(result, as_json, _table(overall, per_song))


def _table(overall: "dict[str, SourceScore]", per_song: "dict[str, dict[str, SourceScore]]") -> str:
    lines = []
    for source, score in overall.items():
        lines.append(
            f"{source}: {score.songs} songs by {score.artists} artists, {score.silence_rate or 0:.1%} of windows silent"
        )
        lines.append(
            f"  AUC of silence {_text(score.auc)}, at the training level of -13 dB {_text(score.auc_training)}"
        )
        if score.threshold is None:
            lines.append("  no threshold, nothing harvested")
            continue
        lines.append(
            f"  at p = {score.threshold:.4f}: precision {_percent(score.precision)}, recall {_percent(score.recall)}"
        )
        found = f"of {score.silent_span_seconds:.0f} s of truly silent spans, {_percent(score.span_recall)} found"
        if score.purity.value is None:
            lines.append(f"  nothing harvested; {found}")
            continue
        lines.append(
            f"  harvested {score.seconds:.0f} s: purity {_percent(score.purity)}, V median "
            f"{_text(score.volume_p50_db, '.0f')} dB, 95th percentile {_text(score.volume_p95_db, '.0f')} dB; {found}"
        )
    width = max(map(len, per_song), default=0)
    lines += ["", f"{'':{width}}  " + "  ".join(f"{source:^22}" for source in overall)]
    lines.append(f"{'song':{width}}  " + "  ".join(f"{'AUC':>6} {'harvest':>8} {'purity':>6}" for _ in overall))
    for name, scores in per_song.items():
        cells = (_cell(scores.get(source)) for source in overall)
        lines.append(f"{name:{width}}  " + "  ".join(cells))
    return "\n".join(lines)


def _cell(score: "SourceScore | None") -> str:
    if score is None:
        return " " * 22
    auc = "-" if score.auc.value is None else f"{score.auc.value:.3f}"
    harvest = "-" if score.threshold is None else f"{score.seconds:.0f} s"
    purity = "-" if score.purity.value is None else f"{score.purity.value:.0%}"
    return f"{auc:>6} {harvest:>8} {purity:>6}"


def _text(estimate: "Estimate", form: str = ".3f") -> str:
    if estimate.value is None:
        return "undefined"
    text = format(estimate.value, form)
    return text if estimate.low is None else f"{text} [{estimate.low:{form}}, {estimate.high:{form}}]"


def _percent(estimate: "Estimate") -> str:
    return _text(estimate, ".1%")
