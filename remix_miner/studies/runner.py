"""Runs of a study: train every arm with every seed, score every test set. One JSON document a run; reruns resume."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from remix_miner.atomic import write_json
from remix_miner.errors import DataError, UsageError
from remix_miner.progress import Progress
from remix_miner.runs.code_version import code_version
from remix_miner.studies.bench import Bench, Estimator, SetScores, Stopwatch, mixture_as_estimates, with_seed
from remix_miner.studies.plan import Arm, Study

Scores = dict[str, SetScores]
"""Test set -> scores of its songs."""
MIXTURE = "mixture"
"""Name of the runs in which the mixture is the estimate of every source."""


@dataclass(frozen=True)
class Run:
    """One arm of a study with one seed, and the scores of its system. ``cpu_seconds``: of training and scoring.

    ``cost``: CPU seconds of estimation per second of audio, where it was measured.
    """

    arm: str
    seed: int
    scores: Scores
    updates: int
    cpu_seconds: float
    cost: float | None = None


@dataclass(frozen=True)
class Job:
    """A result to be made: its file, its settings, and the function that computes its scores and cost."""

    arm: str
    seed: int
    path: Path
    digest: str
    scores: Callable[[], tuple[Scores, float | None]]


def run_study(study: Study, bench: Bench, out: Path) -> list[Run]:
    """Return all runs of ``study``; those with a result below ``out/results`` are read, not repeated.

    A run that was interrupted in training continues from its checkpoint. The runs of `MIXTURE` come with them.
    """
    return _joined(run_jobs(study, (study.jobs or _jobs)(study, bench, out), bench))


def run_jobs(study: Study, jobs: list[Job], bench: Bench) -> list[Run]:
    """Return the results of ``jobs``, made or read. Raises `UsageError` where one was made with other settings."""
    runs = []
    for job in jobs:
        _require_same(job)
    with Progress(f"study {study.name}", len(jobs), unit="runs") as progress:
        for job in jobs:
            if not job.path.is_file():
                started, clock = time.process_time(), time.monotonic()
                scores, cost = job.scores()
                result = {
                    "study": study.name,
                    "arm": job.arm,
                    "seed": job.seed,
                    "digest": job.digest,
                    "scale": bench.scale.name,
                    "updates": bench.scale.updates,
                    "scores": _finite(scores),
                    "cost": cost,
                    "cpu_seconds": round(time.process_time() - started, 1),
                    "seconds": round(time.monotonic() - clock, 1),
                    "code": code_version(),
                }
                write_json(job.path, result)
            runs.append(read_run(job.path))
            progress.advance(1, f"{job.arm}, seed {job.seed}")
    return runs


def _joined(runs: list[Run]) -> list[Run]:
    """Return one run for each arm and seed, with the scores of all its stages."""
    joined: dict[tuple[str, int], Run] = {}
    for run in runs:
        before = joined.get((run.arm, run.seed))
        if before is not None:
            seconds = before.cpu_seconds + run.cpu_seconds
            run = replace(run, scores={**before.scores, **run.scores}, cpu_seconds=seconds)
        joined[run.arm, run.seed] = run
    return list(joined.values())


def read_run(path: Path) -> Run:
    """Return a stored run; `DataError` names a file that is none."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        scores = {
            name: {song: {source: [_nan(value) for value in values] for source, values in by_source.items()}
                   for song, by_source in by_song.items()}
            for name, by_song in stored["scores"].items()
        }  # fmt: skip
        arm, seed, updates, cost = str(stored["arm"]), int(stored["seed"]), int(stored["updates"]), stored.get("cost")
        return Run(arm, seed, scores, updates, float(stored["cpu_seconds"]), None if cost is None else float(cost))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not the result of a study's run ({error}); delete it to repeat the run") from error


def _jobs(study: Study, bench: Bench, out: Path) -> list[Job]:
    jobs = []
    for seed in bench.scale.seeds:
        place = with_seed(bench, seed)
        for arm in study.arms:
            path = out / "results" / f"{arm.name}-seed{seed}.json"
            jobs.append(Job(arm.name, seed, path, place.digest(arm), _scored(study, place, arm)))
        path = out / "results" / f"{MIXTURE}-seed{seed}.json"
        jobs.append(Job(MIXTURE, seed, path, place.digest(Arm(MIXTURE)), _scored(study, place, None)))
    return jobs


def _scored(study: Study, bench: Bench, arm: Arm | None) -> Callable[[], tuple[Scores, float | None]]:
    def scores() -> tuple[Scores, float | None]:
        if arm is None:
            estimate: Estimator = mixture_as_estimates
        elif study.system is not None:
            estimate = study.system(bench, arm)
        else:
            estimate = bench.estimator(bench.train(arm), arm.shifts)
        watch = Stopwatch(estimate)
        found = {name: bench.score(watch, perturbation) for name, perturbation in study.test_sets.items()}
        return found, None if arm is None else watch.cost(bench.scale.sample_rate)

    return scores


def _require_same(job: Job) -> None:
    """Raise `UsageError` where a stored result was made with other settings or songs."""
    try:
        stored = json.loads(job.path.read_text(encoding="utf-8")).get("digest") if job.path.is_file() else job.digest
    except (ValueError, AttributeError):
        return  # `read_run` names the file
    if stored != job.digest:
        raise UsageError(
            f"{job.path} was made with other settings or songs; choose another --out, or delete the folder's results"
        )


def _nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _finite(value: Any) -> Any:
    """Replace NaN, which JSON lacks, by None."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value if value == value else None
