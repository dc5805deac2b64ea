"""Training and scoring of one run, through `remix_miner.training`."""

import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arms import Job
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


def run_job(
    job: Job,
    scale: Scale,
    labelled: list[Song],
    tests: list[Song],
    mined: Path | None,
    out: Path,
    isolated: Path | None = None,
) -> None:
    """Train, keep the averaged weights, score them, and write ``out/results/<job>.json``.

    An arm that makes another one's run longer continues a copy of it, where that one exists.
    """
    started, cpu_started = time.monotonic(), time.process_time()
    ranks = Ranks(device=choose_device("auto"))
    folder = RunFolder(out / "runs" / job.run)
    stems = [song.folder for song in labelled] + ([isolated] if isolated else [])
    inputs = Inputs(stems, mined=mined, cache=out / "cache")
    arm = scale.arm(job.arm)
    if arm.continues is not None and not folder.exists:
        shorter = RunFolder(out / "runs" / replace(job, arm=arm.continues).run)
        if shorter.exists:
            shutil.copytree(shorter.path, folder.path, dirs_exist_ok=True)
    settings = scale.run_settings(job.target, job.seed, job.epochs, arm)
    training = prepare(settings, inputs, folder, ranks, resume=folder.exists)
    training.run()
    model = training.learner.candidates()["ema"]
    save_separator(folder.path / "ema", model, trained={"step": training.steps_done, "which": "ema"})
    result = {
        **asdict(job),
        "baseline": arm.settings.baseline,
        "set": list(arm.settings.set),
        "updates": training.steps_done,
        "labelled": [song.name for song in labelled],
        "labelled_minutes": sum(song.read().shape[-1] for song in labelled) / scale.sample_rate / 60,
        "mined": None if mined is None else mined.name,
        "mined_minutes": None if mined is None else minutes_of(MinedExcerpts(mined)),
        "share": 0.0 if mined is None else settings.excerpts.share,
        "scores": {"ema": score(model, tests, scale)},
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu_started, 1),
        "device": str(ranks.device),
        "torch": torch.__version__,
    }
    write_json(out / "results" / f"{job.name}.json", result)


def minutes_of(excerpts: MinedExcerpts) -> float:
    """Minutes of excerpts, those of all sources together."""
    return sum(map(excerpts.seconds_of, excerpts.sources)) / 60


def score(model: Separator, tests: list[Song], scale: Scale) -> dict[str, dict[str, Any]]:
    """uSDR in dB of the target per test song, and of the mixture taken as the estimate.

    A model of all sources is scored by their mean, and each is stated under 'of'. Sources that are silent in the part
    that counts are left out, and songs without any.
    """
    scores = {}
    for song in tests:
        references = middle(song.read(), round(scale.test_seconds * scale.sample_rate))
        mixture = references.sum(axis=0)
        wanted = [source for source in song.parts if source in model.sources]
        sounding = [source for source in wanted if references[song.parts.index(source)].any()]
        if not sounding:
            continue
        estimates = separate(model, mixture)[[model.sources.index(source) for source in sounding]].numpy()
        chosen = references[[song.parts.index(source) for source in sounding]]
        values = usdr(chosen, estimates), usdr(chosen, np.broadcast_to(mixture, chosen.shape))
        of = {source: pair for source, *pair in zip(sounding, *(each.tolist() for each in values), strict=True)}
        means = [float(each.mean()) for each in values]
        scores[song.name] = {"genre": song.genre, "artist": song.artist, "usdr": means[0], "mixture_usdr": means[1]}
        if len(model.sources) > 1:
            scores[song.name]["of"] = {
                source: {"usdr": separated, "mixture_usdr": mixed} for source, (separated, mixed) in of.items()
            }
    return scores
