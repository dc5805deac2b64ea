"""Chord charts for Musical MIDI Accompaniment (MMA): forms of jazz, blues, folk and pop, and who plays when.

A chart lasts one to one and a half minutes. In sections of four to eight bars sources pause, as in arrangements, so
that songs have long silences of drums, bass and accompaniment.
"""

from dataclasses import dataclass

import numpy as np

NOTES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
# A bar is a chord: semitones above the tonic, and the chord's kind in MMA's notation.
FORMS: dict[str, tuple[tuple[int, str], ...]] = {
    "blues": tuple((s, "7") for s in (0, 5, 0, 0, 5, 5, 0, 0, 7, 5, 0, 7)),
    "jazz blues": (
        (0, "7"),
        (5, "7"),
        (0, "7"),
        (0, "7"),
        (5, "7"),
        (6, "dim7"),
        (0, "7"),
        (9, "7"),
        (2, "m7"),
        (7, "7"),
        (0, "7"),
        (7, "7"),
    ),
    "minor blues": (
        (0, "m7"),
        (5, "m7"),
        (0, "m7"),
        (0, "m7"),
        (5, "m7"),
        (5, "m7"),
        (0, "m7"),
        (0, "m7"),
        (8, "7"),
        (7, "7"),
        (0, "m7"),
        (7, "7"),
    ),
    "two five one": ((2, "m7"), (7, "7"), (0, "M7"), (9, "7"), (2, "m7"), (7, "7"), (0, "M7"), (0, "6")),
    "circle": ((2, "m7"), (7, "7"), (0, "M7"), (5, "M7"), (11, "m7b5"), (4, "7"), (9, "m7"), (9, "m7")),
    "minor turn": ((0, "m7"), (10, "7"), (8, "M7"), (7, "7"), (0, "m7"), (2, "m7b5"), (7, "7b9"), (0, "m6")),
    "modal": tuple((s, "m7") for s in (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0)),
    "bossa": ((0, "M7"), (0, "M7"), (2, "7"), (2, "7"), (2, "m7"), (1, "7"), (0, "M7"), (1, "7")),
    "bridge": tuple((s, "7") for s in (4, 4, 9, 9, 2, 2, 7, 7)),
    "folk": tuple((s, "") for s in (0, 0, 5, 0, 0, 7, 0, 0, 5, 5, 0, 0, 7, 7, 0, 0)),
    "folk minor": ((0, "m"), (10, ""), (0, "m"), (7, "m"), (3, ""), (10, ""), (0, "m"), (0, "m")),
    "ballad": ((0, ""), (7, ""), (9, "m"), (5, ""), (0, ""), (5, ""), (7, ""), (7, "7")),
    "pop": ((9, "m"), (5, ""), (0, ""), (7, "")),
    "vamp": ((0, "m7"), (5, "7")),
    "country": ((0, ""), (0, "7"), (5, ""), (5, ""), (7, "7"), (7, "7"), (0, ""), (0, "")),
}
SILENT = {"drums": 0.3, "bass": 0.25, "other": 0.2}


@dataclass(frozen=True)
class Chart:
    form: str
    tempo: float
    bars: tuple[tuple[int, str], ...]

    def text(self, grooves: list[str]) -> str:
        """Return the chart as MMA's input, with a groove drawn for each section of eight bars by their order."""
        lines = [f"Tempo {self.tempo:.0f}"]
        for number, (root, kind) in enumerate(self.bars):
            if number % 8 == 0:
                lines.append(f"Groove {grooves[number // 8 % len(grooves)]}")
            lines.append(f"{number + 1} {NOTES[root]}{kind}")
        return "\n".join(lines) + "\n"


def chart(rng: np.random.Generator, tempo: float, beats: int, seconds: float) -> Chart:
    """Return repetitions of one form, or of two in turn, in a random key, until ``seconds`` are full."""
    names = list(rng.choice(list(FORMS), 2 if rng.random() < 0.4 else 1, replace=False))
    tonic, wanted = int(rng.integers(12)), max(int(seconds * tempo / 60 / beats), 8)
    bars: list[tuple[int, str]] = []
    while len(bars) < wanted:
        for name in names:
            bars += [((tonic + step) % 12, kind) for step, kind in FORMS[str(name)]]
    return Chart(" and ".join(map(str, names)), tempo, tuple(bars[:wanted]))


def pauses(rng: np.random.Generator, bars: int) -> list[frozenset[str]]:
    """Return the silent sources of each bar: drawn for sections of four or eight bars, never all three at once."""
    silent: list[frozenset[str]] = []
    while len(silent) < bars:
        drawn = frozenset(source for source, odds in SILENT.items() if rng.random() < odds)
        section = int(rng.choice([4, 8, 8]))
        silent += [drawn if len(drawn) < len(SILENT) else frozenset()] * section
    return silent[:bars]
