"""Synthetic songs with known stems: seeded, many times faster than real time, no downloads.

Four parts (one a file: drums, bass, other, vocals) follow one score. Every instrument is synthesised anew for each
seed, so kits, timbres, singers, tempi and keys differ; sources rest for 4 to 20 s about as often as in MUSDB18.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.random import Generator

from remix_miner.audio import Audio
from remix_miner.errors import UsageError
from remix_miner.sources import SOURCES
from remix_miner.synthesis.bass import play_bass
from remix_miner.synthesis.drums import play_drums
from remix_miner.synthesis.other import play_other
from remix_miner.synthesis.score import Score, compose
from remix_miner.synthesis.sound import Stereo, loudness
from remix_miner.synthesis.vocals import play_vocals

PLAYERS = {"drums": play_drums, "bass": play_bass, "other": play_other, "vocals": play_vocals}
LEVELS_DB = {"drums": -1.0, "bass": -2.0, "other": -2.0, "vocals": 0.0}
SPREAD_DB = 3.5
SIXTEEN_BIT = 32768


@dataclass(frozen=True)
class SyntheticSong:
    """Stems (S, C, T) in `SOURCES` order, float32 on the 16-bit grid, tempo, key and sections.

    ``sections`` lists (name, start_seconds, seconds, sources that play) in order.
    """

    name: str
    seed: int
    stems: Float32[np.ndarray, "S C T"]
    sample_rate: int
    tempo: float
    key: str
    sections: tuple[tuple[str, float, float, tuple[str, ...]], ...]

    @property
    def mixture(self) -> Audio:
        """The exact sum of the stems (C, T); it does not clip."""
        mixture: Audio = self.stems.sum(axis=0)
        return mixture

    def description(self) -> dict[str, Any]:
        """Return seed, tempo, key and sections as JSON can hold them."""
        names = ("name", "start_seconds", "seconds", "playing")
        sections = [dict(zip(names, section, strict=True)) for section in self.sections]
        return {"seed": self.seed, "tempo": self.tempo, "key": self.key, "sections": sections}


def song_name(seed: int) -> str:
    """Return the name of the song of a seed."""
    return f"Synthetic {seed:05d}"


def synthesize_song(seed: int, seconds: float = 30.0, sample_rate: int = 44100) -> SyntheticSong:
    """Return the stereo song of a seed, of ``seconds`` (at least 1); the same on every call.

    Stems lie on the 16-bit grid, so 16-bit files hold them, and their sum, exactly.

    >>> song = synthesize_song(seed=1, seconds=6, sample_rate=16000)
    >>> song.stems.shape, song.key
    ((4, 2, 96000), 'A minor')
    """
    _check(seconds, sample_rate)
    streams = np.random.default_rng([seed, 0]).spawn(len(SOURCES) + 1)
    score = compose(streams[0], seconds, sample_rate)
    stems = np.zeros((len(SOURCES), 2, score.frames), dtype=np.float32)
    for stem, source, rng in zip(stems, SOURCES, streams[1:], strict=True):
        stem[:] = PLAYERS[source](score, rng)
        level = loudness(stem, sample_rate)
        if level > 0:
            stem *= np.float32(10 ** ((LEVELS_DB[source] + streams[0].uniform(-SPREAD_DB, SPREAD_DB)) / 20) / level)
    stems *= _fade(score.frames, sample_rate, streams[0])
    peak = max(float(np.abs(stems.sum(axis=0)).max()), float(np.abs(stems).max()), 1e-9)
    stems *= np.float32(streams[0].uniform(0.4, 0.95) / peak)
    return SyntheticSong(
        name=song_name(seed),
        seed=seed,
        stems=np.round(stems * SIXTEEN_BIT) / np.float32(SIXTEEN_BIT),
        sample_rate=sample_rate,
        tempo=score.tempo,
        key=score.key,
        sections=_sections(score),
    )


def synthesize_part(source: str, seed: int, seconds: float = 10.0, sample_rate: int = 44100) -> Audio:
    """Return one source alone (2, T); its only rests are those between phrases. Peak 0.5 to 0.95."""
    _check(seconds, sample_rate)
    if source not in SOURCES:
        raise UsageError(f"unknown source {source!r}; choose among {', '.join(SOURCES)}")
    composing, playing = np.random.default_rng([seed, 1 + SOURCES.index(source)]).spawn(2)
    score = compose(composing, seconds, sample_rate, only=source)
    part: Stereo = PLAYERS[source](score, playing)
    peak = max(float(np.abs(part).max()), 1e-9)
    return part * np.float32(composing.uniform(0.5, 0.95) / peak)


def _check(seconds: float, sample_rate: int) -> None:
    if not (1 <= seconds <= 3600 * 12 and sample_rate >= 8000):
        raise UsageError(f"songs last 1 s to 12 h at 8000 Hz or more, not {seconds} s at {sample_rate} Hz")


def _fade(frames: int, sample_rate: int, rng: Generator) -> np.ndarray:
    """Return the gain over time: half of the songs fade out, the others stop within 50 ms."""
    seconds = min(float(rng.choice([0.05, rng.uniform(0.5, 3.0)])), 0.2 * frames / sample_rate)
    fade = np.ones(frames, dtype=np.float32)
    length = max(int(seconds * sample_rate), 1)
    fade[-length:] = np.linspace(1, 0, length, dtype=np.float32)
    return fade


def _sections(score: Score) -> tuple[tuple[str, float, float, tuple[str, ...]], ...]:
    end = score.frames / score.sample_rate
    rows = []
    for section in score.sections:
        start = min(score.frame(section.start_bar) / score.sample_rate, end)
        stop = min(score.frame(section.start_bar + section.bars) / score.sample_rate, end)
        playing = tuple(source for source in SOURCES if source in section.playing)
        rows.append((section.name, round(start, 3), round(stop - start, 3), playing))
    return tuple(rows)
