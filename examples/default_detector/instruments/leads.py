"""Single-line leads that resemble a voice and are none: lead synthesisers, reeds, slide guitars, whistles, theremins.

A lead is a harmonic tone along a continuous pitch, with slides and vibrato, through at most two moving resonances; a
vowel has three or more, which change with every syllable.
"""

import numpy as np
from effects import filtered, swept_filter
from low_tones import level_line, pitch_line
from pool import SAMPLE_RATE
from scores import Note
from synthesizers import frequency, oscillator

RNG = np.random.Generator
BLOCK = 128


def contour(rng: RNG, notes: list[Note], frames: int, glide_seconds: float, vibrato: float) -> np.ndarray:
    """Return the MIDI pitch per sample with slides between notes and a vibrato that sets in late in each note."""
    pitch = pitch_line(notes, frames, glide_seconds)
    time = np.arange(frames) / SAMPLE_RATE
    depth = np.zeros(frames)
    delay = rng.uniform(0.0, 0.4)
    for note in notes:
        start, length = int(note.start_seconds * SAMPLE_RATE), int(note.seconds * SAMPLE_RATE)
        place = time[: max(min(length, frames - start), 0)]
        depth[start : start + len(place)] = np.clip((place - delay) * 4, 0, 1)
    return pitch + vibrato * depth * np.sin(2 * np.pi * rng.uniform(4.2, 7) * time)


def lead(rng: RNG, notes: list[Note], seconds: float) -> tuple[np.ndarray, str]:
    """Play a monophonic line on a random lead: (T,) and its name."""
    frames = int(seconds * SAMPLE_RATE)
    kind = [synth_lead, reed, slide_guitar, whistle][rng.choice(4, p=[0.4, 0.25, 0.2, 0.15])]
    return kind(rng, sorted(notes, key=lambda note: note.start_seconds), frames), kind.__name__.replace("_", " ")


def synth_lead(rng: RNG, notes: list[Note], frames: int) -> np.ndarray:
    """One to three oscillators through one or two resonances that follow an envelope or a slow oscillator."""
    pitch = contour(
        rng, notes, frames, rng.choice([0.004, rng.uniform(0.02, 0.15)]), rng.choice([0, rng.uniform(0.1, 0.6)])
    )
    shape, count = str(rng.choice(["saw", "square", "pulse", "saw", "triangle"])), int(rng.integers(1, 4))
    tone = sum(
        oscillator(shape, frequency(pitch + rng.uniform(-0.12, 0.12)), rng.random(), rng.uniform(0.1, 0.5))
        for _ in range(count)
    )
    level = level_line(notes, frames, rng.uniform(0.003, 0.05), rng.uniform(0.02, 0.3), rng.uniform(0.4, 20))
    blocks = np.arange(frames // BLOCK + 1) * BLOCK / SAMPLE_RATE
    for _ in range(int(rng.integers(1, 3))):
        wah = rng.uniform(0, 1.5) * np.sin(2 * np.pi * rng.uniform(0.1, 4) * blocks + rng.uniform(0, 6))
        cutoff = np.exp(rng.uniform(np.log(500), np.log(3500))) * 2**wah
        kind = str(rng.choice(["lowpass", "lowpass", "bandpass"]))
        tone = swept_filter(tone, np.clip(cutoff, 150, 7200), float(rng.uniform(0.8, 7)), kind)
    return level * (np.tanh(rng.uniform(0.5, 6) * tone) if rng.random() < 0.4 else tone)


def reed(rng: RNG, notes: list[Note], frames: int) -> np.ndarray:
    """Saxophone- and clarinet-like: a shaped sine that brightens with its level, fixed resonances, breath, scoops."""
    pitch = contour(rng, notes, frames, rng.uniform(0.01, 0.06), rng.uniform(0.05, 0.4))
    time = np.arange(frames) / SAMPLE_RATE
    scoop = np.zeros(frames)
    for note in notes:
        if rng.random() < 0.4:
            start = int(note.start_seconds * SAMPLE_RATE)
            rest = time[: frames - start]
            scoop[start:] -= rng.uniform(0.3, 2) * np.exp(-rest / 0.04)
    level = level_line(notes, frames, rng.uniform(0.015, 0.06), rng.uniform(0.03, 0.12), rng.uniform(1, 20))
    phase = 2 * np.pi * np.cumsum(frequency(pitch + scoop)) / SAMPLE_RATE
    growl = 1 + rng.choice([0.0, 0.0, 0.4]) * np.sin(2 * np.pi * rng.uniform(25, 45) * time)
    bias = rng.choice([0.0, 0.3, 0.6])  # symmetric shaping leaves odd harmonics: a clarinet
    tone = np.tanh((1 + 6 * level) * np.sin(phase) + bias) * growl
    breath = filtered(rng.standard_normal(frames), "bandpass", rng.uniform(1500, 4000), 0.5)
    tone = (tone + rng.uniform(0.01, 0.12) * breath) * level
    for hertz in (rng.uniform(400, 800), rng.uniform(1000, 1700), rng.uniform(2200, 3200)):
        tone = filtered(tone, "peak", hertz, rng.uniform(1, 4), rng.uniform(0, 12))
    return filtered(tone, "highpass", 120)


def slide_guitar(rng: RNG, notes: list[Note], frames: int) -> np.ndarray:
    """Decaying partials whose pitch slides from note to note, clean or through an overdriven amplifier."""
    pitch = contour(rng, notes, frames, rng.uniform(0.08, 0.35), rng.uniform(0.15, 0.5))
    base = np.cumsum(frequency(pitch)) / SAMPLE_RATE
    level = level_line(notes, frames, 0.004, rng.uniform(0.1, 0.5), rng.uniform(0.5, 2.5))
    place = rng.uniform(0.08, 0.3)
    tone = np.zeros(frames)
    for k in range(1, 24):
        weight = abs(np.sin(np.pi * k * place)) / k ** rng.uniform(0.8, 1.2)
        sounding = k * frequency(pitch) < 7400
        tone += weight * level ** (1 + 0.12 * k) * np.sin(2 * np.pi * k * base) * sounding
    if rng.random() < 0.6:
        tone = np.tanh(rng.uniform(2, 25) * tone)
        tone = filtered(filtered(tone, "lowpass", rng.uniform(2500, 5000)), "peak", 900, 1, rng.uniform(0, 8))
    return filtered(tone, "highpass", 90)


def whistle(rng: RNG, notes: list[Note], frames: int) -> np.ndarray:
    """Whistles, theremins, flutes and musical saws: a near-sine with vibrato, slides and some breath."""
    pitch = contour(rng, notes, frames, rng.uniform(0.02, 0.3), rng.uniform(0.1, 0.8))
    level = level_line(notes, frames, rng.uniform(0.02, 0.1), rng.uniform(0.05, 0.3), rng.uniform(2, 30))
    phase = 2 * np.pi * np.cumsum(frequency(pitch)) / SAMPLE_RATE
    tone = np.sin(phase) + rng.uniform(0, 0.4) * np.sin(2 * phase) + rng.uniform(0, 0.15) * np.sin(3 * phase)
    breath = filtered(rng.standard_normal(frames), "bandpass", rng.uniform(1000, 4000), 1.0)
    return level * (tone + rng.choice([0.0, rng.uniform(0, 0.3)]) * breath)
