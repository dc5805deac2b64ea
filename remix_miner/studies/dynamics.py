"""Training dynamics: scores on fixed sets of chunks at stages of training (Jeon et al. 2024, section 3.1, figure 2).

Four sets of chunks: original and random mixes of training and of test songs, drawn once. A random mix is made for every
chunk, source and draw: that source is the chunk's own, the others come from other songs and places, and only that
source is scored. With three draws there are twelve times as many random mixes as chunks, as in the paper.
"""

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float32

from remix_miner.config import Bounds, Settings, from_mapping
from remix_miner.evaluation.metrics.whole_track import usdr
from remix_miner.runs.folder import RunFolder
from remix_miner.separators.base import Separator
from remix_miner.sources import SOURCES
from remix_miner.studies.bench import Bench, SetScores, with_seed
from remix_miner.studies.plan import Arm, Study
from remix_miner.studies.runner import MIXTURE, Job, Scores
from remix_miner.studies.songs import read_middle

SETS = tuple(f"{songs} songs, {mixes} mixes" for songs in ("training", "test") for mixes in ("original", "random"))
QUARTERS = 4
DRAWS = 3
BATCH = 32


def stage_name(chunks: str, quarter: int) -> str:
    """Return the name of a set at a quarter of the training, such as '..., 25%'."""
    return f"{chunks}, {100 * quarter // QUARTERS}%"


@dataclass(frozen=True)
class DynamicsOptions(Settings):
    """``stages``: evaluations during training, evenly spaced. ``chunks``: of a song, evenly spaced, at most."""

    stages: Annotated[int, Bounds(QUARTERS, 100_000)] = QUARTERS
    chunks: Annotated[int, Bounds(1, 10**9)] = 8


@dataclass(frozen=True)
class Chunk:
    """Stems of a mix (S, C, T), the song it counts for, and the source that is scored (None: all)."""

    song: str
    stems: Float32[np.ndarray, "S C T"]
    source: int | None = None


def jobs(study: Study, bench: Bench, out: Path) -> list[Job]:
    """Return a job for every seed, arm and stage, in the order of training."""
    options = from_mapping(DynamicsOptions, bench.scale.options, where="options.")
    found = []
    for seed in bench.scale.seeds:
        place = with_seed(bench, seed)
        for arm in (*study.arms, None):
            name = MIXTURE if arm is None else arm.name
            digest = place.digest(arm or Arm(MIXTURE))
            for stage in range(1, options.stages + 1) if arm is not None else (options.stages,):
                path = out / "results" / f"{name}-seed{seed}-{stage}of{options.stages}.json"
                found.append(Job(name, seed, path, digest, _scored(place, options, arm, stage)))
    return found


def fixed_sets(bench: Bench, options: DynamicsOptions) -> dict[str, list[Chunk]]:
    """Return the four sets of chunks of a bench's split."""
    sets: dict[str, list[Chunk]] = {}
    parts = (("training", bench.split.train), ("test", bench.split.test))
    for number, (part, songs) in enumerate(parts):
        originals = [chunk for song in songs for chunk in _chunks(song, bench, options)]
        sets[f"{part} songs, original mixes"] = originals
        sets[f"{part} songs, random mixes"] = _random_mixes(originals, np.random.default_rng(number))
    return sets


def _chunks(song: Path, bench: Bench, options: DynamicsOptions) -> list[Chunk]:
    stems, rate = read_middle(song, bench.scale.test_seconds)
    frames = round(float(bench.scale.training["segment_seconds"]) * rate)
    starts = range(0, max(stems.shape[-1] - frames, 0) + 1, frames)
    chosen = np.linspace(0, len(starts) - 1, min(options.chunks, len(starts))).round().astype(int)
    return [Chunk(song.name, stems[..., starts[place] : starts[place] + frames]) for place in chosen]


def _random_mixes(originals: Sequence[Chunk], rng: np.random.Generator) -> list[Chunk]:
    """Return `DRAWS` random mixes for every chunk and source; the other stems are of other songs than the chunk's."""
    mixes = []
    for chunk in originals:
        others = [other for other in originals if other.song != chunk.song]
        for source in range(len(SOURCES)):
            for _ in range(DRAWS if others else 0):
                drawn = [others[int(rng.integers(len(others)))].stems[row] for row in range(len(SOURCES))]
                drawn[source] = chunk.stems[source]
                mixes.append(Chunk(chunk.song, np.stack(drawn), source))
    return mixes


def score_chunks(model: Separator | None, chunks: Sequence[Chunk]) -> SetScores:
    """Return the uSDR of every chunk's scored sources, by song; of the mixture as every estimate without a model."""
    scores: SetScores = {chunk.song: {source: [] for source in SOURCES} for chunk in chunks}
    for first in range(0, len(chunks), BATCH):
        batch = chunks[first : first + BATCH]
        mixtures = np.stack([chunk.stems.sum(axis=0) for chunk in batch])
        estimates = np.broadcast_to(mixtures[:, None], (len(batch), len(SOURCES), *mixtures.shape[1:]))
        if model is not None:
            device = next(model.parameters()).device
            with torch.inference_mode():
                found = model(torch.from_numpy(mixtures).to(device)).float().cpu().numpy()
            estimates = found[:, [model.sources.index(source) for source in SOURCES]]
        for chunk, estimate in zip(batch, estimates, strict=True):
            values = usdr(chunk.stems, estimate)
            for row, source in enumerate(SOURCES):
                if chunk.source in (None, row):
                    scores[chunk.song][source].append(float(values[row]))
    return scores


def _scored(
    bench: Bench, options: DynamicsOptions, arm: Arm | None, stage: int
) -> Callable[[], tuple[Scores, float | None]]:
    def scores() -> tuple[Scores, float | None]:
        model = None if arm is None else _trained_to(bench, options, arm, stage)
        sets = fixed_sets(bench, options)
        stages = range(1, options.stages + 1) if arm is None else (stage,)
        found = {name: score_chunks(model, chunks) for name, chunks in sets.items()}
        return {key: values for each in stages for key, values in _named(found, each, options, bench)}, None

    return scores


def _named(found: Scores, stage: int, options: DynamicsOptions, bench: Bench) -> list[tuple[str, SetScores]]:
    """Return the scores under the names of their stage: in updates, and in quarters where a quarter ends."""
    updates = bench.scale.updates * stage // options.stages
    quarters = [quarter for quarter in range(1, QUARTERS + 1) if -(-options.stages * quarter // QUARTERS) == stage]
    named = [(f"{name}, {updates} updates", values) for name, values in found.items()]
    return named + [(stage_name(name, quarter), values) for quarter in quarters for name, values in found.items()]


def _trained_to(bench: Bench, options: DynamicsOptions, arm: Arm, stage: int) -> Separator:
    """Return the averaged model at a stage. An earlier stage than the run's own starts the run anew."""
    steps = max(bench.scale.updates // options.stages, 1)
    settings = dataclasses.replace(bench.scale.settings_of(arm, bench.seed), steps_per_epoch=steps, epochs=1)
    path = bench.folder_of(settings, arm)
    folder = RunFolder(path.with_name(f"{path.name}-{options.stages}-stages"))
    training = bench.prepare(dataclasses.replace(settings, epochs=stage), folder, arm)
    if training.epoch > stage or (training.epoch == stage and training.step):
        shutil.rmtree(folder.path)
        training = bench.prepare(dataclasses.replace(settings, epochs=stage), folder, arm)
    training.run()
    model = list(training.learner.candidates().values())[-1]
    return model.eval()
