"""Low basses of electronic music: sines and near-sines from 33 to 69 Hz with glides, 808s with long tails, low saws.

A line is one continuous tone whose frequency moves from note to note, as on a monophonic synthesiser.
"""

import numpy as np
from effects import filtered
from pool import SAMPLE_RATE
from scores import Note
from synthesizers import frequency, oscillator

LOWEST, HIGHEST = 24.0, 37.0  # MIDI pitches of 33 and 69 Hz
STYLES = ("sine", "sine", "near-sine", "808", "808", "detuned saws", "wobble")


def lowered(notes: list[Note], lowest: float = LOWEST, highest: float = HIGHEST) -> list[Note]:
    """Move each note by octaves into the register of sub-basses."""
    moved = []
    for note in notes:
        pitch = note.pitch
        while pitch > highest:
            pitch -= 12
        while pitch < lowest:
            pitch += 12
        moved.append(Note(note.start_seconds, note.seconds, pitch, note.velocity))
    return moved


def pitch_line(notes: list[Note], frames: int, glide_seconds: float) -> np.ndarray:
    """Return the MIDI pitch per sample: each note's pitch from its start on, approached within ``glide_seconds``."""
    line = np.full(frames, float(notes[0].pitch))
    for note in notes:
        line[int(note.start_seconds * SAMPLE_RATE) :] = note.pitch
    width = max(int(glide_seconds * SAMPLE_RATE), 1)
    summed = np.cumsum(np.concatenate([np.full(width, line[0]), line]))
    return (summed[width:] - summed[:-width]) / width


def level_line(notes: list[Note], frames: int, attack: float, tail: float, decay: float) -> np.ndarray:
    """Return the level per sample: notes rise within ``attack``, decay by ``decay``, end within ``tail`` (seconds)."""
    level = np.zeros(frames)
    for i, note in enumerate(notes):
        start = int(note.start_seconds * SAMPLE_RATE)
        following = notes[i + 1].start_seconds if i + 1 < len(notes) else frames / SAMPLE_RATE
        stop = min(int(min(note.start_seconds + note.seconds + tail, following) * SAMPLE_RATE), frames)
        time = np.arange(max(stop - start, 0)) / SAMPLE_RATE
        ending = np.clip((note.seconds + tail - time) / tail, 0, 1)
        level[start:stop] = note.velocity * np.exp(-time / decay) * ending
    width = max(int(attack * SAMPLE_RATE), 1)
    return np.convolve(level, np.hanning(width + 2)[1:-1] / np.hanning(width + 2).sum(), "same")


def low_line(rng: np.random.Generator, notes: list[Note], seconds: float) -> tuple[np.ndarray, str]:
    """Play a bass line in one of `STYLES`: (T,) and the style."""
    frames, style = int(seconds * SAMPLE_RATE), str(rng.choice(STYLES))
    notes = sorted(lowered(notes), key=lambda note: note.start_seconds)
    glide = float(rng.choice([0.003, 0.01, rng.uniform(0.03, 0.3)]))
    pitch = pitch_line(notes, frames, glide)
    if style == "808":
        level = level_line(notes, frames, 0.003, rng.uniform(0.1, 0.6), rng.uniform(0.5, 2.5))
        return _with_kicks(rng, notes, pitch, level), style
    long = rng.uniform(2, 50)
    level = level_line(notes, frames, rng.uniform(0.004, 0.04), rng.uniform(0.02, 0.3), long)
    pitch = pitch + rng.choice([0.0, 0.2]) * np.sin(2 * np.pi * rng.uniform(3, 6) * np.arange(frames) / SAMPLE_RATE)
    hertz = frequency(pitch)
    if style == "detuned saws":
        saws = sum(oscillator("saw", hertz * 2 ** (rng.uniform(-0.25, 0.25) / 12), rng.random()) for _ in range(3))
        return level * filtered(filtered(saws, "lowpass", rng.uniform(80, 250)), "lowpass", 400), style
    tone = np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE + rng.uniform(0, 6))
    if style == "near-sine":
        tone = tone + rng.uniform(0.01, 0.3) * np.sin(4 * np.pi * np.cumsum(hertz) / SAMPLE_RATE)
        tone = np.tanh(rng.uniform(0.3, 2.5) * tone)
    if style == "wobble":
        rate = rng.choice([1.0, 2.0, 3.0, 4.0, 6.0]) * rng.uniform(0.9, 1.1)
        tone = np.tanh(3 * tone * (0.55 + 0.45 * np.sin(2 * np.pi * rate * np.arange(frames) / SAMPLE_RATE)))
        tone = filtered(tone, "lowpass", rng.uniform(90, 300))
    return level * tone, style


def _with_kicks(rng: np.random.Generator, notes: list[Note], pitch: np.ndarray, level: np.ndarray) -> np.ndarray:
    """A sine with a fast fall of the pitch at each note, driven or clean, the fall from slight to four octaves."""
    drop, fall, bend = rng.uniform(0, 24) ** 1.2, rng.uniform(0.01, 0.07), np.zeros(len(pitch))
    slide = float(rng.choice([0.0, 0.0, rng.uniform(-12, 12)]))
    for note in notes:
        start, length = int(note.start_seconds * SAMPLE_RATE), int((note.seconds + 0.5) * SAMPLE_RATE)
        time = np.arange(max(min(length, len(pitch) - start), 0)) / SAMPLE_RATE
        late = np.clip(time / max(note.seconds, 0.1) * 2 - 1, 0, 1)
        bend[start : start + len(time)] = drop * np.exp(-time / fall) + slide * late
    tone = np.sin(2 * np.pi * np.cumsum(frequency(pitch + bend)) / SAMPLE_RATE)
    drive = 10 ** (rng.uniform(-20, 20) / 20)
    return np.tanh(drive * level * tone) / np.tanh(drive)


def glided_808(rng: np.random.Generator, notes: list[Note], seconds: float) -> np.ndarray:
    """Return an 808 line, (T,): notes up to 98 Hz that glide into one another, each with a kick's attack or without."""
    frames = int(seconds * SAMPLE_RATE)
    notes = sorted(lowered(notes, LOWEST, LOWEST + float(rng.uniform(12, 19))), key=lambda note: note.start_seconds)
    pitch = pitch_line(notes, frames, rng.uniform(0.05, 0.4))
    level = level_line(notes, frames, 0.003, rng.uniform(0.1, 0.6), rng.uniform(0.6, 4))
    struck = rng.choice([0.0, 0.3, 1.0])
    return _with_kicks(rng, [note for note in notes if rng.random() < struck], pitch, level)
