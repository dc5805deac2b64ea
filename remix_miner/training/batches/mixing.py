"""Training mixes: the song, start, pitch and tempo of each source, for original, random and in-between mixes.

Mix number n of a run is a function of (seed, n) alone. So any worker process or rank can make it, a run resumes
anywhere, and a finite set of mixes is replayed by counting modulo its size. docs/background/cacophony.md
lists what the settings reproduce of 'Why does music source separation benefit from cacophony?' (Jeon et al. 2024).
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import numpy as np
from jaxtyping import Float32

from remix_miner.config import PROBABILITY, Bounds, SettingError, Settings
from remix_miner.datasets.segments import Extracts, SegmentReader
from remix_miner.sources import SOURCES
from remix_miner.training.batches.loudness import loudness_gain, loudness_lufs
from remix_miner.training.batches.pitch_tempo import PitchTempoSettings, change_pitch_tempo, source_frames

# First number of a generator's seed: one for each purpose, so that no two share random numbers.
MIX_STREAM, ORDER_STREAM, REPLAY_STREAM, REMIX_STREAM, AUGMENT_STREAM, TARGET_STREAM = range(1, 7)


@dataclass(frozen=True)
class MixingSettings(Settings):
    """How supervised examples are mixed. The defaults: random mixes only, starts anywhere."""

    original_probability: Annotated[float, PROBABILITY] = (
        0.0  # p of Jeon et al. 2024, section 3: share of mixes whose stems belong together
    )
    within_song: bool = False  # stems of an 'original' mix start anywhere in the song: their t_s = infinity
    time_shift_seconds: Annotated[float, Bounds(0, 3600)] = (
        0.0  # t_s: each stem of an original mix shifted by up to +-t_s (section 4)
    )
    unique_mixes: Annotated[int, Bounds(0, 10**12)] = (
        0  # R: only so many mixes exist and are replayed (section 3.2); 0: no two are alike
    )
    order: Literal["random", "extracts"] = "random"  # starts at random, or a pass over all extracts per source
    stride_seconds: Annotated[float, Bounds(above=0, most=3600)] = (
        0.5  # between extracts; also what an epoch is: as many mixes as there are extracts
    )
    mixes_per_epoch: Annotated[int, Bounds(0, 10**12)] = 0  # overrides the length of an epoch when not 0
    shuffle_songs: bool = False  # songs whose stems come from different songs, fixed once (their Table 1)
    match_isolated: bool = True  # isolated files get the level that their source has in the songs, see `isolated_gains`
    loudness_lufs: Annotated[float, Bounds(-70, 0)] | None = (
        None  # bring each mix to this loudness, all its stems by one gain
    )
    pitch_tempo: PitchTempoSettings = field(default_factory=PitchTempoSettings)

    def __post_init__(self) -> None:
        if self.time_shift_seconds == float("inf"):
            raise SettingError(
                "time_shift_seconds", "is finite; for starts anywhere in the song set within_song = true"
            )
        super().__post_init__()
        if self.loudness_lufs is not None:
            # A missing extra is an error here, before the workers start.
            loudness_lufs(np.zeros((1, 1), dtype=np.float32), 44100)


class Pick(NamedTuple):
    """Where one source of a mix is taken from, its pitch shift and its tempo."""

    song: int
    start_frame: int
    semitones: int
    tempo: float


@dataclass(frozen=True)
class MixPlan:
    """One mix before it is read: a pick per source in SOURCES order."""

    picks: tuple[Pick, ...]
    original: bool


class Mixer:
    """Plans and reads mix number n, of ``frames`` frames."""

    def __init__(self, reader: SegmentReader, settings: MixingSettings, frames: int, seed: int) -> None:
        self.reader = reader.shuffled(seed) if settings.shuffle_songs else reader
        self.settings = settings
        self.frames = frames
        self.seed = seed
        stride_frames = max(round(settings.stride_seconds * reader.sample_rate), 1)
        self.extracts: Extracts = reader.extracts(frames, stride_frames)
        self._order = lru_cache(maxsize=2 * len(SOURCES))(self._shuffled)

    @property
    def mixes_per_epoch(self) -> int:
        return self.settings.mixes_per_epoch or len(self.extracts)

    def plan(self, index: int) -> MixPlan:
        """Return what mix ``index`` of the run is made of."""
        settings = self.settings
        if settings.unique_mixes:
            turn, place = divmod(index, settings.unique_mixes)
            index = int(self._order(REPLAY_STREAM, turn, settings.unique_mixes)[place])
        generator = np.random.default_rng([MIX_STREAM, self.seed, index])
        original = bool(generator.random() < settings.original_probability)
        semitones: tuple[int, ...] = (0,) * len(SOURCES)
        tempi: tuple[float, ...] = (1.0,) * len(SOURCES)
        if settings.pitch_tempo.active:
            semitones, tempi = settings.pitch_tempo.draw(generator, len(SOURCES))
        lengths = [source_frames(self.frames, tempo) for tempo in tempi]
        if original:
            frames = max(lengths)
            song, start = self._anchor(generator, index, 0, frames, whole=True)
            places = [(song, self._shifted(generator, song, start, frames)) for _ in SOURCES]
        else:
            places = [self._anchor(generator, index, column, frames) for column, frames in enumerate(lengths)]
        picks = [Pick(*place, shift, tempo) for place, shift, tempo in zip(places, semitones, tempi)]
        return MixPlan(tuple(picks), original)

    def read(self, plan: MixPlan) -> Float32[np.ndarray, "S C T"]:
        """Return the stems of a planned mix."""
        stems = np.empty((len(SOURCES), self.reader.channels, self.frames), dtype=np.float32)
        self.read_into(stems, plan)
        return stems

    def read_into(self, stems: Float32[np.ndarray, "S C T"], plan: MixPlan) -> None:
        """Read the stems of a planned mix into ``stems``."""
        for stem, source, pick in zip(stems, SOURCES, plan.picks):
            stem[:] = self.read_source(source, pick)
        if self.settings.loudness_lufs is not None:
            stems *= np.float32(loudness_gain(stems.sum(0), self.reader.sample_rate, self.settings.loudness_lufs))

    def read_source(self, source: str, pick: Pick) -> Float32[np.ndarray, "C T"]:
        """Return one source of a planned mix, before loudness normalisation."""
        audio = self.reader.read(pick.song, source, pick.start_frame, source_frames(self.frames, pick.tempo))
        return change_pitch_tempo(audio, self.reader.sample_rate, pick.semitones, pick.tempo, self.frames)

    def _anchor(
        self, generator: np.random.Generator, index: int, column: int, frames: int, whole: bool = False
    ) -> tuple[int, int]:
        if self.settings.order == "extracts":
            turn, place = divmod(index, len(self.extracts))
            song, start = self.extracts[self._order(ORDER_STREAM + 16 * column, turn, len(self.extracts))[place]]
            return int(song), int(start)
        song = self.reader.draw_song(generator, None if whole else SOURCES[column])
        return song, self.reader.draw_start(song, frames, generator)

    def _shifted(self, generator: np.random.Generator, song: int, start: int, frames: int) -> int:
        anywhere = self.reader.draw_start(song, frames, generator)
        limit = round(self.settings.time_shift_seconds * self.reader.sample_rate)
        shift = int(generator.integers(-limit, limit + 1))
        if self.settings.within_song:
            return anywhere
        room = self.reader.frames[song] - frames
        if room <= 0:  # a segment as long as the song: silence fills what a shift leaves empty
            return start + shift
        return min(max(start + shift, 0), room) if limit else start

    def _shuffled(self, stream: int, turn: int, count: int) -> np.ndarray:
        return np.random.default_rng([stream, self.seed, turn]).permutation(count)

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key != "_order"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._order = lru_cache(maxsize=2 * len(SOURCES))(self._shuffled)
