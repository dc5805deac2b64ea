"""Grooves of Musical MIDI Accompaniment (Debian's ``mma``): their genres, splits and songs.

A file of the library is a family of grooves. Families whose file name contains a word of `TEST_FAMILIES` are for the
test split alone, so that a rhythm is in one split whatever its tempo or publisher.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
from arrange import arranged, with_solo
from charts import Chart, chart
from midi import merged

LIBRARY = Path("/usr/share/mma/lib")
FOLDERS = ("stdlib", "casio", "yamaha", "alexis")
GENRES = {
    "jazz": r"jazz|swing|bebop|bigband|bossa|samba|combo|dixie|evansish|foxtrot|ragtime|boggie|blues|charleston|rhumba|"
    r"mambo|salsa|cuban|cha|beguine|quickstep|fusion|tango|merengue|calypso",
    "electronic": r"trance|house|techno|dance|electr|hip|ambient|digital|disco|rap|synth|euro|rave",
    "folk": r"folk|bluegrass|country|waltz|hill|polka|zydeco|gypsy|lullaby|hymn|spiritual|guitar|arpeggio|march|ballad",
}
TEST_FAMILIES = (
    *("bossa", "bebop", "nitejazz", "mellowjazz", "modernjazz", "combo", "dixie", "ragtime", "slowblues", "68swing"),
    *("gypsy", "bluegrass", "hillcountry", "folkballad", "frenchwaltz", "polka", "guitarballad", "countryblues"),
    *("trance", "house", "hip", "ambient", "electricpop", "disco", "funk", "softrock", "tango", "salsa"),
)
LEFT_OUT = re.compile(r"metronome|^none$|debug")
TEMPOS = {"jazz": (100, 210), "electronic": (85, 145), "folk": (75, 150), "pop": (75, 140)}
SOLO_ODDS = 0.55


@dataclass(frozen=True)
class Family:
    path: Path
    grooves: tuple[str, ...]
    beats: int

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def split(self) -> str:
        return "test" if any(word in self.name for word in TEST_FAMILIES) else "train"

    @property
    def genre(self) -> str:
        return next((genre for genre, words in GENRES.items() if re.search(words, self.name)), "pop")


def families(library: Path = LIBRARY) -> list[Family]:
    """Return the families of grooves, without introductions and endings, which last a few bars only."""
    found = []
    for path in sorted(p for folder in FOLDERS for p in (library / folder).glob("*.mma")):
        text = path.read_text(encoding="latin-1")
        names = re.findall(r"^\s*DefGroove\s+(\S+)", text, re.M | re.I)
        names = [name for name in names if not re.search(r"intro|end\d*$|fill|metronome", name, re.I)]
        beats = re.search(r"^\s*Time\s+(\d+)", text, re.M | re.I)
        if names and not LEFT_OUT.search(path.stem):
            found.append(Family(path, tuple(names), int(beats[1]) if beats else 4))
    return found


def accompanied(text: str) -> mido.MidiFile:
    """Return the accompaniment of a chart in MMA's notation."""
    with tempfile.TemporaryDirectory() as folder:
        source, midi = Path(folder, "song.mma"), Path(folder, "song.mid")
        source.write_text(text, encoding="utf-8")
        done = subprocess.run(["mma", str(source), "-f", str(midi)], capture_output=True, text=True, check=False)
        if done.returncode or not midi.exists():
            raise RuntimeError(f"mma refuses a chart: {(done.stdout + done.stderr).strip()[-300:]}")
        return merged(midi)


def song(rng: np.random.Generator, family: Family, seconds: float) -> tuple[mido.MidiFile, Chart]:
    """Return a random song of a family: a chart in two or three of its grooves, perhaps with a solo."""
    slow, fast = TEMPOS[family.genre]
    form = chart(rng, float(rng.uniform(slow, fast)), family.beats, seconds)
    count = min(int(rng.integers(1, 4)), len(family.grooves))
    grooves = [
        f"{family.path.parent.name}/{family.path.stem}:{g}" for g in rng.choice(family.grooves, count, replace=False)
    ]
    midi = accompanied(form.text(grooves))
    if rng.random() < SOLO_ODDS:
        midi = with_solo(midi, form, rng, family.genre)
    return arranged(midi, rng, family.genre), form
