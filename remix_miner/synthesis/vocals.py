"""A synthetic singing voice: harmonics under moving formants, vibrato, glides, breath, consonants, several singers.

The source-filter model of the voice: a glottal tone whose harmonics fall off with a singer's tilt, weighted by the
resonances (formants) of a vocal tract that moves from syllable to syllable; formant frequencies after Peterson and
Barney (1952) and Fant (1960). Words are nonsense; melody and timing follow the song.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from remix_miner.synthesis.score import BEATS, Score, Section
from remix_miner.synthesis.sound import (
    NOISE_HOP,
    Mono,
    Stereo,
    filtered,
    harmonic_tone,
    loudness,
    noise_hertz,
    place,
    reverberated,
    shaped_noise,
)

# First to fifth formant of an adult male, Hz; they are higher in a smaller head.
VOWELS = {
    "a": (730, 1090, 2440, 3400, 4500), "e": (530, 1840, 2480, 3500, 4500), "i": (270, 2290, 3010, 3600, 4600),
    "o": (500, 880, 2410, 3300, 4400), "u": (300, 870, 2240, 3300, 4400), "ae": (660, 1720, 2410, 3400, 4500),
    "uh": (520, 1190, 2390, 3400, 4500), "er": (490, 1350, 1690, 3300, 4400),
}  # fmt: skip
# Voiced consonants: formants and level. Unvoiced ones: band of noise in Hz, seconds, level, silence before it.
VOICED = {"m": ((250, 1000, 2200, 3300, 4400), 0.35), "n": ((250, 1500, 2500, 3300, 4400), 0.35),
          "l": ((360, 1200, 2600, 3400, 4400), 0.6), "r": ((330, 1100, 1600, 3200, 4300), 0.6),
          "w": ((300, 700, 2200, 3300, 4400), 0.6), "y": ((270, 2200, 3000, 3600, 4600), 0.6),
          "b": ((250, 900, 2300, 3300, 4400), 0.1), "d": ((250, 1700, 2600, 3300, 4400), 0.1),
          "v": ((300, 1100, 2300, 3300, 4400), 0.3)}  # fmt: skip
UNVOICED = {"s": (4500, 9500, 0.10, 0.5, 0.0), "sh": (2200, 6000, 0.10, 0.5, 0.0), "f": (1500, 9000, 0.08, 0.2, 0.0),
            "h": (600, 3500, 0.07, 0.25, 0.0), "t": (3000, 8000, 0.025, 0.6, 0.03), "k": (1300, 3500, 0.03, 0.6, 0.04),
            "p": (300, 2500, 0.02, 0.5, 0.04), "ch": (2500, 7000, 0.06, 0.5, 0.02)}  # fmt: skip
BANDWIDTHS = np.array([70, 90, 130, 200, 260], dtype=np.float32)
STYLES = ("sung", "doubled", "harmony", "tuned", "choir", "spoken")


@dataclass(frozen=True)
class Singer:
    """One voice. ``low`` is the lowest comfortable MIDI pitch; ``tract`` scales the formants."""

    low: int
    tract: float
    tilt: float  # dB per octave of the glottal tone as it leaves the lips
    breath: float
    vibrato_hz: float
    vibrato_semitones: float
    glide_seconds: float
    ring: float  # the singer's formant near 3 kHz
    presence: float  # gain of the recording above 3 kHz
    late_seconds: float

    @classmethod
    def draw(cls, rng: Generator) -> "Singer":
        high = rng.random()  # 0 a bass, 1 a child
        return cls(
            low=int(42 + 20 * high + rng.integers(-2, 3)),
            tract=float(0.92 + 0.33 * high + rng.normal(0, 0.03)),
            tilt=float(rng.uniform(-5, 1)),
            breath=float(rng.choice([0.01, 0.03, 0.1, 0.3], p=[0.3, 0.4, 0.2, 0.1])),
            vibrato_hz=float(rng.uniform(4.8, 6.8)),
            vibrato_semitones=float(rng.choice([0.0, rng.uniform(0.1, 0.7)], p=[0.2, 0.8])),
            glide_seconds=float(rng.uniform(0.015, 0.07)),
            ring=float(rng.uniform(0.0, 2.0)),
            presence=float(rng.uniform(0.0, 8.0)),
            late_seconds=float(rng.normal(0.0, 0.02)),
        )


@dataclass(frozen=True)
class Syllable:
    """A sung note: position and length in seconds from the phrase's start, pitch, consonant and vowels."""

    start_seconds: float
    seconds: float
    pitch: float
    onset: str
    vowel: str
    glide_to: str
    accent: float


def play_vocals(score: Score, rng: Generator) -> Stereo:
    """Return the vocal stem (2, frames): a lead in phrases, doubled, harmonised or joined by a choir."""
    style = str(rng.choice(STYLES, p=[0.36, 0.2, 0.16, 0.1, 0.08, 0.1]))
    singer = Singer.draw(rng)
    melody = _Melody(score, singer, rng, fast=style == "spoken")
    canvas: Stereo = np.zeros((2, score.frames), dtype=np.float32)
    for section in score.playing("vocals"):
        for start_frame, phrase in melody.phrases(section):
            for voice, shift, pan, gain in _ensemble(style, section, singer, rng):
                sound = sing(_shifted(phrase, shift, score), voice, score.sample_rate, rng, style)
                place(canvas, max(start_frame + int(voice.late_seconds * score.sample_rate), 0), sound, gain, pan)
    canvas = filtered(canvas, score.sample_rate, "highpass", rng.uniform(70, 140), 2) if canvas.any() else canvas
    return reverberated(canvas, score.sample_rate, rng.uniform(0.5, 2.2), rng.uniform(0.03, 0.3), rng)


def _ensemble(style: str, section: Section, lead: Singer, rng: Generator) -> list[tuple[Singer, int, float, float]]:
    """Return the singers of a phrase: (voice, scale steps above the lead, pan, gain)."""
    parts = [(lead, 0, 0.0, 1.0)]
    if style == "doubled" or (style == "harmony" and section.name != "chorus"):
        parts += [(_like(lead, rng), 0, pan, 0.4) for pan in (-0.6, 0.6)][: 2 if style == "doubled" else 0]
    elif style == "harmony":
        parts += [(_like(lead, rng), 2, -0.5, 0.5), (_like(lead, rng), -3, 0.5, 0.4)]
    elif style == "choir":
        voices = [replace(Singer.draw(rng), low=lead.low) for _ in range(5)]
        parts = [(voice, int(rng.choice([0, 2, 4])), float(rng.uniform(-0.9, 0.9)), 0.5) for voice in voices]
    return parts


def _like(singer: Singer, rng: Generator) -> Singer:
    """Return the same singer recorded again: slightly later, with another vibrato."""
    return replace(
        singer,
        late_seconds=singer.late_seconds + float(rng.normal(0, 0.025)),
        vibrato_hz=singer.vibrato_hz * float(rng.uniform(0.93, 1.07)),
        tract=singer.tract * float(rng.uniform(0.97, 1.03)),
    )


def _shifted(phrase: list[Syllable], steps: int, score: Score) -> list[Syllable]:
    """Return a parallel voice ``steps`` steps of the scale away."""
    if steps == 0:
        return phrase

    def shifted(pitch: float) -> float:
        above = round(pitch) - score.tonic
        degree = min(range(7), key=lambda k: abs(score.scale[k] - above % 12))
        return pitch + 12 * ((degree + steps) // 7) + score.scale[(degree + steps) % 7] - score.scale[degree]

    return [replace(syllable, pitch=shifted(syllable.pitch)) for syllable in phrase]


class _Melody:
    """Generator of phrases of one or two bars: scale steps, chord tones on the first beat, a breath at the end."""

    def __init__(self, score: Score, singer: Singer, rng: Generator, fast: bool) -> None:
        self.score, self.singer, self.rng, self.fast = score, singer, rng, fast
        self.rests = len(score.sections) > 1
        self.consonants = ["", *VOICED, *UNVOICED]

    def phrases(self, section: Section) -> list[tuple[int, list[Syllable]]]:
        phrases = []
        bar, end = section.start_bar, section.start_bar + section.bars
        while bar < end:
            bars = min(int(self.rng.choice([1, 2, 2])), end - bar)
            if self.rests and bar > section.start_bar and self.rng.random() < 0.2:
                bar += 1
                continue
            phrases.append((self.score.frame(bar), self._phrase(bar, bars)))
            bar += bars
        return phrases

    def _phrase(self, first_bar: int, bars: int) -> list[Syllable]:
        rng, beat_seconds = self.rng, self.score.beat_seconds
        beat = float(rng.choice([0.0, 0.0, 0.5, 1.0]))
        end = bars * BEATS - float(rng.choice([0.25, 0.5, 1.0]))
        lengths = [0.25, 0.5, 0.5, 0.75] if self.fast else [0.5, 0.5, 1.0, 1.5, 2.0]
        degree = int(rng.integers(0, 7))
        centre = self.singer.low + int(rng.integers(2, 8))
        syllables: list[Syllable] = []
        while beat < end - 0.2:
            beats = min(float(rng.choice(lengths)), end - beat)
            if end - beat - beats < 0.3:
                beats = end - beat
            degree += int(rng.integers(-2, 3))
            pitch: float = self.score.tonic + self.score.scale[degree % 7]
            if beat % BEATS < 0.5:
                pitch = self.score.chords[first_bar + int(beat) // BEATS][rng.integers(3)]
            pitch = centre + (pitch - centre) % 12
            if self.fast:
                pitch = centre - 2 + rng.normal(0, 2.0) - 2 * beat / end
            vowel = str(rng.choice(list(VOWELS)))
            glide_to = str(rng.choice(list(VOWELS))) if rng.random() < 0.25 else vowel
            onset = str(rng.choice(self.consonants))
            accent = float(rng.uniform(0.7, 1.0))
            syllables.append(Syllable(beat * beat_seconds, beats * beat_seconds, pitch, onset, vowel, glide_to, accent))
            beat += beats
        return syllables


def sing(phrase: list[Syllable], singer: Singer, sample_rate: int, rng: Generator, style: str = "sung") -> Mono:
    """Return one phrase (T,) by one singer, at unit loudness, sometimes after an audible breath."""
    if not phrase:
        return np.zeros(0, dtype=np.float32)
    tail = 0.12
    frames = int((phrase[-1].start_seconds + phrase[-1].seconds + tail) * sample_rate) // NOISE_HOP * NOISE_HOP
    rows = frames // NOISE_HOP  # formants change every 256 samples
    times = (np.arange(rows) + 0.5) * NOISE_HOP / sample_rate
    formants, level, pitch, noise = _gestures(phrase, singer, times, sample_rate, rng)

    semitones = _smooth(pitch, singer.glide_seconds if style != "tuned" else 0.004, times)
    if style != "tuned":
        starts = np.array([syllable.start_seconds for syllable in phrase])
        since = times - starts[np.searchsorted(starts, times, "right") - 1]
        depth = singer.vibrato_semitones * np.clip((since - 0.15) / 0.3, 0, 1) * (style != "spoken")
        drift = _smooth(rng.normal(0, 1.0, rows), 0.08, times) * 0.6
        rate = singer.vibrato_hz * (1 + 0.05 * _smooth(rng.normal(0, 1, rows), 0.3, times))
        semitones = semitones + depth * np.sin(2 * np.pi * np.cumsum(rate) * NOISE_HOP / sample_rate) + drift
    clock = np.arange(frames) / sample_rate
    hz = np.interp(clock, times, 440 * 2 ** ((semitones - 69) / 12))

    def tract(seconds: np.ndarray, harmonic_hz: np.ndarray) -> np.ndarray:
        row = np.minimum((seconds[:, 0] * sample_rate / NOISE_HOP).astype(int), rows - 1)
        glottis = (harmonic_hz / harmonic_hz[:, :1]) ** np.float32(singer.tilt / 6.02)
        return np.asarray(glottis * _resonances(harmonic_hz, formants[row], singer))

    tone = harmonic_tone(hz, frames, sample_rate, tract) * np.interp(clock, times, level).astype(np.float32)
    breath = _resonances(np.broadcast_to(noise_hertz(sample_rate), (rows, noise.shape[1])), formants, singer)
    breath = breath * (level[:, None] * singer.breath * 0.02)
    strength = float(np.abs(tone).max()) or 1.0
    air = shaped_noise((breath * strength + noise * 0.12 * strength).astype(np.float32), rng)
    sound = tone + air[:frames]
    return np.asarray(sound * np.float32(0.3 / max(loudness(sound, sample_rate), 1e-9)), dtype=np.float32)


def _gestures(
    phrase: list[Syllable], singer: Singer, times: np.ndarray, sample_rate: int, rng: Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return formants (R, 5), voice level (R,), pitch (R,) and consonant noise (R, 513) of a phrase at ``times``."""
    bins = noise_hertz(sample_rate)
    formants = np.empty((len(times), 5), dtype=np.float32)
    level = np.zeros(len(times))
    pitch = np.full(len(times), phrase[0].pitch)
    noise = np.zeros((len(times), len(bins)), dtype=np.float32)
    formants[:] = VOWELS[phrase[0].vowel]
    for index, syllable in enumerate(phrase):
        start_seconds, is_last = syllable.start_seconds, index == len(phrase) - 1
        rows = (times >= start_seconds) & ((times < start_seconds + syllable.seconds) | is_last)
        since = times[rows] - start_seconds
        share = np.clip((since / syllable.seconds - 0.3) / 0.5, 0, 1)[:, None]
        shape = (1 - share) * np.array(VOWELS[syllable.vowel]) + share * np.array(VOWELS[syllable.glide_to])
        loud = syllable.accent * np.clip((syllable.seconds - since) / 0.06, 0, 1)
        if not is_last and phrase[index + 1].onset in ("", *VOICED):
            loud = np.full(len(since), syllable.accent)  # legato
        if syllable.onset in VOICED:
            consonant, strength = VOICED[syllable.onset]
            during = since < min(0.08, 0.3 * syllable.seconds)
            shape[during] = consonant
            loud = np.where(during, loud * strength, loud)
        elif syllable.onset in UNVOICED:
            low, high, seconds, strength, closure = UNVOICED[syllable.onset]
            seconds = min(seconds * rng.uniform(0.8, 1.3), 0.4 * syllable.seconds)
            loud = loud * np.clip((since - closure - 0.7 * seconds) / 0.02, 0, 1)
            sounding = (times >= start_seconds + closure) & (times < start_seconds + closure + seconds)
            band = 1 / (1 + (low / np.maximum(bins, 1)) ** 6) / (1 + (bins / (high * singer.tract)) ** 6)
            noise[sounding] += (strength * syllable.accent * band).astype(np.float32)
        scoop = rng.uniform(-3, -1) if rng.random() < 0.25 else 0.0  # some notes are reached from below
        formants[rows], level[rows], pitch[rows] = shape, loud, syllable.pitch + np.where(since < 0.07, scoop, 0.0)
    moving = np.stack([_smooth(formants[:, k], 0.025, times) for k in range(5)], axis=1)
    return (moving * singer.tract).astype(np.float32), _smooth(level, 0.012, times), pitch, noise


def _resonances(hz: np.ndarray, formants: np.ndarray, singer: Singer) -> np.ndarray:
    """Return the gain (R, K) of the tract's resonances at frequencies ``hz`` (R, K); ``formants`` is (R, 5)."""
    gain = np.ones(hz.shape, dtype=np.float32)
    # The resonances above the fifth, which are left out, would raise the spectrum: higher-pole correction (Fant 1960).
    gain += np.square(hz / (np.float32(0.75) * formants[:, 4:]))
    top = formants[:, 4:] * np.float32(1.05)
    squared = np.square(np.where(hz > top, top + np.float32(0.12) * (hz - top), hz), dtype=np.float32)
    for index in range(5):
        centre = np.square(formants[:, index : index + 1])
        width = np.square(BANDWIDTHS[index] * (1 + formants[:, index : index + 1] / 5000))
        gain *= centre / np.sqrt(np.square(squared - centre) + width * squared)
    lifted = np.square(hz / np.float32(3000))
    gain *= 1 + np.float32(singer.presence) * lifted / (1 + lifted)
    gain *= 1 + np.float32(singer.ring) * np.exp(-np.square((hz - np.float32(3000)) / np.float32(500)))
    return gain


def _smooth(values: np.ndarray, seconds: float, times: np.ndarray) -> np.ndarray:
    """Return Gaussian smoothing with the ends held; ``times`` are evenly spaced."""
    if len(times) < 2:
        return np.asarray(values, dtype=np.float64)
    deviation = max(seconds / (times[1] - times[0]), 1e-3)
    reach = int(3 * deviation) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    padded = np.pad(np.asarray(values, dtype=np.float64), reach, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")
