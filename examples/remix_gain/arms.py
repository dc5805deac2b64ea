"""Arms of the experiment, and the training and scoring of one of them through `remix_miner.training`."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
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

MEANINGS = {
    "supervised": "the labelled song alone",
    "control": "as mined, but the excerpts are the labelled song's own accompaniment: no new music",
    "mined": "excerpts that the default detector mined from a library",
    "true": "accompaniments of the half's other songs: no detector",
    "ceiling": "all songs of the half labelled",
}


@dataclass(frozen=True)
class Job:
    """One run. ``fold``: the labelled song, or the half of a ceiling. ``epochs``: multiples of the scale's updates."""

    arm: str
    fold: str
    half: int
    seed: int
    epochs: int = 1

    @property
    def name(self) -> str:
        ending = f"-{self.epochs}" if self.arm == "ceiling" else ""
        return f"{self.arm}-{self.fold}-seed{self.seed}{ending}"

    @property
    def run(self) -> str:
        """Folder of the run: a ceiling's next length resumes the one before."""
        return f"{self.arm}-{self.fold}-seed{self.seed}"


def run_job(job: Job, scale: Scale, labelled: list[Song], tests: list[Song], mined: Path | None, out: Path) -> None:
    """Train, keep the raw and the averaged weights, score both."""
    started, cpu_started = time.monotonic(), time.process_time()
    ranks = Ranks(device=choose_device("auto"))
    folder = RunFolder(out / "runs" / job.run)
    inputs = Inputs([song.folder for song in labelled], mined=mined, cache=out / "cache")
    settings = scale.run_settings(job.seed, job.epochs)
    training = prepare(settings, inputs, folder, ranks, resume=folder.exists)
    training.run()
    models = training.learner.candidates()
    for which, model in models.items():
        save_separator(folder.path / which, model, trained={"step": training.steps_done, "which": which})
    result = {
        **asdict(job),
        "updates": training.steps_done,
        "labelled": [song.name for song in labelled],
        "labelled_minutes": sum(song.read().shape[-1] for song in labelled) / scale.sample_rate / 60,
        "mined": None if mined is None else mined.name,
        "mined_minutes": None if mined is None else MinedExcerpts(mined).seconds_of(scale.target) / 60,
        "share": 0.0 if mined is None else scale.share,
        "scores": {which: score(model, tests, scale) for which, model in models.items()},
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu_started, 1),
        "device": str(ranks.device),
        "torch": torch.__version__,
    }
    write_result(out, job, result)


def score(model: Separator, tests: list[Song], scale: Scale) -> dict[str, dict[str, Any]]:
    """uSDR in dB of the target per test song, and of the mixture taken as the estimate."""
    scores = {}
    for song in tests:
        references = middle(song.read(), round(scale.test_seconds * scale.sample_rate))
        mixture = references.sum(axis=0)
        estimate = separate(model, mixture)[model.sources.index(scale.target)].numpy()
        values = [float(usdr(references[:1], each[None])[0]) for each in (estimate, mixture)]
        scores[song.name] = {"genre": song.genre, "artist": song.artist, "usdr": values[0], "mixture_usdr": values[1]}
    return scores


def write_result(out: Path, job: Job, result: dict[str, Any]) -> None:
    write_json(out / "results" / f"{job.name}.json", result)
