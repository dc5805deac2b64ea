"""Plucked strings whose pitch may move: strummed guitars, slap bass and slide guitar by waveguide synthesis.

Karplus and Strong 1983 with a fractional loop delay: a comb-filtered burst of noise in a damped loop; a body's
resonances follow.
"""

import numpy as np
from effects import filtered
from pool import SAMPLE_RATE
from scipy.signal import lfilter
from scores import PROGRESSIONS, SCALES, Note, Score
from synthesizers import frequency

RNG = np.random.Generator
TUNING = (40, 45, 50, 55, 59, 64)
# Strokes of an eighth each: D down, U up, d and u soft, x muted, - none.
STRUMS = (
    "D-DU-UDU",
    "DuDuDuDu",
    "D-d-D-d-",
    "D-xUxUxU",
    "DxUxDxUx",
    "D---D---",
    "DUDUDUDU",
    "-D-D-D-D",
    "D--D--D-",
    "xUxUDUxU",
)


def string(rng: RNG, hertz: float, seconds: float, damping: float, brightness: float, position: float) -> np.ndarray:
    """Return a plucked string, (T,): ``damping`` below 1 per period, ``position`` of the plectrum along it."""
    frames = int(seconds * SAMPLE_RATE)
    period = SAMPLE_RATE / hertz - 0.5
    whole = max(int(period), 2)
    burst = lfilter([brightness], [1, brightness - 1], rng.uniform(-1, 1, whole))
    excitation = np.zeros(frames)
    excitation[: min(whole, frames)] = (burst - np.roll(burst, max(int(position * whole), 1)))[:frames]
    feedback = np.zeros(whole + 3)
    feedback[0] = 1.0
    feedback[whole : whole + 3] -= damping * np.convolve([0.5, 0.5], [1 - (period - whole), period - whole])
    return lfilter([1.0], feedback, excitation)


def voicing(root: int, third: int) -> list[int]:
    """Return a chord: its root within four frets of a low string, on each higher string the lowest tone of the triad.

    >>> voicing(4, 3)  # E minor
    [40, 47, 52, 55, 59, 64]
    """
    tones = {root % 12, (root + third) % 12, (root + 7) % 12}
    lowest = next(string for string in range(3) if (root - TUNING[string]) % 12 <= 4)
    bass = TUNING[lowest] + (root - TUNING[lowest]) % 12
    return [bass, *(next(p for p in range(open_, open_ + 12) if p % 12 in tones) for open_ in TUNING[lowest + 1 :])]


def strummed_score(rng: RNG, seconds: float) -> Score:
    """Return strummed chords as notes, each string some milliseconds after the last; muted strokes last 30 ms."""
    tempo = float(rng.uniform(70, 170))
    eighth, pattern = 30 / tempo, str(rng.choice(STRUMS))
    scale, tonic = SCALES[str(rng.choice(["major", "minor", "mixolydian", "dorian"]))], int(rng.integers(12))
    progression = PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
    spread, capo = rng.uniform(0.004, 0.025), int(rng.choice([0, 0, 2, 3, 5]))
    notes: list[Note] = []
    for bar in range(int(np.ceil(seconds / (8 * eighth)))):
        degree = progression[bar % len(progression)] % len(scale)
        root, third = tonic + scale[degree], scale[(degree + 2) % len(scale)] - scale[degree]
        chord = voicing(root, third % 12)
        if rng.random() < 0.05:
            continue
        for i, stroke in enumerate(pattern):
            if stroke == "-" or rng.random() < 0.04:
                continue
            strings = chord if stroke in "Ddx" else chord[::-1][: int(rng.integers(3, 5))]
            length = (
                0.03 if stroke == "x" else eighth * next((k for k in range(1, 8) if pattern[(i + k) % 8] != "-"), 8)
            )
            level = {"D": 0.9, "U": 0.75, "d": 0.6, "u": 0.5, "x": 0.6}[stroke] * rng.uniform(0.85, 1.1)
            for j, pitch in enumerate(strings):
                start = (bar * 8 + i) * eighth + j * spread * rng.uniform(0.7, 1.3)
                notes.append(Note(start, length, pitch + capo, float(min(level, 1))))
    return Score(f"strummed {pattern}", tempo, seconds, [n for n in notes if n.start_seconds < seconds])


def play_strings(rng: RNG, score: Score, body: bool = True) -> np.ndarray:
    """Play a score on plucked strings with one random timbre: (T,)."""
    damping, brightness, position = rng.uniform(0.99, 0.9995), rng.uniform(0.3, 1.0), rng.uniform(0.08, 0.3)
    out = np.zeros(int(score.seconds * SAMPLE_RATE))
    for note in score.notes:
        length = note.seconds + 0.08
        start = int(note.start_seconds * SAMPLE_RATE)
        muted = note.seconds <= 0.03
        sound = string(rng, frequency(note.pitch), length, 0.9 if muted else damping, brightness, position)
        fade = min(int(0.06 * SAMPLE_RATE), len(sound))
        sound[-fade:] *= np.linspace(1, 0, fade)
        sound = note.velocity * sound[: len(out) - start]
        out[start : start + len(sound)] += sound
    out = filtered(out, "highpass", 60)
    if body:
        for hertz in (rng.uniform(90, 120), rng.uniform(180, 240), rng.uniform(350, 500)):
            out = filtered(out, "peak", hertz, rng.uniform(2, 6), rng.uniform(2, 8))
    return out


def slap_bass(rng: RNG, notes: list[Note], seconds: float) -> np.ndarray:
    """Return thumbed low notes, popped octaves with a snap of the string on the fret, and dead notes between, (T,)."""
    damping, snap = rng.uniform(0.985, 0.998), rng.uniform(0.3, 1.5)
    out = np.zeros(int(seconds * SAMPLE_RATE))
    for note in notes:
        popped, dead = rng.random() < 0.3, rng.random() < 0.15
        pitch = note.pitch + (12 if popped and note.pitch < 48 else 0)
        length = min(note.seconds, 0.05 if dead else 2.0) + 0.06
        sound = string(
            rng, frequency(pitch), length, 0.92 if dead else damping, rng.uniform(0.7, 1.0), 0.1 if popped else 0.25
        )
        click = rng.standard_normal(len(sound)) * np.exp(-np.arange(len(sound)) / (0.004 * SAMPLE_RATE))
        sound = sound + snap * (1.5 if popped else 0.6) * filtered(click, "bandpass", rng.uniform(1500, 3500), 1.0)
        sound = np.tanh(rng.uniform(1, 2.5) * sound)
        fade = min(800, len(sound))
        sound[-fade:] *= np.linspace(1, 0, fade)
        start = int(note.start_seconds * SAMPLE_RATE)
        sound = note.velocity * sound[: len(out) - start]
        out[start : start + len(sound)] += sound
    return filtered(out, "lowshelf", 150, gain_db=float(rng.uniform(0, 9)))
