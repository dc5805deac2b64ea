"""Samplers of training batches: stems to mix, and an isolated source to remix with a mined excerpt."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from remix_miner.audio import Audio, resample, to_channels
from remix_miner.config import PROBABILITY, Bounds, SettingError, Settings
from remix_miner.datasets.segments import SegmentReader
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.excerpts import DrawBy, MinedExcerpts
from remix_miner.sources import SOURCES
from remix_miner.training.batches.augment import Augmentation, AugmentSettings
from remix_miner.training.batches.levels import level_gain, volume_weight
from remix_miner.training.batches.loudness import loudness_gain
from remix_miner.training.batches.mixing import REMIX_STREAM, Mixer, MixingSettings
from remix_miner.training.batches.pitch_tempo import change_pitch_tempo, source_frames
from remix_miner.training.batches.sampler import Sampler, TensorBatch

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

    ``frames``: the model's segment, at the reader's rate. An epoch is `steps_per_epoch` batches.
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
        augment = augment or AugmentSettings()
        super().__init__(batch_size, seed, rank, world_size, Augmentation(augment, reader.sample_rate))
        if augment.remix_group and batch_size % augment.remix_group:
            raise UsageError(f"remix_group {augment.remix_group} does not divide the batch of {batch_size} per process")
        self.mixer = Mixer(reader, mixing or MixingSettings(), frames + self.augmentation.margin_frames, seed)

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


@dataclass(frozen=True)
class RemixSettings(Settings):
    """Settings of examples made of mined excerpts."""

    enough_minutes: Annotated[float, Bounds(0)] = (
        10.0  # of a source; below, fewer remix steps for it, see `source_shares`
    )
    draw_by: DrawBy = "seconds"  # excerpts: every second of audio equally often, or every track
    match_level: bool = True  # bring an excerpt to the level of the labelled song's own rest; not in the 2019 paper
    max_gain_db: Annotated[float, Bounds(0, 120)] = 12.0  # but change it by no more than this
    redraw_silent: bool = True  # draw an isolated source again where it is silent; not in the 2019 paper
    weigh_by_volume: bool = False  # weight by the catalogue's expected V, see `volume_weight`
    share: Annotated[float, Bounds(0, 1)] | None = None  # with a target: of the examples; None: `share_of_excerpts`
    negatives: Annotated[float, Bounds(0, 1)] = 0.0  # with a target: of the excerpts' examples, with a silent target
    probability_weight: Annotated[float, Bounds(0, 100)] = 0.0  # k: excerpts drawn in proportion to p^k, too; 0: off
    second_probability: Annotated[float, PROBABILITY] = 0.0  # of examples: an excerpt of another track on top of it

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probability_weight and self.weigh_by_volume:
            raise SettingError(
                "probability_weight", "draws probable excerpts more often, weigh_by_volume counts them more: set one"
            )


def source_shares(excerpts: MinedExcerpts, enough_minutes: float) -> dict[str, float]:
    """Return, for each source, the share of its remix steps that are made: minutes of excerpts / ``enough_minutes``.

    1 from ``enough_minutes`` on. Remix steps on a few minutes of music over-fit them: with 4 minutes a source they
    cost 0.8 dB (docs/guide/does_it_help.md).
    """
    minutes = {source: excerpts.seconds_of(source) / 60 for source in excerpts.sources}
    return {source: min(1.0, got / enough_minutes) if enough_minutes else 1.0 for source, got in minutes.items()}


class RemixSampler(Sampler[RemixBatch]):
    """Remix batches: one source of a labelled song, and a mined excerpt in which that source is silent.

    All examples of a batch, on all ranks, share one source, uniform over those that have enough excerpts (Défossez et
    al. 2019, section 5.2), others less often: see `source_shares`. The isolated source is drawn as a random mix draws
    it, and again where it is silent. Excerpts are drawn in proportion to their length, which is what pooling their 5 s
    pieces amounts to, or by track: see `MinedExcerpts.draw`. The excerpt is a random crop; one that is shorter than
    the segment lies at a random place in it, and `RemixBatch.valid` states where.

    Levels: with ``match_level`` the excerpt gets the level of the labelled song's own rest, measured over the segment,
    with a gain of at most ``max_gain_db``. The isolated source keeps its level, and its level relative to the rest is
    distributed as in the labelled mixtures. Where either is silent the gain is 1.

    With ``second_probability`` the rest is the sum of two excerpts of different tracks in a share of the examples: the
    second gets the level of the first, within ``max_gain_db``, and the sum is levelled like a single excerpt. The
    isolated source is silent in both, so the sum is a rest as well. What else is drawn does not depend on it.
    """

    def __init__(
        self,
        reader: SegmentReader,
        excerpts: MinedExcerpts,
        *,
        frames: int,
        batch_size: int,
        remix: RemixSettings | None = None,
        mixing: MixingSettings | None = None,
        augment: AugmentSettings | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        augment = replace(augment or AugmentSettings(), shift_seconds=0.0, remix_group=0)
        super().__init__(batch_size, seed, rank, world_size, Augmentation(augment, reader.sample_rate))
        self.reader = reader
        self.excerpts = excerpts
        self.frames = frames
        self.settings = remix or RemixSettings()
        self.mixing = mixing or MixingSettings()
        self.sources = [source for source in SOURCES if source in excerpts.sources]
        if not self.sources:
            raise DataError("no mined excerpts to remix with: check the mined folder with 'remix-miner inspect MINED'")
        self.source_shares = source_shares(excerpts, self.settings.enough_minutes)
        if self.settings.probability_weight:
            _require_different_probabilities(excerpts, self.sources)
        if self.settings.second_probability:
            _require_two_tracks(excerpts, self.sources)

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
        excerpt = self._excerpt(source, generator)
        if self.settings.second_probability:
            excerpt = self._with_second(excerpt, source, np.random.default_rng([REMIX_STREAM, 2, self.seed, index]))
        rest, valid, weight = excerpt.audio, excerpt.valid, excerpt.weight
        if self.settings.match_level:
            own_rest = self.reader.read_stems(song, start, frames).sum(axis=0) - isolated
            rest *= np.float32(level_gain(excerpt.valid_audio, own_rest, self.settings.max_gain_db))
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

    def _excerpt(self, source: str, generator: np.random.Generator, beside: int | None = None) -> "PlacedExcerpt":
        """Return a random crop at a random place; with ``beside``, of another track than that excerpt's."""
        settings, sample_rate = self.settings, self.reader.sample_rate
        wanted = math.ceil(self.frames * self.excerpts.sample_rate / sample_rate)
        index = self.excerpts.draw(source, generator, settings.draw_by, settings.probability_weight)
        while beside is not None and self.excerpts.track_of(index) == self.excerpts.track_of(beside):
            index = self.excerpts.draw(source, generator, settings.draw_by, settings.probability_weight)
        item = self.excerpts.crop(index, wanted, generator)
        crop = to_channels(item["audio"][:, : item["valid_frames"]], self.reader.channels)
        crop = resample(crop, item["sample_rate"], sample_rate)[:, : self.frames]
        first = int(generator.integers(self.frames - crop.shape[-1] + 1))
        audio = np.zeros((self.reader.channels, self.frames), dtype=np.float32)
        audio[:, first : first + crop.shape[-1]] = crop
        valid = np.zeros(self.frames, dtype=bool)
        valid[first : first + crop.shape[-1]] = True
        weight = volume_weight(item["expected_volume_db"]) if settings.weigh_by_volume else 1.0
        return PlacedExcerpt(index, audio, valid, weight)

    def _with_second(self, excerpt: "PlacedExcerpt", source: str, generator: np.random.Generator) -> "PlacedExcerpt":
        """Return the excerpt, with probability `second_probability` plus one of another track at its level."""
        if generator.random() >= self.settings.second_probability:
            return excerpt
        second = self._excerpt(source, generator, beside=excerpt.index)
        gain = np.float32(level_gain(second.valid_audio, excerpt.valid_audio, self.settings.max_gain_db))
        return PlacedExcerpt(
            excerpt.index,
            excerpt.audio + gain * second.audio,
            excerpt.valid | second.valid,
            min(excerpt.weight, second.weight),
        )


@dataclass(frozen=True)
class PlacedExcerpt:
    """A crop of excerpt ``index`` in a silent segment. ``valid``: frames that it fills; ``weight``: of the example."""

    index: int
    audio: Audio
    valid: Bool[np.ndarray, " T"]
    weight: float

    @property
    def valid_audio(self) -> Audio:
        return self.audio.compress(self.valid, axis=-1)


def _require_two_tracks(excerpts: MinedExcerpts, sources: Sequence[str]) -> None:
    """Raise `UsageError` where no second excerpt of another track exists."""
    few = [source for source in sources if excerpts.tracks_of(source) < 2]
    if few:
        raise UsageError(
            f"excerpts.second_probability mixes excerpts of two tracks, but {excerpts.folder} has those of one track "
            f"without {' and without '.join(few)}; leave it at 0, or mine more"
        )


def _require_different_probabilities(excerpts: MinedExcerpts, sources: Sequence[str]) -> None:
    """Raise `UsageError` where weighting by probability would change nothing."""
    found = {source: excerpts.probabilities(source) for source in sources}
    if all(values.min() == values.max() for values in found.values()):
        stated = ", ".join(f"{values.min():.3g} without {source}" for source, values in found.items())
        raise UsageError(
            f"excerpts.probability_weight would change nothing: all excerpts of {excerpts.folder} have the same "
            f"probability ({stated}); leave it at 0"
        )
