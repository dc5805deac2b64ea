"""Melodic parts as notes over a chord progression: bass lines, pads, stabs, arpeggios, riffs, melodies, drones."""

from dataclasses import dataclass

import numpy as np

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "blues": (0, 3, 5, 6, 7, 10, 12),
}
PROGRESSIONS = (
    (0, 4, 5, 3),
    (0, 5, 3, 4),
    (5, 3, 0, 4),
    (0, 3),
    (0, 6, 5, 4),
    (1, 4, 0, 0),
    (0, 0, 3, 0, 4, 3, 0, 4),
    (0,),
    (0, 2, 3, 4),
)
BASS_LINES = (
    "roots",
    "eighths",
    "octaves",
    "walking",
    "offbeat",
    "syncopated",
    "acid",
    "sustained",
    "sparse",
    "pump",
    "fills",
)
PARTS = ("pad", "comping", "stabs", "arpeggio", "melody", "riff", "drone", "strum", "lead", "counter", "pluck")


@dataclass(frozen=True)
class Note:
    """A note: start (seconds), length (seconds), MIDI pitch (60 is middle C), velocity (0 to 1)."""

    start_seconds: float
    seconds: float
    pitch: int
    velocity: float


@dataclass(frozen=True)
class Score:
    style: str
    tempo: float
    seconds: float
    notes: list[Note]

    @property
    def beat_seconds(self) -> float:
        return 60 / self.tempo


@dataclass(frozen=True)
class Harmony:
    """A key and one chord per bar, as degrees of the scale."""

    tonic: int
    scale: tuple[int, ...]
    chords: tuple[int, ...]

    def pitch(self, degree: int) -> int:
        octave, step = divmod(degree, 7)
        return self.tonic + 12 * octave + self.scale[step]

    def chord(self, bar: int) -> int:
        return self.chords[bar % len(self.chords)]


def random_harmony(rng: np.random.Generator) -> Harmony:
    scale = SCALES[str(rng.choice(list(SCALES)))]
    return Harmony(int(rng.integers(0, 12)), scale, PROGRESSIONS[rng.integers(len(PROGRESSIONS))])


def bass_line(rng: np.random.Generator, seconds: float, style: str | None = None) -> Score:
    """A bass part: MIDI pitches from 26 (D1, 37 Hz) to about 52, mostly one note at a time."""
    style, harmony, tempo = (
        style or str(rng.choice(BASS_LINES)),
        random_harmony(rng),
        float(np.exp(rng.uniform(np.log(65), np.log(175)))),
    )
    beat = 60 / tempo
    low = 24 + (harmony.tonic - 24) % 12 + (12 if rng.random() < 0.25 else 0)
    low = low if low >= 26 else low + 12
    gate = rng.uniform(0.3, 1.0)
    riff = [
        (s, int(rng.choice([0, 0, 0, 2, 4, 7, -1, 6])), rng.random())
        for s in range(16)
        if rng.random() < rng.uniform(0.25, 0.7)
    ]
    notes: list[Note] = []

    def add(bar: int, step: float, degree: int, steps: float, velocity: float, octave: int = 0) -> None:
        pitch = low + harmony.pitch(degree) - harmony.tonic + 12 * octave
        while pitch > 55:
            pitch -= 12
        notes.append(Note((bar * 16 + step) * beat / 4, steps * beat / 4, int(pitch), velocity))

    for bar in range(int(np.ceil(seconds / (4 * beat)))):
        chord = harmony.chord(bar)
        if bar % 4 == 0 and rng.random() < 0.06:
            continue
        if style == "roots":
            for step in (0, 8) if rng.random() < 0.5 else (0, 6, 8):
                add(bar, step, chord, 8 * gate, 0.8)
        elif style in ("eighths", "pump"):
            for step in range(0, 16, 2):
                add(
                    bar,
                    step,
                    chord + (4 if step == 14 and rng.random() < 0.3 else 0),
                    2 * gate,
                    0.9 if step % 4 == 0 else 0.7,
                )
        elif style == "octaves":
            for step in range(0, 16, 2):
                add(bar, step, chord, 2 * gate, 0.85, octave=step // 2 % 2)
        elif style == "walking":
            for step, degree in zip((0, 4, 8, 12), (0, *rng.choice([1, 2, 3, 4, 5, 6], 3)), strict=True):
                add(bar, step, chord + int(degree), 3.8, rng.uniform(0.6, 0.9))
        elif style == "offbeat":
            for step in range(2, 16, 4):
                add(bar, step, chord, 2 * gate, 0.85)
        elif style in ("syncopated", "acid"):
            for step, degree, accent in riff:
                add(
                    bar,
                    step,
                    chord + (degree if style == "acid" else (0, 0, 4, 7)[degree % 4]),
                    (1.0 if style == "acid" else 2.0) * gate + accent,
                    0.6 + 0.4 * accent,
                    octave=int(style == "acid" and accent > 0.85),
                )
        elif style == "sustained":
            add(bar, 0, chord, 15.5, 0.8)
        elif style == "sparse":
            add(bar, int(rng.choice([0, 0, 3, 6])), chord, rng.uniform(2, 10), 0.9)
        else:
            place = 0.0
            while place < 16:
                length = float(rng.choice([1, 2, 2, 3, 4]))
                add(bar, place, chord + int(rng.choice([0, 0, 2, 4, 6, 7])), length * gate, rng.uniform(0.5, 1))
                place += length
    return Score(f"bass {style}", tempo, seconds, [n for n in notes if n.start_seconds < seconds])


def part(rng: np.random.Generator, seconds: float, style: str | None = None, centre: int | None = None) -> Score:
    """Return a part other than bass and drums, around MIDI pitch ``centre`` (40 to 80; lower is a bass)."""
    style, harmony, tempo = (
        style or str(rng.choice(PARTS)),
        random_harmony(rng),
        float(np.exp(rng.uniform(np.log(65), np.log(175)))),
    )
    centre = int(rng.choice([40, 45, 52, 57, 60, 64, 67, 72, 76])) if centre is None else centre
    beat, low = 60 / tempo, centre - 6
    base = low + (harmony.tonic - low) % 12
    voices = int(rng.choice([3, 3, 4, 2])) if centre >= 50 else 2
    spread = 2 if centre >= 50 else 4
    notes: list[Note] = []

    def add(bar: int, step: float, degrees: list[int], steps: float, velocity: float, roll: float = 0.0) -> None:
        for i, degree in enumerate(degrees):
            pitch = base + harmony.pitch(degree) - harmony.tonic
            notes.append(Note((bar * 16 + step) * beat / 4 + i * roll, steps * beat / 4, int(pitch), velocity))

    steps_played = sorted(rng.choice(16, rng.integers(2, 7), replace=False).tolist())
    order, rate = rng.permutation(8), float(rng.choice([1, 1, 2, 2, 4 / 3]))
    motif = [(float(s), int(rng.integers(-2, 8)), float(rng.choice([1, 2, 3, 4]))) for s in steps_played]
    gate = rng.uniform(0.3, 1.0)
    degree = int(rng.integers(0, 7))
    for bar in range(int(np.ceil(seconds / (4 * beat)))):
        root = harmony.chord(bar) - (7 if harmony.chord(bar) > 4 else 0)
        triad = [root + spread * v for v in range(voices)]
        if rng.random() < 0.07:
            continue
        if style == "pad":
            add(bar, 0, triad, 16, 0.6)
        elif style == "drone":
            add(bar, 0, [0, 4][: int(rng.integers(1, 3))], 16.5, 0.6)
        elif style in ("comping", "stabs"):
            for step in steps_played:
                add(bar, step, triad, 1.0 if style == "stabs" else 3 * gate + 0.5, rng.uniform(0.5, 0.9))
        elif style == "strum":
            for step in range(0, 16, 2):
                if rng.random() < 0.8:
                    add(
                        bar,
                        step,
                        [*triad, root + 7],
                        2 * gate + 0.5,
                        rng.uniform(0.4, 0.9),
                        roll=float(rng.choice([0.008, 0.015, 0.025])),
                    )
        elif style in ("arpeggio", "pluck"):
            tones = [t + 7 * o for o in (0, 1) for t in triad]
            for i in range(int(16 / rate)):
                add(
                    bar,
                    i * rate,
                    [tones[order[i % len(order)] % len(tones)]],
                    rate * (gate if style == "pluck" else 1.0),
                    rng.uniform(0.5, 0.9),
                )
        elif style in ("riff", "lead"):
            for step, offset, length in motif:
                add(bar, step, [root + offset if style == "riff" else offset], length * gate + 0.3, rng.uniform(0.6, 1))
        else:
            step = float(rng.choice([0, 2, 4]))
            while step < 16:
                length = float(rng.choice([1, 2, 2, 4, 4, 8]))
                degree = int(np.clip(degree + rng.integers(-2, 3), -3, 10))
                if rng.random() < 0.85:
                    add(
                        bar,
                        step,
                        [degree] if style == "melody" else [degree, degree + 2],
                        length * 0.95,
                        rng.uniform(0.5, 0.95),
                    )
                step += length
    return Score(f"{style} around {centre}", tempo, seconds, [n for n in notes if n.start_seconds < seconds])
