"""Memory that a training step needs, estimated before the first step.

The estimate counts what the backward pass keeps: tensors that autograd saves in a forward pass of one and of two
examples, extrapolated to the batch. Weights' gradients, optimiser states, batches and reading workers are added.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from remix_miner.runs.free_memory import free_memory
from remix_miner.sources import SOURCES
from remix_miner.training.learner import Learner
from remix_miner.training.losses import loss_function

WORKSPACE = 1.65  # gradients of activations and scratch memory, relative to what is kept: see docs/guide/training.md
WORKER_BYTES = 350 * 2**20  # of a worker process that reads batches
NO_LIMIT = 1 << 30
PREFETCHED = 2  # batches that each worker holds
PROBE_SECONDS = 1.5


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that training will allocate, for a part of n examples: ``fixed`` + n * ``per_example``."""

    fixed: float
    per_example: float
    free: float | None  # None where the system does not report it

    def of(self, items: int) -> float:
        """Return the bytes that a part of ``items`` examples needs."""
        return self.fixed + items * self.per_example

    def most_items(self, share: float = 1.0) -> int:
        """Return the examples that fit into ``share`` of the free memory, 0 if none does."""
        if self.free is None:
            return NO_LIMIT
        return max(int((share * self.free - self.fixed) // self.per_example), 0)


def estimate_memory(learner: Learner, remixed: bool, workers: int) -> MemoryEstimate:
    """Return what a step of ``learner`` needs. Makes forward passes of one and two short examples."""
    ranks, settings, model = learner.ranks, learner.settings, learner.model
    trained = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    states = {"adam": 2, "adamw": 2, "rmsprop": 1}[settings.optimizer.name] * (2 if remixed else 1)
    gradients = 2 if ranks.world_size > 1 else 1  # DistributedDataParallel has a copy in its buckets
    temporary = 2  # gradients of rescaled weights, and what an optimiser's step allocates
    frames = min(learner.frames, round(PROBE_SECONDS * model.sample_rate))
    of_one, of_two = (_kept_bytes(learner, items, frames) for items in (1, 2))
    longer = learner.context_frames / max(frames, model.valid_length(frames))
    per_example = WORKSPACE * longer * max(of_two - of_one, of_one / 4)
    batch = 4 * len(SOURCES) * model.audio_channels * learner.context_frames
    if ranks.device.type == "cpu":  # batches and the other processes use the same memory
        per_example += batch * (3 + PREFETCHED * workers)
    else:
        per_example += 3 * batch
    fixed = trained * (gradients + states + temporary) + max(2 * of_one - of_two, 0)
    fixed += WORKER_BYTES * (workers + (remixed and workers > 0)) if ranks.device.type == "cpu" else 0
    free = free_memory(ranks.device)
    if free is not None and ranks.device.type == "cpu":
        free /= ranks.world_size
    return MemoryEstimate(fixed, per_example, free)


def _kept_bytes(learner: Learner, items: int, frames: int) -> int:
    """Return the bytes that autograd keeps of a forward pass for the backward pass, beside parameters and buffers."""
    model, device = learner.model, learner.ranks.device
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        pointer = tensor.untyped_storage().data_ptr()
        if pointer not in own:
            kept[pointer] = tensor  # kept, so that its memory is not used and counted again
        return tensor

    def leave(tensor: Tensor) -> Tensor:
        return tensor

    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}  # batch norm changes its statistics
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.autograd.graph.saved_tensors_hooks(keep, leave):
        mixture = torch.zeros(items, model.audio_channels, max(frames, model.valid_length(frames)), device=device)
        estimates = learner.estimate(mixture, model, frames)
        loss_function(learner.settings.loss)(estimates, torch.zeros_like(estimates)).mean()
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def gibibytes(count: float) -> str:
    """Return a number of bytes as text.

    >>> gibibytes(2**31)
    '2.0 GiB'
    """
    return f"{count / 2**30:.1f} GiB"
