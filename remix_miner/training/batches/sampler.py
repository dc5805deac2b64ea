"""Base of the samplers of training batches: batch number in, batch out.

Batch number k is a function of (seed, k, rank) alone. The state of a sampler is therefore one number, `batch(k)` may be
called in any order and process, and a run resumes in mid-epoch by setting that number.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Generic, Required, Self, TypedDict, TypeVar

import numpy as np
import torch
from torch import Tensor

from remix_miner.datasets.segments import SegmentReader
from remix_miner.errors import UsageError
from remix_miner.training.batches.augment import Augmentation, AugmentSettings
from remix_miner.training.batches.mixing import AUGMENT_STREAM, MixingSettings


@dataclass(frozen=True)
class TensorBatch:
    """Dataclass of tensors, and of values that stay as they are when tensors move to another device."""

    def to(self, device: torch.device | str) -> Self:
        return self.map_tensors(lambda tensor: tensor.to(device))

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return the batch with ``change`` applied to each of its tensors."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        changed = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **changed)


Kind = TypeVar("Kind", bound=TensorBatch)


class SamplerOptions(TypedDict, total=False):
    """Keyword arguments of every sampler. ``frames``: of the model's segment, at the reader's rate.

    ``batch_size``: of this rank, ``rank`` of ``world_size`` processes.
    """

    frames: Required[int]
    batch_size: Required[int]
    mixing: MixingSettings | None
    augment: AugmentSettings | None
    seed: int
    rank: int
    world_size: int


class Sampler(Generic[Kind]):
    """Batches 0, 1, 2, ... of one rank: `draw` reads files, on the CPU; `augment` is batched torch, on any device.

    Drawn are segments of `frames` frames: those of the model's, and the margin that a time shift needs.
    """

    def __init__(
        self,
        reader: SegmentReader,
        *,
        frames: int,
        batch_size: int,
        mixing: MixingSettings | None = None,
        augment: AugmentSettings | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"batch_size is at least 1, got {batch_size}")
        if not 0 <= rank < world_size:
            raise UsageError(f"rank {rank} of {world_size} processes does not exist")
        if seed < 0:
            raise UsageError(f"seed is 0 or more, got {seed}")
        self.reader = reader
        self.batch_size = batch_size
        self.mixing = mixing or MixingSettings()
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.augmentation = Augmentation(augment or AugmentSettings(), reader.sample_rate)
        self.frames = frames + self.augmentation.margin_frames
        self.step = 0

    def draw(self, step: int) -> Kind:
        raise NotImplementedError

    def augment(self, batch: Kind, step: int) -> Kind:
        raise NotImplementedError

    def batch(self, step: int) -> Kind:
        """Return batch ``step``, augmented, on the CPU."""
        return self.augment(self.draw(step), step)

    def __iter__(self) -> Iterator[Kind]:
        return self

    def __next__(self) -> Kind:
        batch = self.batch(self.step)
        self.step += 1
        return batch

    def state_dict(self) -> dict[str, int]:
        """Return the number of the next batch and the seed that it belongs to."""
        return {"step": self.step, "seed": self.seed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from the state of another sampler with the same settings."""
        if state["seed"] != self.seed:
            raise UsageError(f"the state belongs to seed {state['seed']}, this sampler has seed {self.seed}")
        self.step = state["step"]

    def _indices(self, step: int) -> range:
        """Return the numbers of this rank's examples. The examples of a step do not depend on the number of ranks."""
        first = (step * self.world_size + self.rank) * self.batch_size
        return range(first, first + self.batch_size)

    def _generator(self, step: int, kind: int) -> torch.Generator:
        words = np.random.SeedSequence([AUGMENT_STREAM, kind, self.seed, step, self.rank]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))
