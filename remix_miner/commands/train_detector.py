"""``remix-miner train-detector``: trains a detector of silent sources into a run folder."""

from pathlib import Path

import click

from remix_miner.commands._options.common import config_option, device_option, note, set_option, show, verb


@verb(
    "Train the silent-source detector on songs with stems (STEMS), loops and weak labels.",
    "remix-miner train-detector songs/stems --out runs/detector --set steps=500",
)
@click.argument("stems", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run folder.")
@click.option(
    "--loops",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder with drums/, bass/, other/, vocals/ of isolated recordings; repeatable.",
)
@click.option(
    "--pairs",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Songs of which only vocals and accompaniment are known; the mixing setting 'backing' is their share.",
)
@click.option(
    "--weak",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV path,source,start_seconds,end_seconds,silent; repeatable.",
)
@click.option(
    "--valid",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Songs to validate on; without it a fifth of the artists of STEMS is held out.",
)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps decoded loops for the next run.")
@click.option(
    "--init", "initial", help="A detector whose weights to start from: a run folder, a file, or a built-in name."
)
@click.option("--teacher", help="A detector whose probabilities are mixed into the labels (setting teacher_share).")
@click.option("--workers", default=1, show_default=True, help="Processes that draw mixes and compute features.")
@click.option("--resume", is_flag=True, help="Continue the run in --out where it stopped, with its settings.")
@config_option
@set_option
@device_option
def command(
    stems: tuple[Path, ...],
    out: Path,
    loops: tuple[Path, ...],
    pairs: tuple[Path, ...],
    weak: tuple[Path, ...],
    valid: tuple[Path, ...],
    cache: Path | None,
    initial: str | None,
    teacher: str | None,
    workers: int,
    resume: bool,
    config: str | None,
    overrides: tuple[str, ...],
    device: str,
    as_json: bool,
) -> None:
    from remix_miner.datasets.corpora import load_pair_tracks, load_stem_tracks
    from remix_miner.detector.loading import load_detector
    from remix_miner.detector.training.material import Material, load_loops, load_pairs, load_songs, load_weak
    from remix_miner.detector.training.run import train_detector
    from remix_miner.detector.training.settings import DetectorTrainingSettings
    from remix_miner.detector.training.validation import split_by_artist
    from remix_miner.device import resolve_device
    from remix_miner.errors import UsageError
    from remix_miner.runs.folder import RunFolder
    from remix_miner.runs.resuming import settings_to_resume
    from remix_miner.settings_files import load_settings

    folder = RunFolder(out, kind="detector")
    if resume:
        folder.require_run()
        settings = settings_to_resume(folder, DetectorTrainingSettings, config, overrides)
    else:
        folder.require_new()
        settings = load_settings(DetectorTrainingSettings, config, overrides)
    if not stems and not loops:
        raise UsageError("nothing to train on: name folders of songs with stems, or --loops")
    tracks = load_stem_tracks(stems) if stems else []
    if valid:
        train_tracks, valid_tracks = tracks, load_stem_tracks(valid)
    else:
        train_tracks, valid_tracks = split_by_artist(tracks, settings.seed)
    if not valid_tracks:
        note("no songs to validate on: the last weights are kept; name some with --valid")
    pair_tracks = load_pair_tracks(pairs) if pairs else []
    material = Material(
        songs=load_songs(train_tracks),
        loops=load_loops(loops, cache),
        weak=[song for table in weak for song in load_weak(table, cache)],
        pairs=load_pairs(pair_tracks),
    )
    hours = material.hours()
    note("material: " + "  ".join(f"{source} {hours[source]:.2f} h" for source in hours))
    summary = train_detector(
        material,
        load_songs(valid_tracks),
        settings,
        out,
        device=resolve_device(device),
        workers=workers,
        resume=resume,
        initial=load_detector(initial) if initial else None,
        teacher=load_detector(teacher) if teacher else None,
        description={
            "songs": [track.name for track in (*train_tracks, *pair_tracks)],
            "validation_songs": [track.name for track in valid_tracks],
            "loop_folders": [folder.name for folder in loops],
            "hours": hours,
        },
    )
    areas = summary["validation_auc"] or {}
    lines = [f"{source:7} AUC of silence {area:.3f}" for source, area in areas.items() if area is not None]
    show(summary, as_json, "\n".join([f"{summary['steps']} steps; detector in {out}", *lines]))
