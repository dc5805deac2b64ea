"""Preparation of a run, new or resumed: settings, data, memory and model are checked before the first step."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from remix_miner.config import to_mapping
from remix_miner.datasets.segments import SegmentReader
from remix_miner.datasets.stem_cache import use_stem_cache
from remix_miner.errors import DataError, UsageError
from remix_miner.runs.folder import RunFolder
from remix_miner.runs.resuming import require_changeable
from remix_miner.separators.base import Separator, count_parameters
from remix_miner.separators.tfc_tdf.kuielab_mdx_net import KuielabMdxNet
from remix_miner.training.batches.feeding import Feed
from remix_miner.training.batches.matching import Matcher
from remix_miner.training.batches.samplers import RemixSampler, StemSampler
from remix_miner.training.batches.target_batches import TargetSampler
from remix_miner.training.learner import Learner
from remix_miner.training.loop import Training
from remix_miner.training.run.batch_size import fit_batch, require_buildable
from remix_miner.training.run.data import TrainingData, load_training_data
from remix_miner.training.run.distributed import Ranks
from remix_miner.training.run.memory import MemoryEstimate, estimate_memory, gibibytes
from remix_miner.training.run.start_lines import start_lines
from remix_miner.training.settings import TrainingSettings
from remix_miner.training.targets import build_model
from remix_miner.training.validation import Validator

CHANGEABLE = ("epochs", "validation", "log_every_steps", "checkpoint_every_steps", "check_memory")
"""Settings that a resumed run may change: they do not affect the steps that were made."""


@dataclass(frozen=True)
class Inputs:
    """Folders of a run: corpora to train on, to validate on, mined shards, and the cache of stems."""

    stems: Sequence[str | Path]
    valid: Sequence[str | Path] = ()
    mined: str | Path | None = None
    cache: str | Path | None = None
    parts: Mapping[str, str] = field(default_factory=dict)  # trained separators that the model is made of, by source


def prepare(
    settings: TrainingSettings,
    inputs: Inputs,
    folder: RunFolder,
    ranks: Ranks,
    *,
    workers: int = 0,
    resume: bool = False,
) -> Training:
    """Return a `Training` before its next step.

    Raises `UsageError` when the folder holds a run and ``resume`` is not asked for, or when the settings are not those
    of the run to resume; `DataError` when the data are not usable, or not those of that run.
    """
    folder.require_run() if resume else folder.require_new()
    require_buildable(settings, ranks.device)
    torch.manual_seed(settings.seed)
    model = build_model(settings)
    if not resume:  # a checkpoint has their weights
        _load_parts(model, inputs.parts)
    torch.manual_seed(settings.seed + ranks.rank)
    learner = Learner(model, settings, ranks)
    data = load_training_data(inputs.stems, inputs.valid, inputs.mined, model, settings)
    description = data.describe()
    if resume:
        _check_same_run(folder, settings, description["fingerprint"])
    remixed = data.excerpts is not None and settings.target is None
    memory = _least_free(estimate_memory(learner, remixed, workers), ranks)
    settings = learner.settings = fit_batch(settings, memory, ranks.world_size)
    if inputs.cache is not None:
        _use_cache(data.reader, inputs.cache, ranks)
    stems, remixes = _samplers(learner, data)
    validator = Validator(data.valid, settings.validation, ranks) if data.valid else None
    steps_per_epoch = settings.steps_per_epoch or -(-stems.steps_per_epoch // settings.accumulate)
    training = Training(
        learner,
        Feed[Any](stems, workers=workers, device=ranks.device),
        # Remix steps are one in four: a single worker is enough.
        Feed(remixes, workers=min(workers, 1), device=ranks.device) if remixes is not None else None,
        validator,
        folder,
        steps_per_epoch,
        remix_share=fmean(remixes.source_shares.values()) if remixes is not None else 1.0,
        provenance=data.provenance(),
    )
    training.notices = [*start_lines(data, settings), _memory_line(settings, memory, ranks)]
    if resume:
        training.resume()
    if ranks.first:
        about = {"name": model.name, "settings": model.settings, "parameters": count_parameters(model)}
        paths = {"stems": [*map(os.path.abspath, inputs.stems)], "valid_folders": [*map(os.path.abspath, inputs.valid)]}
        ran = {"processes": ranks.world_size, "device": str(ranks.device), "steps_per_epoch": steps_per_epoch}
        about["parts"] = dict(inputs.parts)
        folder.write_description(to_mapping(settings), {**paths, **description}, {**about, **ran}, resume)
    return training


def inputs_of_run(folder: RunFolder) -> Inputs:
    """Return the folders that a run was started with."""
    data = folder.read_description()["data"]
    mined = data.get("mined")
    found = {"stems": data.get("stems"), "valid_folders": data.get("valid_folders")}
    for name, paths in found.items():
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise DataError(f"settings.json of {folder.path} has no list of folders under data.{name}; name them again")
    if mined is not None and not (isinstance(mined, dict) and isinstance(mined.get("folder"), str)):
        raise DataError(f"settings.json of {folder.path} has no folder under data.mined; name it again with --mined")
    return Inputs(found["stems"] or [], found["valid_folders"] or [], None if mined is None else mined["folder"])


def _check_same_run(folder: RunFolder, settings: TrainingSettings, fingerprint: str) -> None:
    require_changeable(folder, settings, CHANGEABLE)
    if folder.read_description()["data"].get("fingerprint") != fingerprint:
        raise DataError(
            f"the stems or mined excerpts are not those that {folder.path} was run with (see settings.json there); "
            "give the same ones, or start anew with another --out"
        )


def _memory_line(settings: TrainingSettings, memory: MemoryEstimate, ranks: Ranks) -> str:
    items = settings.items_per_part(ranks.world_size)
    parts = f" in {settings.accumulate} parts" if settings.accumulate > 1 else ""
    shared = f" over {ranks.world_size} processes" if ranks.world_size > 1 else ""
    free = f"; {gibibytes(memory.free)} are free" if memory.free is not None else ""
    return f"batches of {settings.batch_size}{parts}{shared} take about {gibibytes(memory.of(items))} of memory{free}"


def _least_free(memory: MemoryEstimate, ranks: Ranks) -> MemoryEstimate:
    """Return the estimate of the rank with the least free memory, so that all ranks choose the same batch size."""
    estimates: list[MemoryEstimate] = ranks.gather(memory)
    return min(estimates, key=lambda estimate: estimate.most_items())


def _load_parts(model: Separator, parts: Mapping[str, str]) -> None:
    if isinstance(model, KuielabMdxNet):
        model.load_parts(parts)
    elif parts:
        raise UsageError(f"{model.name} is not made of other separators: leave --part out")


def _use_cache(reader: SegmentReader, folder: str | Path, ranks: Ranks) -> None:
    if ranks.first:  # the other ranks read what it writes
        use_stem_cache(reader, folder)
    ranks.gather(None)
    use_stem_cache(reader, folder)


def _samplers(learner: Learner, data: TrainingData) -> tuple[StemSampler | TargetSampler, RemixSampler | None]:
    settings, ranks = learner.settings, learner.ranks
    if data.excerpts is not None and settings.excerpts.candidates > 1:
        if ranks.first:  # the other ranks read what it writes
            Matcher(data.reader, data.excerpts)
        ranks.gather(None)
    shared: dict[str, Any] = {
        "frames": learner.context_frames,
        "batch_size": settings.items_per_part(ranks.world_size),
        "mixing": settings.mixing,
        "augment": settings.augment,
        "seed": settings.seed,
        "rank": ranks.rank,
        "world_size": ranks.world_size,
    }
    if settings.target is not None:
        remix = settings.excerpts
        return TargetSampler(data.reader, data.excerpts, settings.target, data.share, remix=remix, **shared), None
    stems = StemSampler(data.reader, **shared)
    if data.excerpts is None:
        return stems, None
    return stems, RemixSampler(data.reader, data.excerpts, remix=settings.excerpts, **shared)
