"""Scores of a model or of finished estimates on labelled songs."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.errors import UsageError
from remix_miner.evaluation.estimates import find_estimates
from remix_miner.evaluation.evaluate import evaluate_model, score_estimates
from remix_miner.evaluation.metrics.aggregates import headline
from remix_miner.evaluation.oracles import ORACLES
from remix_miner.evaluation.results import Result
from remix_miner.evaluation.scores import parse_metrics
from remix_miner.evaluation.tables import result_text
from remix_miner.separators.base import Separator
from remix_miner.separators.loading import LoadedSeparator, open_separator
from remix_miner.separators.overlap_add import InferenceSettings


class Scores:
    """The scores of one model. ``result`` holds all of them; printing shows the tables."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.document: dict[str, Any] = result.document()

    def __getitem__(self, metric: str) -> dict[str, float | None]:
        """Return a metric's headline value for each source and their average."""
        if metric not in self.document["aggregates"]:
            raise UsageError(f"no metric {metric!r} here; there are {', '.join(self.document['aggregates'])}")
        columns: dict[str, Any] = self.document["aggregates"][metric][headline(metric).name]
        return {column: entry["value"] for column, entry in columns.items()}

    def __repr__(self) -> str:
        return f"Scores({self.result.name!r}, {len(self.result.tracks)} songs: {', '.join(self.result.metrics)})"

    def __str__(self) -> str:
        return result_text(self.result, self.document)


def evaluate(
    model: str | Path | Separator,
    stems: str | Path | Sequence[str | Path],
    split: str | None = None,
    metrics: str | Sequence[str] = "usdr",
    device: str = "cpu",
    workers: int = 1,
    **inference: Any,
) -> Scores:
    """Score a model on labelled songs.

    ``model``: what `separate` takes, an oracle (``mixture``, ``irm``), or a folder of finished estimates
    (``<track>/<source>.wav``). ``stems``: one or more folders of songs with stems; ``split`` names a part of them.
    ``inference``: settings of `InferenceSettings`. Estimates of a model are deleted once they are scored.
    """
    settings = InferenceSettings(**inference)
    wanted = parse_metrics(metrics if isinstance(metrics, str) else ",".join(metrics))
    folders = [Path(folder) for folder in ([stems] if isinstance(stems, str | Path) else stems)]
    tracks = load_stem_tracks(folders, split)
    corpus = "+".join(folder.name for folder in folders) + (f"/{split}" if split else "")
    if isinstance(model, str | Path) and Path(model).is_dir() and not (Path(model) / "model.safetensors").exists():
        found = find_estimates(Path(model))
        name = Path(model).name
        return Scores(score_estimates(tracks, found, wanted, name=name, corpus=corpus, workers=workers))
    loaded: LoadedSeparator | str
    if isinstance(model, Separator):
        name = model.name or type(model).__name__
        loaded = LoadedSeparator(model.to(device), name, name)
    else:
        loaded = str(model) if str(model) in ORACLES else open_separator(os.fspath(model), device)
    with tempfile.TemporaryDirectory(prefix="remix-miner-") as folder:
        return Scores(
            evaluate_model(
                loaded,
                tracks,
                wanted,
                name=loaded if isinstance(loaded, str) else loaded.name,
                corpus=corpus,
                folder=Path(folder),
                settings=settings,
                device=device,
                workers=workers,
            )
        )
