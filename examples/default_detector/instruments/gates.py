"""Plucked and gated synthesisers: rhythmic sounds without drums, from short notes and from chords cut by a gate."""

import itertools

import numpy as np
from effects import filtered, swept_filter
from pool import SAMPLE_RATE
from scores import Note, Score
from synthesizers import frequency, oscillator

RNG = np.random.Generator
BLOCK = 64


def plucks(rng: RNG, score: Score) -> np.ndarray:
    """Play a score with notes of 30 to 300 ms whatever their length, hard at the start, (T,)."""
    shape, count = str(rng.choice(["saw", "square", "pulse", "sine", "triangle"])), int(rng.integers(1, 4))
    ring, closing = np.exp(rng.uniform(np.log(0.03), np.log(0.3))), np.exp(rng.uniform(np.log(0.015), np.log(0.2)))
    bright, floor, q = rng.uniform(1500, 7000), rng.uniform(200, 1200), rng.uniform(0.7, 5)
    ratio, index = rng.choice([1, 2, 3, 3.5, 5, 7]), rng.choice([0.0, 0.0, rng.uniform(0.5, 5)])
    spread, click = rng.uniform(0, 0.2), rng.choice([0.0, 0.0, rng.uniform(0, 0.6)])
    time = np.arange(int(6 * ring * SAMPLE_RATE)) / SAMPLE_RATE
    cutoff = floor + (bright - floor) * np.exp(-time[::BLOCK] / closing)
    sounds: dict[int, np.ndarray] = {}
    for pitch in {note.pitch for note in score.notes}:
        bend = index * np.exp(-time / closing) * np.sin(2 * np.pi * ratio * frequency(pitch) * time)
        tone = np.zeros(len(time))
        for voice in range(count):
            hertz = frequency(pitch + spread * (voice - count / 2))
            if shape == "sine" or index:
                tone += np.sin(2 * np.pi * hertz * time + bend)
            else:
                tone += oscillator(shape, np.full(len(time), hertz), rng.random(), 0.3)
        tone = swept_filter(tone, cutoff, float(q)) * np.exp(-time / ring) * np.minimum(time / 0.001, 1)
        noise = filtered(rng.standard_normal(len(time)), "highpass", 2000) * np.exp(-time / 0.003)
        sounds[pitch] = tone + click * noise
    return _played(score, sounds)


def gated(rng: RNG, score: Score) -> np.ndarray:
    """Play a score with sustained saws, cut by a gate from hard on and off to soft pulses, (T,)."""
    shape, count, detune = (
        str(rng.choice(["saw", "saw", "square", "pulse"])),
        int(rng.integers(2, 6)),
        rng.uniform(0, 0.3),
    )
    frames = int(score.seconds * SAMPLE_RATE)
    out = np.zeros(frames)
    for note in score.notes:
        start = int(note.start_seconds * SAMPLE_RATE)
        length = min(int(note.seconds * SAMPLE_RATE), frames - start)
        for _ in range(count):
            hertz = np.full(max(length, 0), frequency(note.pitch + rng.uniform(-detune, detune)))
            out[start : start + length] += note.velocity * oscillator(shape, hertz, rng.random(), 0.3)
    out = filtered(out, "lowpass", np.exp(rng.uniform(np.log(700), np.log(7000))), rng.uniform(0.7, 4))
    step = score.beat_seconds / float(rng.choice([2, 4, 4, 4, 3, 8]))
    pattern = rng.random(int(rng.choice([2, 4, 8, 16]))) < rng.uniform(0.4, 0.8)
    pattern[0] = True
    if pattern.all():
        pattern[1] = False
    place = np.arange(frames) / SAMPLE_RATE / step
    open_share = rng.uniform(0.3, 1.0)
    gate = pattern[place.astype(int) % len(pattern)] & (place % 1 < open_share)
    width = max(int(rng.choice([0.001, 0.003, rng.uniform(0.005, 0.04)]) * SAMPLE_RATE), 1)
    smooth = np.convolve(gate.astype(float), np.ones(width) / width, "same")
    depth = rng.choice([1.0, 1.0, rng.uniform(0.6, 1.0)])
    return out * (1 - depth + depth * smooth)


def _played(score: Score, sounds: dict[int, np.ndarray]) -> np.ndarray:
    out = np.zeros(int(score.seconds * SAMPLE_RATE))
    for note in score.notes:
        start = int(note.start_seconds * SAMPLE_RATE)
        sound = note.velocity * sounds[note.pitch][: len(out) - start]
        out[start : start + len(sound)] += sound
    return out


def monophonic(notes: list[Note]) -> list[Note]:
    """Return the highest of the notes that start together, each cut where the next one starts."""
    by_start: dict[float, Note] = {}
    for note in notes:
        at = round(note.start_seconds, 2)
        if at not in by_start or note.pitch > by_start[at].pitch:
            by_start[at] = note
    line = [by_start[at] for at in sorted(by_start)]
    gaps = [b.start_seconds - a.start_seconds for a, b in itertools.pairwise(line)] + [np.inf]
    return [
        Note(n.start_seconds, float(min(n.seconds, gap)), n.pitch, n.velocity)
        for n, gap in zip(line, gaps, strict=True)
    ]
