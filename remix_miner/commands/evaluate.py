"""``remix-miner evaluate``: scores per track and source of a model or of finished estimates."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remix_miner.commands._options.common import device_option, note, show, verb, warn
from remix_miner.commands._options.inference import inference_options, inference_settings
from remix_miner.commands._options.source_names import parse_names, sources_option
from remix_miner.errors import DataError, UsageError

if TYPE_CHECKING:
    from remix_miner.evaluation.results import Result


@verb(
    "Score MODEL on labelled songs: a separator (run folder, weights file, built-in name), an oracle ('mixture', "
    "'irm'), or finished estimates: a folder or zip with <track>/<source>.wav or <track>_<source>.wav.",
    "remix-miner evaluate runs/tiny --stems musdb18hq --split test --out result.json",
)
@click.argument("model", metavar="MODEL|ESTIMATES")
@click.option(
    "--stems", required=True, multiple=True, type=click.Path(path_type=Path), help="Labelled songs; repeatable."
)
@click.option("--split", default=None, help="train, valid or test, where the corpus has splits.")
@sources_option
@click.option("--metrics", default="usdr,csdr,si_sdr", show_default=True, help="Which scores, separated by commas.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON, for leaderboard.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Box plots: PNG, SVG or PDF.")
@click.option(
    "--beside",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="RESULT",
    help="With --plot: results of --out to draw beside this one; repeatable.",
)
@click.option("--name", default=None, help="Name of the result; default: the model's.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the estimates in this folder.")
@click.option("--workers", type=int, default=None, help="Scoring processes; default: one per CPU core.")
@click.option("--allow-missing", is_flag=True, help="Score the estimates that are there.")
@click.option("--absent-ok", is_flag=True, help="A source file that a song lacks is silence.")
@inference_options
@device_option
def command(
    model: str,
    stems: tuple[Path, ...],
    split: str | None,
    sources: str | None,
    metrics: str,
    out: Path | None,
    plot: Path | None,
    beside: tuple[Path, ...],
    name: str | None,
    keep: Path | None,
    workers: int | None,
    allow_missing: bool,
    absent_ok: bool,
    device: str,
    as_json: bool,
    **inference: Any,
) -> int:
    from remix_miner.device import resolve_device
    from remix_miner.evaluation.oracles import ORACLES
    from remix_miner.evaluation.provenance import read_estimates_record
    from remix_miner.evaluation.references import load_reference_tracks, scorable
    from remix_miner.evaluation.scores import parse_metrics
    from remix_miner.evaluation.tables import result_text
    from remix_miner.outputs import check_output_file, check_output_folder
    from remix_miner.separators.loading import open_separator
    from remix_miner.sources import SOURCES

    wanted = parse_metrics(metrics)
    settings = inference_settings(inference)
    if out is not None:
        check_output_file(out)
    if keep is not None:
        check_output_folder(keep, "--keep")
    others = _beside(plot, beside)
    named = parse_names(sources) if sources is not None else None
    shared = {
        "metrics": wanted,
        "corpus": "+".join(path.name or str(path) for path in stems) + (f"/{split}" if split else ""),
        "workers": (os.cpu_count() or 1) if workers is None else workers,
    }

    def load_tracks(names: Sequence[str]) -> Any:
        return load_reference_tracks(stems, names, split, absent_ok=absent_ok)

    if _is_estimates(model):
        if keep is not None:
            raise UsageError("--keep is for estimates that a model makes; these lie on disk already")
        tracks = load_tracks(named or SOURCES)
        _warn_of_training_songs(Path(model).name, read_estimates_record(Path(model)), tracks)
        result = _score_estimates(
            Path(model), tracks, name or Path(model).stem, allow_missing, named or list(SOURCES), shared
        )
    else:
        loaded = model if model in ORACLES else open_separator(model, resolve_device(device))
        names = SOURCES if isinstance(loaded, str) else tuple(loaded.model.sources)
        tracks = load_tracks(named or scorable(names))
        if not isinstance(loaded, str):
            _warn_of_training_songs(loaded.name, loaded.provenance, tracks)
        result = _score_model(loaded, tracks, name, keep, settings, device, shared)
    document = result.document()
    if out is not None:
        result.save(out)
        note(f"written: {out}")
    if plot is not None:
        from remix_miner.figures.box_plots import box_plots
        from remix_miner.figures.style import save_picture

        save_picture(box_plots([*others, document]), plot)
        note(f"picture in {plot}")
    show(document, as_json, result_text(result, document))
    return 1 if any(text.startswith("estimates missing") for text in result.notes) else 0


def _beside(plot: Path | None, paths: tuple[Path, ...]) -> list[dict[str, Any]]:
    """Return the documents of the results to draw beside this one; what cannot be used is found before any work."""
    if plot is None:
        if paths:
            raise UsageError("--beside draws results beside this one: name the picture with --plot FILE")
        return []
    from remix_miner.evaluation.results import Result
    from remix_miner.figures.style import check_picture

    check_picture(plot)
    return [Result.load(path).document() for path in paths]


def _is_estimates(model: str) -> bool:
    """Return whether MODEL is a zip or a folder of audio; a model's folder holds weights."""
    from remix_miner.audio import AUDIO_SUFFIXES, display_name
    from remix_miner.evaluation.estimates import ESTIMATE_SUFFIXES
    from remix_miner.evaluation.oracles import ORACLES

    path = Path(model)
    if model in ORACLES or not path.exists():
        return False
    if path.suffix.lower() == ".zip":
        return True
    files = path.rglob("*") if path.is_dir() else [path]
    if path.is_dir() and (path / "model.safetensors").exists():
        return False
    suffixes = {file.suffix.lower() for file in files if not file.name.startswith(".")}
    if suffixes & set(ESTIMATE_SUFFIXES) and path.is_dir():
        return True
    audio = sorted(suffixes & set(AUDIO_SUFFIXES))
    if audio:
        what = f"holds {', '.join(audio)} files" if path.is_dir() else "is an audio file"
        raise DataError(
            f"{display_name(path)} {what}; estimates are wav or flac files of exactly the references' lengths, in a "
            "folder or zip; decode these first (mp3 and aac change lengths)"
        )
    return False


def _score_estimates(
    path: Path, tracks: Any, name: str, allow_missing: bool, sources: list[str], shared: dict[str, Any]
) -> "Result":
    from remix_miner.audio import display_name
    from remix_miner.evaluation.archive import limits_for, unpack
    from remix_miner.evaluation.estimates import find_estimates
    from remix_miner.evaluation.evaluate import score_estimates
    from remix_miner.evaluation.temporary import temporary_folder

    with temporary_folder() as temporary:
        packed = path.suffix.lower() == ".zip"
        folder = path
        if packed:
            folder = temporary / "estimates"
            unpack(path, folder, limits_for(tracks, sources, others=4))
        found = find_estimates(folder, sources)
        for unknown in found.unknown[:5]:
            note(f"not scored, no source in its name: {display_name(unknown.relative_to(folder))}")
        kept = None if packed else path
        return score_estimates(
            tracks, found, name=name, allow_missing=allow_missing, sources=sources, kept=kept, **shared
        )


def _score_model(
    loaded: Any, tracks: Any, name: str | None, keep: Path | None, settings: Any, device: str, shared: dict[str, Any]
) -> "Result":
    from remix_miner.device import resolve_device
    from remix_miner.evaluation.evaluate import evaluate_model
    from remix_miner.evaluation.temporary import temporary_folder

    with temporary_folder() as temporary:
        return evaluate_model(
            loaded,
            tracks,
            name=name or (loaded if isinstance(loaded, str) else loaded.name),
            folder=keep or temporary,
            settings=settings,
            device=resolve_device(device),
            keep=keep is not None,
            **shared,
        )


def _warn_of_training_songs(name: str, provenance: Any, tracks: Any) -> None:
    """Print a warning where some of the songs trained or chose the model: scores on them are too high."""
    from remix_miner.evaluation.provenance import songs_in_training

    seen = songs_in_training(provenance, [track.name for track in tracks])
    if seen:
        warn(
            f"{len(seen)} of {len(tracks)} songs are among the training or validation songs of "
            f"{name}, e.g. {seen[0]!r}: scores on them are too high"
        )
