"""Random and original mixes for detector training, with muted sources for balanced labels.

A mix depends on the generator only, so the mix of a step is the same in every process.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import soxr
from jaxtyping import Bool, Float, Float32, Int16

from remix_miner.config import PROBABILITY, Bounds, Settings
from remix_miner.detector.training.effects import colour, colour_spectrum, master
from remix_miner.detector.training.material import PEAK, Clip, Material
from remix_miner.detector.windows import HOP_FRAMES, SAMPLE_RATE
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES
from remix_miner.volume import active_rms

Stems = Float32[np.ndarray, "S T"]
OTHER, VOCALS = SOURCES.index("other"), SOURCES.index("vocals")
ACTIVE_BLOCK = SAMPLE_RATE // 20


@dataclass(frozen=True)
class DetectorMixingSettings(Settings):
    """Settings of the detector's training mixes. Probabilities are per mix or per source in a mix; levels are in dB.

    ``original``: share of mixes taken from one song at one time (Jeon et al. 2024, section 3); the rest draw each
    source's recording and start on their own. ``mute``: chance that a source is absent; ``gate``: that a present
    source starts or stops within the segment; ``quiet``: that it is much softer than usual. ``backing``: share of
    mixes on the accompaniment of a pair, where the material has pairs; only their vocals are labelled.
    """

    segment_windows: Annotated[int, Bounds(20, 10_000)] = 120  # 20 windows are 1.3 s
    original: Annotated[float, PROBABILITY] = 0.15
    mute: Annotated[float, Bounds(0, below=1)] = 0.42
    gate: Annotated[float, PROBABILITY] = 0.25
    quiet: Annotated[float, PROBABILITY] = 0.12
    quiet_range_db: Annotated[tuple[float, float], Bounds(-120, 60)] = (-32.0, -10.0)
    level_spread_db: Annotated[float, Bounds(0, 60)] = 5.0
    layers: Annotated[float, PROBABILITY] = 0.3
    stems_share: Annotated[float, PROBABILITY] = 0.3
    speed: Annotated[float, PROBABILITY] = 0.35
    speed_range: Annotated[float, Bounds(0, 2)] = 0.2
    colour: Annotated[float, PROBABILITY] = 0.6
    reverberation: Annotated[float, PROBABILITY] = 0.35
    mastering: Annotated[float, PROBABILITY] = 0.6
    weak: Annotated[float, PROBABILITY] = 0.0
    backing: Annotated[float, PROBABILITY] = 0.0

    @property
    def frames(self) -> int:
        return self.segment_windows * HOP_FRAMES


@dataclass(frozen=True)
class Mix:
    """Stems (4, T) that give the labels, the mixture (T,), and which stems are ``known`` (4,).

    The mixture is the stems' sum, perhaps mastered, at a random level. An accompaniment of unknown instruments stands
    in the place of ``other``, and only the vocals are known.
    """

    stems: Stems
    mixture: Float32[np.ndarray, " T"]
    known: Bool[np.ndarray, " S"]


class DetectorMixer:
    """Source of training mixes, drawn from the material."""

    def __init__(self, material: Material, settings: DetectorMixingSettings) -> None:
        self.settings = settings
        self.songs = [song for song in material.songs if song.stems.shape[1] >= SAMPLE_RATE]
        self.groups: dict[str, list[list[Clip]]] = {}
        for source in SOURCES:
            groups: dict[str, list[Clip]] = {}
            for clip in material.loops.get(source, []):
                groups.setdefault(clip.group, []).append(clip)
            self.groups[source] = list(groups.values())
        # A folder with four times the clips of another is drawn twice as often.
        self._shares = {
            source: _normalised([len(group) ** 0.5 for group in groups]) for source, groups in self.groups.items()
        }
        self.pairs = [pair.parts for pair in material.pairs if pair.parts.shape[1] >= SAMPLE_RATE]
        self._stems = {
            source: [song.stems[i] for song in self.songs if song.stems[i].any()] for i, source in enumerate(SOURCES)
        }
        self._stems["vocals"] += [vocals for vocals, _ in self.pairs if vocals.any()]
        missing = [source for source in SOURCES if not self._stems[source] and not self.groups[source]]
        if missing:
            raise DataError(f"no material with {', '.join(missing)}: add stems or loops that have it")

    def draw(self, rng: np.random.Generator) -> Mix:
        settings = self.settings
        known = np.ones(len(SOURCES), dtype=bool)
        present = rng.random(len(SOURCES)) >= settings.mute
        if self.pairs and rng.random() < settings.backing:
            stems = self._on_backing(rng)
            present[:VOCALS] = True
            known[:VOCALS] = False
        elif self.songs and rng.random() < settings.original:
            stems = self._excerpt(self.songs[rng.integers(len(self.songs))].stems, rng)
        else:
            if not present.any():
                present[rng.integers(len(SOURCES))] = True
            stems = np.zeros((len(SOURCES), settings.frames), dtype=np.float32)
            for i, source in enumerate(SOURCES):
                if present[i]:
                    stems[i] = self._source(source, rng)
        for i in range(len(SOURCES)):
            if not present[i]:
                stems[i] = 0
            elif rng.random() < settings.gate:
                stems[i] *= _gate(settings.frames, rng)
        if rng.random() < settings.mastering:
            stems = colour(stems, colour_spectrum(settings.frames, rng, depth_db=6.0))
            mixture = master(stems.sum(axis=0), rng)
        else:
            mixture = stems.sum(axis=0)
        return Mix(stems, mixture * np.float32(10 ** (rng.uniform(-24, 6) / 20)), known)

    def _on_backing(self, rng: np.random.Generator) -> Stems:
        """Return an accompaniment with its own vocals or with others."""
        stems = np.zeros((len(SOURCES), self.settings.frames), dtype=np.float32)
        vocals, accompaniment = self._excerpt(self.pairs[rng.integers(len(self.pairs))], rng)
        if rng.random() < 0.5:
            vocals = self._source("vocals", rng)
            accompaniment *= np.float32(
                0.14 / (active_rms(accompaniment, ACTIVE_BLOCK) or 1.0)
            )  # as loud as three sources at -20 dB
        stems[OTHER], stems[VOCALS] = accompaniment, vocals
        return stems

    def _excerpt(self, song: Int16[np.ndarray, "S T"], rng: np.random.Generator) -> Stems:
        """Return a segment of a song, its stems at slightly other levels."""
        frames = self.settings.frames
        start = rng.integers(max(song.shape[1] - frames, 0) + 1)
        cut = song[:, start : start + frames].astype(np.float32) / PEAK
        stems = np.pad(cut, ((0, 0), (0, frames - cut.shape[1])))
        gains = rng.normal(0, self.settings.level_spread_db / 2, (len(song), 1))
        stems *= (10 ** (gains / 20)).astype(np.float32)
        return stems

    def _source(self, source: str, rng: np.random.Generator) -> Float32[np.ndarray, " T"]:
        """Return a segment of one source at its level in the mix: one recording, or the sum of a few."""
        settings = self.settings
        layers = 1
        while source != "bass" and layers < 3 and rng.random() < settings.layers * (1.6 if source == "other" else 0.7):
            layers += 1
        segment = np.zeros(settings.frames, dtype=np.float32)
        for _ in range(layers):
            segment += self._recording(source, rng) * np.float32(10 ** (rng.normal(0, 4) / 20))
        loudness = active_rms(segment, ACTIVE_BLOCK)
        if loudness == 0:
            return segment
        level = rng.normal(-20, settings.level_spread_db)
        if rng.random() < settings.quiet:
            level = -20 + rng.uniform(*settings.quiet_range_db)
        return segment * np.float32(10 ** (level / 20) / loudness)

    def _recording(self, source: str, rng: np.random.Generator) -> Float32[np.ndarray, " T"]:
        settings = self.settings
        stems, groups = self._stems[source], self.groups[source]
        if stems and (not groups or rng.random() < settings.stems_share):
            audio = stems[rng.integers(len(stems))]
        else:
            group = groups[rng.choice(len(groups), p=self._shares[source])]
            audio = group[rng.integers(len(group))].audio
        speed = 2 ** rng.uniform(-settings.speed_range, settings.speed_range) if rng.random() < settings.speed else 1.0
        segment = _looped(audio, int(settings.frames * speed) + 1, rng).astype(np.float32) / PEAK
        if speed != 1.0:
            segment = soxr.resample(segment, speed, 1.0, quality="LQ")
        segment = np.pad(segment[: settings.frames], (0, max(settings.frames - len(segment), 0)))
        if rng.random() < settings.colour:
            reverberant = rng.random() < settings.reverberation
            segment = colour(segment, colour_spectrum(settings.frames, rng, depth_db=9.0, reverberant=reverberant))
        return segment if rng.random() < 0.5 else -segment


def _looped(audio: Float[np.ndarray, " T"], frames: int, rng: np.random.Generator) -> Float[np.ndarray, " T"]:
    """Return ``frames`` samples from a random start; a shorter recording is repeated, sometimes after a rest."""
    if len(audio) > frames:
        start = rng.integers(len(audio) - frames)
        return audio[start : start + frames]
    if rng.random() < 0.15:
        audio = np.concatenate((audio, np.zeros(int(rng.uniform(0.1, 2.0) * SAMPLE_RATE), audio.dtype)))
    start = rng.integers(len(audio))
    return np.resize(np.roll(audio, -start), frames)


def _gate(frames: int, rng: np.random.Generator) -> Float32[np.ndarray, " T"]:
    """Return 1 where the source plays and 0 where it rests: it enters, leaves, or rests in between, with a fade."""
    a, b = np.sort(rng.uniform(-0.15, 1.15, 2)) * frames
    fade = rng.uniform(0.005, 0.3) * SAMPLE_RATE
    time = np.arange(frames)
    inside: np.ndarray = np.clip((time - a) / fade, 0, 1) * np.clip((b - time) / fade, 0, 1)
    return np.asarray(inside if rng.random() < 0.5 else 1 - inside, dtype=np.float32)


def _normalised(values: list[float]) -> Float[np.ndarray, " N"]:
    array = np.asarray(values, dtype=float)
    return array / array.sum() if len(array) else array
