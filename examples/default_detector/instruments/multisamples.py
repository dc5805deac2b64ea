"""Multisampled instruments: the npm packages ``tonejs-instrument-NAME-mp3`` (samples CC BY 3.0), unpacked.

A note plays the recording of the nearest key, transposed by the difference, so that registers keep their timbre.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pool import SAMPLE_RATE, Ingredient, read_mono
from scores import Note

LICENCE = "CC BY 3.0"
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def key_of(name: str) -> int:
    """Return the MIDI pitch of a note's name, with sharps written 's'.

    >>> key_of("A4"), key_of("Cs2")
    (69, 37)
    """
    match = re.fullmatch(r"([A-G])(s?)(-?\d)", name)
    if match is None:
        raise ValueError(f"{name} is no note's name such as A4 or Cs2")
    return STEPS[match[1]] + len(match[2]) + 12 * (int(match[3]) + 1)


@dataclass
class Instrument:
    name: str
    keys: dict[int, Path]
    cache: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return "bass" if self.name.startswith("bass-") else "other"

    @property
    def ingredient(self) -> Ingredient:
        return Ingredient(f"tonejs-instrument-{self.name}", LICENCE)

    def sound(self, pitch: int) -> np.ndarray:
        key = min(self.keys, key=lambda k: abs(k - pitch))
        if (key, pitch) not in self.cache:
            self.cache[key, pitch] = read_mono(self.keys[key], pitch - key).astype(np.float64)[: 8 * SAMPLE_RATE]
        return self.cache[key, pitch]

    def play(self, notes: list[Note], seconds: float, release_seconds: float) -> np.ndarray:
        out = np.zeros(int(seconds * SAMPLE_RATE))
        for note in notes:
            start, length = int(note.start_seconds * SAMPLE_RATE), int(note.seconds * SAMPLE_RATE)
            sound = self.sound(note.pitch)[: length + int(release_seconds * SAMPLE_RATE)].copy()
            if len(sound) > length:
                sound[length:] *= np.linspace(1, 0, len(sound) - length)
            sound = note.velocity * sound[: len(out) - start]
            out[start : start + len(sound)] += sound
        return out


def instruments(folder: Path) -> list[Instrument]:
    """Return the packages unpacked anywhere below ``folder``, by name."""
    found = []
    for package in sorted(folder.rglob("package.json")):
        match = re.search(r'"name":\s*"tonejs-instrument-(.+?)-mp3"', package.read_text(encoding="utf-8"))
        keys = {key_of(p.stem): p for p in package.parent.glob("*.mp3") if re.fullmatch(r"[A-G]s?-?\d", p.stem)}
        if match and keys:
            found.append(Instrument(match[1], keys))
    return found
