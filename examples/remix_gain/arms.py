"""The arms of the experiment, and the training and scoring of one of them."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scales import Scale

from remix_miner.audio import resample, to_channels
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.tracks import StemTrack
from remix_miner.evaluation.metrics.whole_track import usdr
from remix_miner.runs.folder import RunFolder
from remix_miner.separators.base import Separator
from remix_miner.separators.loading import load_separator
from remix_miner.separators.overlap_add import separate
from remix_miner.sources import SOURCES
from remix_miner.training.batches.mixing import MixingSettings
from remix_miner.training.optimizers import OptimizerSettings
from remix_miner.training.remix import RemixStepSettings
from remix_miner.training.run.distributed import Ranks
from remix_miner.training.run.prepare import Inputs, prepare
from remix_miner.training.settings import EmaSettings, SeparatorSettings, TrainingSettings


@dataclass(frozen=True)
class Arm:
    """One way to train. ``excerpts``: folder below mined/ ('{seed}' is replaced), None for no remix step."""

    name: str
    excerpts: str | None
    meaning: str
    labelled: tuple[str, ...] = ("labelled-{seed}",)  # folders below songs/ whose stems are known


def arms(scale: Scale) -> list[Arm]:
    """All arms, the most telling first."""
    return [
        Arm("supervised", None, "labelled songs only"),
        Arm("oracle", "oracle", "remix steps, excerpts silent by truth"),
        Arm("mined", "mined", "remix steps, excerpts found by the detector"),
        Arm("oracle-few", "oracle-few", "as oracle, but as little and of as few sources as was mined"),
        Arm("oracle-paper", "oracle", "as oracle, with the paper's probability 0.25 and ratio 0.1"),
        Arm("labelled-rest", "labelled-{seed}", "remix steps, rests from the labelled songs: no new music"),
        *(
            Arm(
                f"oracle-{round(100 * share)}",
                f"oracle-{round(100 * share)}",
                f"{share:.0%} of excerpts falsely silent",
            )
            for share in sorted(scale.contaminations, reverse=True)
        ),
        Arm(
            "all-labelled", None, "all songs labelled: the most that could be gained", ("labelled-{seed}", "unlabelled")
        ),
    ]


def settings_of(scale: Scale, job: dict[str, Any]) -> TrainingSettings:
    """What is the same for all arms, with what a job says: seed, epochs, learning_rate, rate_ratio, probability."""
    epochs: int = job["epochs"]
    model = {**scale.model, "sample_rate": scale.model_rate, "segment_seconds": scale.segment_seconds}
    return TrainingSettings(
        separator=SeparatorSettings("demucs", model),
        mixing=MixingSettings(original_probability=scale.original_probability),
        optimizer=OptimizerSettings(
            learning_rate=job["learning_rate"], decay_every_epochs=max(epochs // 2, 1), clip_norm=5.0
        ),
        remix=RemixStepSettings(learning_rate_ratio=job["rate_ratio"], probability=job["probability"]),
        ema=EmaSettings(scale.ema_decay),
        seed=job["seed"],
        epochs=epochs,
        steps_per_epoch=scale.steps_per_epoch,
        batch_size=scale.batch_size,
        resample=True,
    )


def run_arm(out: Path, arm: Arm, settings: TrainingSettings, run: Path, workers: int = 0) -> dict[str, Any]:
    """Train one arm, going on where ``run`` was interrupted, and score its best model on the test songs."""
    started = time.monotonic()
    ranks = Ranks(device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    inputs = Inputs(
        stems=[out / "songs" / name.format(seed=settings.seed) for name in arm.labelled],
        valid=[out / "songs/valid"],
        mined=None if arm.excerpts is None else out / "mined" / arm.excerpts.format(seed=settings.seed),
        cache=out / "cache",
    )
    folder = RunFolder(run)
    resume = (run / "resume.pt").is_file()
    best = prepare(settings, inputs, folder, ranks, workers=workers, resume=resume).run()
    return {
        "arm": arm.name,
        "meaning": arm.meaning,
        "seed": settings.seed,
        "learning_rate": settings.optimizer.learning_rate,
        "rate_ratio": settings.remix.learning_rate_ratio,
        "probability": settings.remix.probability,
        "valid_usdr": None if best is None else best["usdr_mean"],
        "best_step": None if best is None else best["step"],
        "test_usdr": score(load_separator(run, ranks.device), load_stem_tracks(out / "songs/test")),
        "seconds": round(time.monotonic() - started, 1),
    }


def score(model: Separator, tracks: list[StemTrack]) -> dict[str, dict[str, float | None]]:
    """uSDR in dB per song and source on whole songs; None where the source is silent."""
    scores = {}
    for track in tracks:
        stems = [to_channels(stem, model.audio_channels) for stem in track.read()]
        references = np.stack([resample(stem, track.sample_rate, model.sample_rate) for stem in stems])
        values = usdr(references, separate(model, references.sum(axis=0)).numpy())
        known = zip(SOURCES, values.tolist(), strict=True)
        scores[track.name] = {source: None if np.isnan(value) else round(value, 4) for source, value in known}
    return scores
