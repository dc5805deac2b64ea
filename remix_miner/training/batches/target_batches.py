"""Batches for a model of one target against the rest: mixes of labelled songs, and examples made of excerpts.

An excerpt in which the target is silent is a complete example for such a model: with an isolated target on top, both
parts of the mixture are known. For a model of four sources it is not, since the excerpt's own sources are not known
apart; that is what the remix step of Défossez et al. 2019 is for (`remix_miner.training.remix`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from remix_miner.audio import Audio
from remix_miner.datasets.segments import SegmentReader
from remix_miner.errors import UsageError
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.sources import SOURCES
from remix_miner.training.batches.mixing import TARGET_STREAM, Mixer
from remix_miner.training.batches.rests import RemixSettings
from remix_miner.training.batches.sampler import Sampler, SamplerOptions, TensorBatch
from remix_miner.training.batches.samplers import RemixSampler


@dataclass(frozen=True)
class TargetBatch(TensorBatch):
    """A target and the sum of all other sources; ``source`` names the target."""

    target: Float[Tensor, "B C T"]
    rest: Float[Tensor, "B C T"]
    source: str

    @property
    def mixture(self) -> Float[Tensor, "B C T"]:
        return self.target + self.rest

    def references(self, sources: Sequence[str]) -> Float[Tensor, "B S C T"]:
        """The target for its name, the rest for 'no_<target>', in the order of ``sources``."""
        known = {self.source: self.target, f"no_{self.source}": self.rest}
        return torch.stack([known[source] for source in sources], dim=1)


class TargetSampler(Sampler[TargetBatch]):
    """Batches of ``target`` against the rest.

    Each example is drawn on its own. With probability ``share`` it is a target of a labelled song on top of an excerpt
    without that source, as `RemixSampler` draws and levels the two; a share ``remix.negatives`` of these has silence
    in place of the target. Where an excerpt is shorter than the segment, the rest is silent outside it. Any other
    example is a mix of labelled songs as `Mixer` plans it, its sources but the target summed up.

    Augmentations act on the target and on the rest, each as one source. Without ``excerpts`` the share is 0. The
    examples that excerpts do not make are the same for every share.
    """

    def __init__(
        self,
        reader: SegmentReader,
        excerpts: MinedExcerpts | None,
        target: str,
        share: float,
        *,
        remix: RemixSettings | None = None,
        **options: Unpack[SamplerOptions],
    ) -> None:
        super().__init__(reader, **options)
        if target not in SOURCES:
            raise UsageError(f"target is one of {', '.join(SOURCES)}, got {target!r}")
        if not 0 <= share <= 1:
            raise UsageError(f"share is the share of examples that excerpts make, 0 to 1; got {share}")
        self.target = target
        self.share = share if excerpts is not None else 0.0
        self.negatives = remix.negatives if remix else 0.0
        self.mixer = Mixer(reader, self.mixing, self.frames, self.seed)
        self.remixes: RemixSampler | None = None
        if excerpts is not None:  # the margin of a time shift is a part of these examples
            options["frames"] = self.frames
            self.remixes = RemixSampler(reader, excerpts, remix=remix, **options)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch: as many examples as an epoch has mixes, whatever they are made of."""
        return -(-self.mixer.mixes_per_epoch // (self.batch_size * self.world_size))

    def draw(self, step: int) -> TargetBatch:
        pairs = torch.empty(self.batch_size, 2, self.mixer.reader.channels, self.mixer.frames)
        for item, index in zip(pairs.numpy(), self._indices(step)):
            item[0], item[1] = self._example(index)
        return TargetBatch(pairs[:, 0], pairs[:, 1], self.target)

    def augment(self, batch: TargetBatch, step: int) -> TargetBatch:
        pairs = torch.stack([batch.target, batch.rest], dim=1)
        target, rest = self.augmentation(pairs, self._generator(step, kind=2)).unbind(dim=1)
        return replace(batch, target=target, rest=rest)

    def _example(self, index: int) -> tuple[Audio, Audio]:
        generator = np.random.default_rng([TARGET_STREAM, self.seed, index])
        from_excerpt, negative = generator.random(2) < (self.share, self.negatives)
        if self.remixes is not None and from_excerpt:
            isolated, rest, _, _ = self.remixes.example(self.target, index)
            return (np.zeros_like(isolated) if negative else isolated), rest
        stems = self.mixer.read(self.mixer.plan(index))
        target = stems[SOURCES.index(self.target)]
        return target, stems.sum(axis=0) - target
