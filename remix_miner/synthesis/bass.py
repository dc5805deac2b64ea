"""Synthetic basses: plucked strings, synthesisers and subs, playing the roots of the chords."""

import numpy as np
from numpy.random import Generator

from remix_miner.synthesis.score import BEATS, Score
from remix_miner.synthesis.sound import (
    Mono,
    Spectrum,
    Stereo,
    envelope,
    filtered,
    harmonic_tone,
    hertz,
    place,
    reverberated,
    saturated,
)

# One bar each: (beat, length in beats, interval above the root in scale steps: 0 root, 4 fifth, 7 octave).
FIGURES: dict[str, tuple[tuple[float, float, int], ...]] = {
    "whole": ((0, 4, 0),),
    "halves": ((0, 2, 0), (2, 2, 0)),
    "quarters": ((0, 1, 0), (1, 1, 0), (2, 1, 0), (3, 1, 4)),
    "eighths": tuple((k / 2, 0.5, 0) for k in range(8)),
    "octaves": tuple((k / 2, 0.4, 7 * (k % 2)) for k in range(8)),
    "offbeats": tuple((k + 0.5, 0.5, 0) for k in range(4)),
    "syncopated": ((0, 0.75, 0), (0.75, 0.75, 0), (1.5, 1, 4), (2.5, 0.5, 0), (3, 0.5, 6), (3.5, 0.5, 4)),
    "funk": ((0, 0.5, 0), (0.75, 0.25, 7), (1.5, 0.5, 0), (2.25, 0.25, 4), (2.5, 0.5, 6), (3.5, 0.25, 7)),
    "walking": ((0, 1, 0), (1, 1, 2), (2, 1, 4), (3, 1, 5)),
    "sparse": ((0, 1.5, 0), (2.5, 1.5, 0)),
    "sixteenths": tuple((k / 4, 0.25, 0) for k in range(16)),
}
TIMBRES = {
    "finger": ("quarters", "eighths", "syncopated", "walking", "funk", "halves"),
    "pick": ("eighths", "quarters", "syncopated", "sixteenths"),
    "upright": ("walking", "halves", "sparse", "quarters"),
    "slap": ("funk", "octaves", "syncopated"),
    "saw": ("eighths", "octaves", "offbeats", "sixteenths", "halves"),
    "square": ("eighths", "syncopated", "octaves", "whole"),
    "fm": ("syncopated", "octaves", "eighths"),
    "acid": ("sixteenths", "funk", "octaves"),
    "sub": ("whole", "halves", "sparse", "offbeats"),
    "808": ("sparse", "whole", "syncopated"),
    "reese": ("whole", "halves", "sparse"),
}
LOWEST = 28  # E1


def play_bass(score: Score, rng: Generator) -> Stereo:
    """Return the bass stem (2, frames) of a song; centred, almost dry."""
    timbre = str(rng.choice(list(TIMBRES)))
    bass = Bass(timbre, rng)
    figures = {name: FIGURES[str(rng.choice(TIMBRES[timbre]))] for name in ("verse", "chorus")}
    canvas: Stereo = np.zeros((2, score.frames), dtype=np.float32)
    held: dict[tuple[int, int], Mono] = {}
    legato = rng.uniform(0.75, 1.0) if timbre not in ("808", "upright") else 1.1
    lowest = LOWEST + int(rng.integers(0, 6))
    for section in score.playing("bass"):
        figure = figures["chorus" if section.name in ("chorus", "solo") else "verse"]
        for bar in range(section.start_bar, section.start_bar + section.bars):
            root = lowest + (score.chords[bar][0] - lowest) % 12
            for beat, beats, interval in figure:
                if rng.random() < 0.04:
                    continue
                pitch = root + _semitones(interval, root - score.tonic, score.scale)
                frames = int(beats * legato * score.beat_seconds * score.sample_rate)
                if (pitch, frames) not in held:
                    held[pitch, frames] = bass.note(hertz(pitch), frames, score.sample_rate)
                gain = rng.uniform(0.8, 1.0) * (1.0 if beat == 0 else 0.9)
                place(canvas, score.frame(bar, beat), held[pitch, frames], gain)
            if rng.random() < 0.1:
                approach = root + int(rng.choice([-2, -1, 2]))
                frames = int(0.4 * score.beat_seconds * score.sample_rate)
                note = bass.note(hertz(approach), frames, score.sample_rate)
                place(canvas, score.frame(bar, BEATS - 0.5), note, 0.7)
    canvas = saturated(canvas, float(rng.choice([0.0, 0.3, 1.5]))) if canvas.any() else canvas
    return reverberated(canvas, score.sample_rate, 0.3, float(rng.choice([0.0, 0.0, 0.03])), rng)


def _semitones(steps: int, above_tonic: int, scale: tuple[int, ...]) -> int:
    """Return semitones from a root, ``above_tonic`` semitones above the tonic, to ``steps`` scale steps above it."""
    degree = scale.index(above_tonic % 12) if above_tonic % 12 in scale else 0
    return scale[(degree + steps) % 7] + 12 * ((degree + steps) // 7) - scale[degree]


class Bass:
    """One bass instrument with its own constants."""

    def __init__(self, timbre: str, rng: Generator) -> None:
        self.timbre, self.rng = timbre, rng
        self.brightness = rng.uniform(0.5, 1.5)
        self.ring_seconds = rng.uniform(0.5, 1.4)
        self.pick_position = rng.uniform(0.08, 0.35)
        self.cutoff_hz = rng.uniform(250, 900)
        self.sweep = rng.uniform(1.5, 8.0)
        self.resonance = rng.uniform(0.5, 4.0)
        self.detune = rng.uniform(0.003, 0.012)
        self.glide = rng.uniform(0.0, 0.6)
        self.drive = {"pick": rng.uniform(0, 2), "808": rng.uniform(0, 4), "acid": rng.uniform(1, 5)}.get(timbre, 0.0)

    def note(self, hz: float, frames: int, sample_rate: int) -> Mono:
        """Return a note (T,) at unit loudness."""
        frames = max(frames, 64)
        spectrum, attack, release = self._spectrum(hz)
        pitch: float | np.ndarray = hz
        if self.timbre == "808":
            pitch = hz * (1 + self.glide * np.exp(-np.arange(frames) / (0.03 * sample_rate)))
        phases = self.rng.uniform(0, 2 * np.pi, 64) if self.timbre in ("reese", "upright", "finger") else None
        tone = harmonic_tone(pitch, frames, sample_rate, spectrum, phases)
        if self.timbre == "reese":
            for ratio in (1 + self.detune, 1 - self.detune):
                tone = tone + harmonic_tone(hz * ratio, frames, sample_rate, spectrum, self.rng.uniform(0, 6.28, 64))
        if self.timbre in ("pick", "slap"):
            click = filtered(
                self.rng.standard_normal(frames, dtype=np.float32), sample_rate, "bandpass", (900, 5000), 1
            )
            tone = tone + click * np.exp(-np.arange(frames, dtype=np.float32) / (0.004 * sample_rate)) * np.float32(
                0.1 * np.abs(tone).max()
            )
        tone = saturated(tone, self.drive) * envelope(frames, sample_rate, attack, release)
        return np.asarray(tone / max(float(np.sqrt(np.mean(tone**2))), 1e-9), dtype=np.float32)

    def _spectrum(self, hz: float) -> tuple[Spectrum, float, float]:
        """Return the note's spectrum, attack and release seconds."""
        timbre, cutoff, q = self.timbre, self.cutoff_hz, self.resonance

        def plucked(seconds: np.ndarray, harmonic_hz: np.ndarray) -> np.ndarray:
            number = harmonic_hz / hz
            tilt = number ** (-1.6 / self.brightness if timbre != "upright" else -2.0)
            comb = np.abs(np.sin(np.pi * self.pick_position * number)) + 0.05
            damping = {"upright": 3.0, "slap": 0.9}.get(timbre, 1.6)
            return np.asarray(comb * tilt * np.exp(-seconds / self.ring_seconds * (1 + (number - 1) * 0.25 * damping)))

        def swept(seconds: np.ndarray, harmonic_hz: np.ndarray) -> np.ndarray:
            number = np.round(harmonic_hz / hz)
            odd_only = (number % 2) if timbre == "square" else 1.0
            edge = cutoff * (1 + self.sweep * np.exp(-seconds / 0.15))
            ratio = harmonic_hz / edge
            resonant = 1 + q * np.exp(-((ratio - 1) ** 2) / 0.03) * (timbre == "acid")
            return np.asarray(odd_only / number * resonant / (1 + ratio**4))

        def fm(seconds: np.ndarray, harmonic_hz: np.ndarray) -> np.ndarray:
            number = np.round(harmonic_hz / hz)
            index = 0.3 + 2.5 * self.brightness * np.exp(-seconds / 0.2)
            return np.asarray(np.exp(-(number - 1) / index) * np.exp(-seconds / (2 * self.ring_seconds)))

        def sub(seconds: np.ndarray, harmonic_hz: np.ndarray) -> np.ndarray:
            number = np.round(harmonic_hz / hz)
            level = np.exp(-seconds / (1.5 * self.ring_seconds)) if timbre == "808" else 1.0
            return np.asarray(np.where(number == 1, 1.0, 0.15 * self.brightness * 0.4**number) * level)

        if timbre in ("finger", "pick", "upright", "slap"):
            return plucked, 0.004 if timbre in ("pick", "slap") else 0.012, 0.04
        if timbre in ("sub", "808"):
            return sub, 0.01, 0.06
        return (fm, 0.004, 0.03) if timbre == "fm" else (swept, 0.006, 0.03)
