"""Training and scoring of one run, through `remix_miner.training`."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from arms import Arm, Job
from scale import Scale
from songs import Song, middle

from remix_miner.atomic import write_json
from remix_miner.evaluation.metrics.whole_track import usdr
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.runs.folder import RunFolder
from remix_miner.separators.base import Separator
from remix_miner.separators.loading import save_separator
from remix_miner.separators.overlap_add import separate
from remix_miner.training.run.distributed import Ranks, choose_device
from remix_miner.training.run.prepare import Inputs, prepare


def run_job(job: Job, scale: Scale, labelled: list[Song], tests: list[Song], mined: Path | None, out: Path) -> None:
    """Train, keep the averaged weights, score them, and write ``out/results/<job>.json``."""
    started, cpu_started = time.monotonic(), time.process_time()
    ranks = Ranks(device=choose_device("auto"))
    folder = RunFolder(out / "runs" / job.run)
    inputs = Inputs([song.folder for song in labelled], mined=mined, cache=out / "cache")
    settings = scale.run_settings(job.target, job.seed, job.epochs, Arm.parse(job.arm).by_track)
    training = prepare(settings, inputs, folder, ranks, resume=folder.exists)
    training.run()
    model = training.learner.candidates()["ema"]
    save_separator(folder.path / "ema", model, trained={"step": training.steps_done, "which": "ema"})
    result = {
        **asdict(job),
        "updates": training.steps_done,
        "labelled": [song.name for song in labelled],
        "labelled_minutes": sum(song.read().shape[-1] for song in labelled) / scale.sample_rate / 60,
        "mined": None if mined is None else mined.name,
        "mined_minutes": None if mined is None else MinedExcerpts(mined).seconds_of(job.target) / 60,
        "share": 0.0 if mined is None else scale.share,
        "scores": {"ema": score(model, tests, scale)},
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu_started, 1),
        "device": str(ranks.device),
        "torch": torch.__version__,
    }
    write_json(out / "results" / f"{job.name}.json", result)


def score(model: Separator, tests: list[Song], scale: Scale) -> dict[str, dict[str, Any]]:
    """uSDR in dB of the target per test song, and of the mixture taken as the estimate.

    Songs whose target is silent in the part that counts are left out.
    """
    scores = {}
    for song in tests:
        references = middle(song.read(), round(scale.test_seconds * scale.sample_rate))
        if not references[0].any():
            continue
        mixture = references.sum(axis=0)
        estimate = separate(model, mixture)[model.sources.index(song.target)].numpy()
        values = [float(usdr(references[:1], each[None])[0]) for each in (estimate, mixture)]
        scores[song.name] = {"genre": song.genre, "artist": song.artist, "usdr": values[0], "mixture_usdr": values[1]}
    return scores
