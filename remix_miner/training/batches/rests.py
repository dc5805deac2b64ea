"""Rests of remixes: a mined excerpt, or the sum of two, cropped and placed in a segment."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Bool

from remix_miner.audio import Audio, resample, to_channels
from remix_miner.config import PROBABILITY, Bounds, SettingError, Settings
from remix_miner.datasets.segments import SegmentReader
from remix_miner.errors import UsageError
from remix_miner.mined.excerpt_draws import DrawBy
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.training.batches.consistency import Segment
from remix_miner.training.batches.levels import level_gain, volume_weight
from remix_miner.training.batches.matching import Matcher


@dataclass(frozen=True)
class RemixSettings(Settings):
    """Settings of examples made of mined excerpts."""

    enough_minutes: Annotated[float, Bounds(0, 1_000_000)] = (
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
    candidates: Annotated[int, Bounds(1, 1000)] = (
        1  # excerpts drawn, of which that most like the song's segment is used
    )

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


class Rests:
    """Random rests for a source, at the rate and channels of ``reader``, in segments of ``frames`` frames.

    `RemixSettings` states how excerpts are drawn. With ``candidates`` above 1 so many excerpts and starts are drawn,
    and the one is taken that agrees best with the labelled song's own segment, see `matching`.
    """

    def __init__(
        self,
        reader: SegmentReader,
        excerpts: MinedExcerpts,
        settings: RemixSettings,
        frames: int,
        sources: Sequence[str],
    ) -> None:
        if settings.probability_weight:
            _require_different_probabilities(excerpts, sources)
        if settings.second_probability:
            _require_two_tracks(excerpts, sources)
        self.excerpts = excerpts
        self.settings = settings
        self.frames = frames
        self.sample_rate, self.channels = reader.sample_rate, reader.channels
        self.matcher = Matcher(reader, excerpts) if settings.candidates > 1 else None

    def like(self, song: int, start: int, frames: int, semitones: int) -> Segment | None:
        """Return what the rest is to agree with, None where it is not to."""
        return self.matcher.segment(song, start, frames, semitones) if self.matcher else None

    def draw(
        self, source: str, generator: np.random.Generator, like: Segment | None = None, beside: int | None = None
    ) -> PlacedExcerpt:
        """Return a random crop at a random place; with ``beside``, of another track than that excerpt's."""
        wanted = math.ceil(self.frames * self.excerpts.sample_rate / self.sample_rate)
        index, start = self._choose(source, wanted, generator, like, beside)
        item = self.excerpts.read(index, start, wanted)
        crop = to_channels(item["audio"][:, : item["valid_frames"]], self.channels)
        crop = resample(crop, item["sample_rate"], self.sample_rate)[:, : self.frames]
        first = int(generator.integers(self.frames - crop.shape[-1] + 1))
        audio = np.zeros((self.channels, self.frames), dtype=np.float32)
        audio[:, first : first + crop.shape[-1]] = crop
        valid = np.zeros(self.frames, dtype=bool)
        valid[first : first + crop.shape[-1]] = True
        weight = volume_weight(item["expected_volume_db"]) if self.settings.weigh_by_volume else 1.0
        return PlacedExcerpt(index, audio, valid, weight)

    def with_second(
        self, excerpt: PlacedExcerpt, source: str, generator: np.random.Generator, like: Segment | None = None
    ) -> PlacedExcerpt:
        """Return the excerpt, with probability `second_probability` plus one of another track at its level."""
        if generator.random() >= self.settings.second_probability:
            return excerpt
        second = self.draw(source, generator, like, beside=excerpt.index)
        gain = np.float32(level_gain(second.valid_audio, excerpt.valid_audio, self.settings.max_gain_db))
        return PlacedExcerpt(
            excerpt.index,
            excerpt.audio + gain * second.audio,
            excerpt.valid | second.valid,
            min(excerpt.weight, second.weight),
        )

    def _choose(
        self, source: str, frames: int, generator: np.random.Generator, like: Segment | None, beside: int | None
    ) -> tuple[int, int]:
        """Return an excerpt and the start of a crop of ``frames`` frames: the best of the candidates."""
        places = []
        for _ in range(self.settings.candidates):
            index = self._draw_index(source, generator)
            while beside is not None and self.excerpts.track_of(index) == self.excerpts.track_of(beside):
                index = self._draw_index(source, generator)
            places.append((index, self.excerpts.draw_start(index, frames, generator)))
        if self.matcher is None or like is None:
            return places[0]
        scored = [(*self.matcher.place(self.excerpts, index, start, frames, like), index) for index, start in places]
        _, start, index = max(scored, key=lambda each: each[0])
        return index, start

    def _draw_index(self, source: str, generator: np.random.Generator) -> int:
        settings = self.settings
        return self.excerpts.draw(source, generator, settings.draw_by, settings.probability_weight)


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
