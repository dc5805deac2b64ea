"""Runs of a study: train every arm with every seed, score every test set. One JSON document a run; reruns resume."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.atomic import write_json
from remix_miner.errors import DataError
from remix_miner.evaluation.metrics.whole_track import usdr
from remix_miner.progress import Progress
from remix_miner.runs.code_version import code_version
from remix_miner.runs.folder import RunFolder
from remix_miner.separators.base import Separator
from remix_miner.separators.overlap_add import separate
from remix_miner.studies.perturbation import Perturbation, perturb
from remix_miner.studies.plan import Arm, Study
from remix_miner.studies.scale import Scale
from remix_miner.studies.songs import StudySongs, read_middle
from remix_miner.training.run.distributed import Ranks, choose_device
from remix_miner.training.run.prepare import Inputs, prepare

Scores = dict[str, dict[str, dict[str, list[float]]]]
"""Test set -> song -> source -> uSDR in dB, one for each draw of the test set; nan for a silent reference."""


@dataclass(frozen=True)
class Run:
    """One trained arm of a study, and the scores of its averaged model (of the raw one where there is no average)."""

    arm: str
    seed: int
    scores: Scores
    updates: int
    cpu_seconds: float


def run_study(study: Study, scale: Scale, songs: StudySongs, out: Path, device: str = "auto") -> list[Run]:
    """Return all runs of ``study``; those with a result below ``out/results`` are read, not repeated.

    A run that was interrupted in training continues from its checkpoint.
    """
    runs = []
    jobs = [(arm, seed) for seed in scale.seeds for arm in study.arms]
    with Progress(f"study {study.name}", len(jobs), unit="runs") as progress:
        for arm, seed in jobs:
            path = out / "results" / f"{arm.name}-seed{seed}.json"
            if not path.is_file():
                write_json(path, _train_and_score(study, scale, songs, arm, seed, out, device))
            runs.append(read_run(path))
            progress.advance(1, f"{arm.name}, seed {seed}")
    return runs


def read_run(path: Path) -> Run:
    """Return a stored run; `DataError` names a file that is none."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        scores = {
            name: {song: {source: [_nan(value) for value in values] for source, values in by_source.items()}
                   for song, by_source in by_song.items()}
            for name, by_song in stored["scores"].items()
        }  # fmt: skip
        return Run(
            str(stored["arm"]), int(stored["seed"]), scores, int(stored["updates"]), float(stored["cpu_seconds"])
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not the result of a study's run ({error}); delete it to repeat the run") from error


def _train_and_score(
    study: Study, scale: Scale, songs: StudySongs, arm: Arm, seed: int, out: Path, device: str
) -> dict[str, Any]:
    started = time.process_time()
    folder = RunFolder(out / "runs" / f"{arm.name}-seed{seed}")
    inputs = Inputs(songs.drawn(arm.songs, seed), cache=out / "cache")
    ranks = Ranks(device=choose_device(device))
    training = prepare(scale.settings_of(arm, seed), inputs, folder, ranks, resume=folder.exists)
    training.run()
    model = list(training.learner.candidates().values())[-1]
    scores = {
        name: {song.name: _score(model, song, scale, perturbation) for song in songs.test}
        for name, perturbation in study.test_sets.items()
    }
    return {
        "study": study.name,
        "arm": arm.name,
        "seed": seed,
        "scale": scale.name,
        "updates": training.steps_done,
        "train": [song.name for song in songs.drawn(arm.songs, seed)],
        "scores": _finite(scores),
        "cpu_seconds": round(time.process_time() - started, 1),
        "code": code_version(),
    }


def _score(model: Separator, song: Path, scale: Scale, perturbation: Perturbation) -> dict[str, list[float]]:
    """uSDR of each source of a song, one for each draw; the draws depend on the song's name and the draw's number."""
    stems, rate = read_middle(song, scale.test_seconds)
    found: dict[str, list[float]] = {source: [] for source in model.sources}
    for draw in range(perturbation.draws):
        rng = np.random.default_rng([draw, *song.name.encode()])
        references = perturb(stems, rate, perturbation, rng)
        estimates = separate(model, references.sum(axis=0)).numpy()
        for source, value in zip(model.sources, usdr(references, estimates), strict=True):
            found[source].append(float(value))
    return found


def _nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _finite(value: Any) -> Any:
    """NaN, which JSON does not have, as None."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value if value == value else None
