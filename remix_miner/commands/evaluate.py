"""``remix-miner evaluate``: scores per track and source of a model or of finished estimates."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remix_miner.commands._options.common import device_option, note, show, verb
from remix_miner.commands._options.inference import inference_options, inference_settings
from remix_miner.errors import UsageError

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
@click.option("--metrics", default="usdr,csdr,si_sdr", show_default=True, help="Which scores, separated by commas.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON, for leaderboard.")
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
    metrics: str,
    out: Path | None,
    name: str | None,
    keep: Path | None,
    workers: int | None,
    allow_missing: bool,
    absent_ok: bool,
    device: str,
    as_json: bool,
    **inference: Any,
) -> int:
    from remix_miner.datasets.corpora import load_stem_tracks
    from remix_miner.device import resolve_device
    from remix_miner.evaluation.scores import parse_metrics
    from remix_miner.evaluation.tables import result_text

    wanted = parse_metrics(metrics)
    settings = inference_settings(inference)
    tracks = load_stem_tracks(stems, split, absent_ok=absent_ok)
    shared = {
        "metrics": wanted,
        "corpus": "+".join(path.name or str(path) for path in stems) + (f"/{split}" if split else ""),
        "workers": (os.cpu_count() or 1) if workers is None else workers,
    }
    if _is_estimates(model):
        if keep is not None:
            raise UsageError("--keep is for estimates that a model makes; these lie on disk already")
        result = _score_estimates(Path(model), tracks, name or Path(model).stem, allow_missing, shared)
    else:
        result = _score_model(model, tracks, name, keep, settings, resolve_device(device), shared)
    document = result.document()
    if out is not None:
        result.save(out)
        note(f"written: {out}")
    show(document, as_json, result_text(result, document))
    return 1 if any(text.startswith("estimates missing") for text in result.notes) else 0


def _is_estimates(model: str) -> bool:
    """A zip or a folder of audio; a model's folder holds weights."""
    from remix_miner.evaluation.oracles import ORACLES

    path = Path(model)
    if model in ORACLES or not path.exists():
        return False
    if path.suffix.lower() == ".zip":
        return True
    return path.is_dir() and not (path / "model.safetensors").exists() and _holds_audio(path)


def _holds_audio(folder: Path) -> bool:
    from remix_miner.evaluation.estimates import ESTIMATE_SUFFIXES

    return any(path.suffix.lower() in ESTIMATE_SUFFIXES for path in folder.rglob("*"))


def _score_estimates(path: Path, tracks: Any, name: str, allow_missing: bool, shared: dict[str, Any]) -> "Result":
    import tempfile

    from remix_miner.evaluation.archive import unpack
    from remix_miner.evaluation.estimates import find_estimates
    from remix_miner.evaluation.evaluate import score_estimates

    with tempfile.TemporaryDirectory(prefix="remix-miner-") as temporary:
        packed = path.suffix.lower() == ".zip"
        folder = path
        if packed:
            folder = Path(temporary) / "estimates"
            unpack(path, folder)
        found = find_estimates(folder)
        for unknown in found.unknown[:5]:
            note(f"not scored, no source in its name: {unknown.relative_to(folder)}")
        return score_estimates(
            tracks, found, name=name, allow_missing=allow_missing, kept=None if packed else path, **shared
        )


def _score_model(
    model: str, tracks: Any, name: str | None, keep: Path | None, settings: Any, device: str, shared: dict[str, Any]
) -> "Result":
    import tempfile

    from remix_miner.evaluation.evaluate import evaluate_model
    from remix_miner.evaluation.oracles import ORACLES
    from remix_miner.separators.loading import open_separator

    loaded = model if model in ORACLES else open_separator(model, device)
    with tempfile.TemporaryDirectory(prefix="remix-miner-") as temporary:
        return evaluate_model(
            loaded,
            tracks,
            name=name or (model if isinstance(loaded, str) else loaded.name),
            folder=keep or Path(temporary),
            settings=settings,
            device=device,
            keep=keep is not None,
            **shared,
        )
