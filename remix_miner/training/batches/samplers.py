"""Samplers of training batches: stems to mix, and an isolated source to remix with a mined excerpt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from remix_miner.audio import Audio
from remix_miner.datasets.segments import SegmentReader
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.sources import SOURCES
from remix_miner.training.batches.augment import AugmentSettings
from remix_miner.training.batches.levels import level_gain
from remix_miner.training.batches.loudness import loudness_gain
from remix_miner.training.batches.mixing import REMIX_STREAM, Mixer
from remix_miner.training.batches.pitch_tempo import change_pitch_tempo, source_frames
from remix_miner.training.batches.rests import RemixSettings, Rests, source_shares
from remix_miner.training.batches.sampler import Sampler, SamplerOptions, TensorBatch

REDRAWS = 20
SILENT_POWER = 1e-8
"""Mean square of an isolated source that counts as silent: -80 dB relative to full scale."""


@dataclass(frozen=True)
class StemBatch(TensorBatch):
    """Stems in SOURCES order; the mixture is their sum."""

    stems: Float[Tensor, "B S C T"]

    @property
    def mixture(self) -> Float[Tensor, "B C T"]:
        return self.stems.sum(dim=1)

    def references(self, sources: Sequence[str]) -> Float[Tensor, "B S C T"]:
        """The stems of ``sources``, in that order."""
        return self.stems[:, [SOURCES.index(source) for source in sources]]


@dataclass(frozen=True)
class RemixBatch(TensorBatch):
    """An isolated source, and excerpts in which that source is silent (Défossez et al. 2019, section 4).

    ``source`` indexes SOURCES. ``valid`` is False where an excerpt is shorter than the segment: the loss must not count
    those frames. ``weight``: of an example in the loss, 1 unless excerpts are weighted by their expected V.
    """

    isolated: Float[Tensor, "B C T"]
    rest: Float[Tensor, "B C T"]
    source: int
    valid: Bool[Tensor, "B T"]
    weight: Float[Tensor, " B"]

    @property
    def mixture(self) -> Float[Tensor, "B C T"]:
        return self.isolated + self.rest


class StemSampler(Sampler[StemBatch]):
    """Supervised batches: original and random mixes of labelled songs, see `MixingSettings`.

    An epoch is `steps_per_epoch` batches.
    """

    def __init__(self, reader: SegmentReader, **options: Unpack[SamplerOptions]) -> None:
        super().__init__(reader, **options)
        group = (options.get("augment") or AugmentSettings()).remix_group
        if group and self.batch_size % group:
            raise UsageError(f"remix_group {group} does not divide the batch of {self.batch_size} per process")
        self.mixer = Mixer(reader, self.mixing, self.frames, self.seed)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch; the last one may include examples of the next epoch."""
        return -(-self.mixer.mixes_per_epoch // (self.batch_size * self.world_size))

    def draw(self, step: int) -> StemBatch:
        stems = torch.empty(self.batch_size, len(SOURCES), self.mixer.reader.channels, self.mixer.frames)
        for item, index in zip(stems.numpy(), self._indices(step)):
            self.mixer.read_into(item, self.mixer.plan(index))
        return StemBatch(stems)

    def augment(self, batch: StemBatch, step: int) -> StemBatch:
        return StemBatch(self.augmentation(batch.stems, self._generator(step, kind=0)))


class RemixSampler(Sampler[RemixBatch]):
    """Remix batches: one source of a labelled song, and a mined excerpt in which that source is silent.

    All examples of a batch, on all ranks, share one source, uniform over those that have enough excerpts (Défossez et
    al. 2019, section 5.2), others less often: see `source_shares`. The isolated source is drawn as a random mix draws
    it, and again where it is silent. Excerpts are drawn in proportion to their length, which is what pooling their 5 s
    pieces amounts to, or by track: see `MinedExcerpts.draw`. The excerpt is a random crop; one that is shorter than
    the segment lies at a random place in it, and `RemixBatch.valid` states where.

    Levels: with ``match_level`` the excerpt gets the level of the labelled song's own rest, measured over the segment,
    with a gain of at most ``max_gain_db``. The isolated source keeps its level, and its level relative to the rest is
    distributed as in the labelled mixtures. Where either is silent the gain is 1. An isolated file has no rest of its
    own: the excerpt gets the level that the other sources of a random mix have, or, where these are silent, the level
    of the isolated file.

    With ``second_probability`` the rest is the sum of two excerpts of different tracks in a share of the examples: the
    second gets the level of the first, within ``max_gain_db``, and the sum is levelled like a single excerpt. The
    isolated source is silent in both, so the sum is a rest as well. What else is drawn does not depend on it.
    """

    def __init__(
        self,
        reader: SegmentReader,
        excerpts: MinedExcerpts,
        *,
        remix: RemixSettings | None = None,
        **options: Unpack[SamplerOptions],
    ) -> None:
        augment = options.get("augment") or AugmentSettings()
        options["augment"] = replace(augment, shift_seconds=0.0, remix_group=0)
        super().__init__(reader, **options)
        self.excerpts = excerpts
        self.settings = remix or RemixSettings()
        self.sources = [source for source in SOURCES if source in excerpts.sources]
        if not self.sources:
            raise DataError("no mined excerpts to remix with: check the mined folder with 'remix-miner inspect MINED'")
        self.source_shares = source_shares(excerpts, self.settings.enough_minutes)
        self.rests = Rests(reader, excerpts, self.settings, self.frames, self.sources)

    def source_of(self, step: int) -> str:
        """Return the source that batch ``step`` isolates; the same on all ranks."""
        generator = np.random.default_rng([REMIX_STREAM, 0, self.seed, step])
        if min(self.source_shares.values()) == 1:
            return self.sources[int(generator.integers(len(self.sources)))]
        cumulative = np.cumsum([self.source_shares[source] for source in self.sources])
        place = np.searchsorted(cumulative, cumulative[-1] * generator.random(), side="right")
        return self.sources[min(int(place), len(self.sources) - 1)]

    def draw(self, step: int) -> RemixBatch:
        source = self.source_of(step)
        isolated, rest, valid, weight = zip(*(self.example(source, index) for index in self._indices(step)))
        return RemixBatch(
            isolated=torch.from_numpy(np.stack(isolated)),
            rest=torch.from_numpy(np.stack(rest)),
            source=SOURCES.index(source),
            valid=torch.from_numpy(np.stack(valid)),
            weight=torch.tensor(weight, dtype=torch.float32),
        )

    def augment(self, batch: RemixBatch, step: int) -> RemixBatch:
        """Augment the isolated source and the excerpt, each on its own; masked frames stay masked."""
        pair = torch.stack([batch.isolated, batch.rest], dim=1)
        isolated, rest = self.augmentation(pair, self._generator(step, kind=1)).unbind(dim=1)
        return replace(batch, isolated=isolated, rest=rest)

    def example(self, source: str, index: int) -> tuple[Audio, Audio, np.ndarray, float]:
        """Return example ``index``: the isolated source, the excerpt, the frames that the excerpt fills, its weight."""
        generator = np.random.default_rng([REMIX_STREAM, 1, self.seed, index])
        (semitones,), (tempo,) = self.mixing.pitch_tempo.draw(generator, 1)
        frames = source_frames(self.frames, tempo)
        song, start, isolated = self._isolated(source, frames, generator)
        like = self.rests.like(song, start, frames, semitones)
        excerpt = self.rests.draw(source, generator, like)
        if self.settings.second_probability:
            second = np.random.default_rng([REMIX_STREAM, 2, self.seed, index])
            excerpt = self.rests.with_second(excerpt, source, second, like)
        rest, valid, weight = excerpt.audio, excerpt.valid, excerpt.weight
        if self.settings.match_level:
            if self.reader.tracks[song].isolated is None:
                like_rest = self.reader.read_stems(song, start, frames).sum(axis=0) - isolated
            else:
                mixed = self._mixed_rest(source, frames, np.random.default_rng([REMIX_STREAM, 3, self.seed, index]))
                like_rest = mixed if mixed.any() else isolated
            rest *= np.float32(level_gain(excerpt.valid_audio, like_rest, self.settings.max_gain_db))
        isolated = change_pitch_tempo(isolated, self.reader.sample_rate, semitones, tempo, self.frames)
        if self.mixing.loudness_lufs is not None:
            gain = np.float32(loudness_gain(isolated + rest, self.reader.sample_rate, self.mixing.loudness_lufs))
            isolated, rest = isolated * gain, rest * gain
        return isolated, rest, valid, weight

    def _isolated(self, source: str, frames: int, generator: np.random.Generator) -> tuple[int, int, Audio]:
        """Return a song, a start, and the source there; with `redraw_silent`, one that sounds if it is found."""
        for _ in range(REDRAWS if self.settings.redraw_silent else 1):
            song = self.reader.draw_song(generator, source)
            start = self.reader.draw_start(song, frames, generator)
            isolated = self.reader.read(song, source, start, frames)
            if np.mean(np.square(isolated, dtype=np.float64)) > SILENT_POWER:
                break
        return song, start, isolated

    def _mixed_rest(self, source: str, frames: int, generator: np.random.Generator) -> Audio:
        """Return the sum of all sources but one, each from a song and a place of its own, as in a random mix."""
        total = np.zeros((self.reader.channels, frames), dtype=np.float32)
        for other in SOURCES:
            if other != source:
                song = self.reader.draw_song(generator, other)
                total += self.reader.read(song, other, self.reader.draw_start(song, frames, generator), frames)
        return total
