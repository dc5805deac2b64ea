"""Sampler: drum kits of one-shots by role, and scores played with a transposed single note.

Roles come from file names. Files with a wrong name are listed in `EXCLUDED`. A kit is one set or, more often, a random
mixture of all sets of the split. Each stroke is retuned, shortened and driven at random.
"""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
from pool import SAMPLE_RATE, Ingredient, read_mono
from rhythms import ROLES, Hit, Rhythm
from scores import Note
from splits import split_of

ROLE_NAMES = (
    ("conga", r"conga|bongo|timbal|tabla|djembe|cajon|kenkeni|sangban|dununba|darbuka"),
    ("tom", r"(?<!s)tom|^[hml]t_|^tm|^ft_|^t[12]_|_drum_\d"),
    ("clap", r"clap|_cp|^cp"),
    ("rim", r"rim|stick|clav|wood|block|^rs_|tas|snap|click"),
    ("open", r"open|_oh|^oh|^ho_|o-?hi-?hat|ohh"),
    ("closed", r"hat|hh|hi-?hat|hithat"),
    ("cowbell", r"cow|_cb|^cb|agogo|_bell|^bl_"),
    ("ride", r"ride|_rd|^rd|^rc_|bell"),
    ("crash", r"crash|splash|china|cymb|^cra|_cr_|^cr_|_cy|^cym|^cc_|cra_"),
    ("kick", r"kick|bassdrum|_bd|^bd|bass_(hard|soft)|hse_k_"),
    ("snare", r"snare|^sn|_sn|^sd|_sd|^sr_|shortsn"),
    ("shaker", r"shak|cabasa|tamb|maraca|guiro|brush|sh_"),
)
EXCLUDED = re.compile(
    r"lmms_latin|lmms_choir|nasty_bass|drum_roll|sharpen|knife|metal_sharp|hasclipping|techno_sequence|ambi_choir|"
    r"c6_harmonic|16_ghost|techno_synth|emptySample|[xy]?FX_|Whistle|demo"
)


@dataclass(frozen=True)
class OneShot:
    path: Path
    source: str
    ingredient: Ingredient

    @property
    def role(self) -> str:
        name = self.path.stem
        name = re.sub(
            r"^samples_|^drums_|^TR808EmulationKit_808_|^legacy_GMkit_|^avl-drumkits-1_1_\d+-|^EE_|^VP |^tr505-",
            "",
            name,
        )
        return next((role for role, pattern in ROLE_NAMES if re.search(pattern, name, re.I)), "misc")


def family(folder: str) -> str:
    """Return the name of a set without its number. Sets of one family share recordings and go to the same split."""
    return re.sub(r"vocal$", "voc", re.sub(r"\d+$", "", folder))


def one_shots(audio: Path, unclear: bool = False) -> list[OneShot]:
    """The one-shots under ``audio``/oneshots by SOURCES_oneshots.tsv; ``unclear``: those without a licence."""
    found = []
    with (audio / "SOURCES_oneshots.tsv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            path = Path(row["file"])
            if (
                not row["kind"].startswith("oneshot")
                or path.parts[0].startswith("unclear") != unclear
                or EXCLUDED.search(row["file"])
            ):
                continue
            licence = "unclear" if unclear else row["licence"].split(" (")[0]
            found.append(OneShot(audio / path, path.parts[-3], Ingredient(f"oneshots/{path.parts[-2]}", licence)))
    return found


def drumkit_one_shots(folder: Path) -> list[OneShot]:
    """The kits of Debian's hydrogen-drumkits: all under free licences, named in the package's copyright file."""
    licences = {"Audiophob": "CC0", "BJA": "CC BY-SA 3.0", "circAfrique": "CC BY-SA 3.0", "belofilms": "CC BY 3.0"}
    found = []
    for path in sorted(p for p in folder.glob("*/*") if p.suffix in (".wav", ".flac", ".aiff")):
        kit = path.parent.name
        if kit.startswith(("rumpf", "Audiophob")) or EXCLUDED.search(path.name):
            continue
        licence = next((v for k, v in licences.items() if kit.startswith(k)), "GPL-2.0")
        source = "other" if kit.startswith("belofilms") else "drums"
        found.append(OneShot(path, source, Ingredient(f"drumkits/{kit}", licence)))
    return found


def of_split(shots: list[OneShot], source: str, split: str) -> list[OneShot]:
    return [
        s for s in shots if s.source == source and (split == "measure" or split_of(family(s.ingredient.name)) == split)
    ]


def shaped(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a variation of a stroke: shorter, driven, slightly faded in."""
    sound = sound / (np.max(np.abs(sound), initial=0.0) + 1e-9)
    if rng.random() < 0.5:
        sound = sound * np.exp(-np.arange(len(sound)) / SAMPLE_RATE / np.exp(rng.uniform(np.log(0.06), np.log(1.0))))
    if rng.random() < 0.25:
        sound = np.tanh(sound * rng.uniform(1, 6))
    return sound


def kit(rng: np.random.Generator, shots: list[OneShot]) -> tuple[Callable[[Hit], np.ndarray], list[Ingredient]]:
    """A kit out of ``shots``: (hit) -> (T,), and the list, filled while it plays, of what it used."""
    by_role = {role: [s for s in shots if s.role == role] for role in ROLES}
    one_set = rng.random() < 0.3
    sets = sorted({s.ingredient.name for s in shots})
    chosen = sets[rng.integers(len(sets))]
    sounds: dict[str, list[np.ndarray]] = {}
    used: list[Ingredient] = []

    def draw(role: str) -> list[np.ndarray]:
        pool = [s for s in by_role[role] if s.ingredient.name == chosen] if one_set else []
        pool = pool or by_role[role] or shots
        drawn = []
        for _ in range({"tom": 3, "conga": 3, "misc": 4, "crash": 2}.get(role, 1)):
            shot = pool[rng.integers(len(pool))]
            used.append(shot.ingredient)
            semitones = rng.choice([0.0, rng.uniform(-4, 4)]) if role != "misc" else rng.uniform(-7, 7)
            drawn.append(
                shaped(read_mono(shot.path, semitones), rng)
                * rng.uniform(0.3, 1.0)
                * (1.4 if role in ("kick", "snare", "clap") else 0.7)
            )
        return drawn

    def sound(hit: Hit) -> np.ndarray:
        if hit.role not in sounds:
            sounds[hit.role] = draw(hit.role)
        choices = sounds[hit.role]
        return hit.velocity * choices[rng.integers(len(choices))]

    return sound, used


def play_rhythm(rhythm: Rhythm, sound: Callable[[Hit], np.ndarray]) -> np.ndarray:
    """Strokes added at their places; an open hat is choked by the next hat."""
    out = np.zeros(int(rhythm.seconds * SAMPLE_RATE))
    hats = sorted(h.start_seconds for h in rhythm.hits if h.role in ("closed", "open"))
    for hit in rhythm.hits:
        start = int(hit.start_seconds * SAMPLE_RATE)
        stroke = sound(hit)[: len(out) - start]
        if hit.role == "open":
            following = next((h for h in hats if h > hit.start_seconds + 0.01), rhythm.seconds)
            stroke = stroke[: max(int((following - hit.start_seconds) * SAMPLE_RATE), 1)]
        out[start : start + len(stroke)] += stroke
    return out


def root_pitch(sound: np.ndarray) -> float:
    """The MIDI pitch of a single note by YIN's median over its loud half second, 25 to 1,000 Hz."""
    loud = sound[:SAMPLE_RATE] if len(sound) > 4096 else np.pad(sound, (0, 4096 - len(sound)))
    hertz = librosa.yin(loud.astype(np.float32), fmin=30, fmax=1000, sr=SAMPLE_RATE, frame_length=2048)
    return float(librosa.hz_to_midi(np.median(hertz)))


def play_notes(
    notes: list[Note],
    shot: OneShot,
    seconds: float,
    rng: np.random.Generator,
    reach: float = 14.0,
    ceiling: float = np.inf,
) -> np.ndarray:
    """Play a score with one sample, whose pitch becomes the score's middle; an octave lower if above ``ceiling``."""
    base = read_mono(shot.path)
    median = float(np.median([n.pitch for n in notes])) if notes else 0.0
    octave = -12.0 if np.isfinite(ceiling) and root_pitch(base) > ceiling else 0.0
    gate, release = rng.random() < 0.7, rng.uniform(0.01, 0.25)
    out, cache = np.zeros(int(seconds * SAMPLE_RATE)), dict[float, np.ndarray]()
    for note in notes:
        semitones = float(np.clip(round(note.pitch - median), -reach, reach)) + octave
        if semitones not in cache:
            cache[semitones] = read_mono(shot.path, semitones)
        sound = cache[semitones].astype(np.float64)
        start, length = int(note.start_seconds * SAMPLE_RATE), int(note.seconds * SAMPLE_RATE)
        if gate and length < len(sound):
            tail = int(release * SAMPLE_RATE)
            sound = sound[: length + tail].copy()
            sound[length:] *= np.linspace(1, 0, max(len(sound) - length, 0))
        sound = note.velocity * sound[: len(out) - start]
        out[start : start + len(sound)] += sound
    return out
