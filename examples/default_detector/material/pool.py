"""Pool of isolated parts: OUT/{drums,bass,other,vocals}/*.flac, mono 16 kHz, and a manifest of their ingredients.

A generator is a function of a random generator and a split. Part ``i`` is therefore the same in every run, and a larger
count extends a pool.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr
from splits import SPLITS

SAMPLE_RATE = 16000
SOURCES = ("drums", "bass", "other", "vocals")


@dataclass(frozen=True)
class Ingredient:
    """Ingredient of a part: its name, which decides the split, and its licence."""

    name: str
    licence: str

    def __str__(self) -> str:
        return f"{self.name} ({self.licence})"


@dataclass
class Part:
    """One rendered part of one source: (T,) float32 at 16 kHz, and its ingredients."""

    source: str
    audio: np.ndarray
    style: str
    ingredients: list[Ingredient] = field(default_factory=list)


Generator = Callable[[np.random.Generator, str], Part]


def read_mono(path: Path, semitones: float = 0.0) -> np.ndarray:
    """Return a file as (T,) float32 at 16 kHz, played ``semitones`` higher and thus shorter, as by a sampler."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = audio.mean(axis=1)
    return soxr.resample(mono, rate * 2 ** (semitones / 12), SAMPLE_RATE).astype(np.float32)


def parts(
    generate: Generator, name: str, split: str, count: int, seed: int, skip: Callable[[str], bool]
) -> Iterator[tuple[str, Part]]:
    """Yield the first ``count`` parts of a generator, named NAME_00000 and so on, without those in ``skip``."""
    for index in range(count):
        stem = f"{name}_{split}_{seed}_{index:05d}"
        if not skip(stem):
            rng = np.random.default_rng(
                [seed, zlib.crc32(name.encode()), SPLITS.index(split) if split in SPLITS else 9, index]
            )
            yield stem, generate(rng, split)


def levelled(audio: np.ndarray) -> np.ndarray | None:
    """Scale to -20 dB RMS in loud half seconds (90th percentile), lower if peaks would clip; None for silence."""
    audio = np.nan_to_num(np.asarray(audio, dtype=np.float64))
    window = SAMPLE_RATE // 2
    power = np.mean(np.square(np.pad(audio, (0, -len(audio) % window)).reshape(-1, window)), axis=1)
    loud, peak = float(np.sqrt(np.quantile(power, 0.9))), float(np.max(np.abs(audio), initial=0.0))
    if peak < 1e-4 or loud < 1e-6:
        return None
    return audio * min(0.1 / loud, 0.95 / peak)


def write_part(part: Part, folder: Path, stem: str) -> Path | None:
    """Write a part as int16 at the level of `levelled`, whole or not at all; nothing for a part without sound."""
    audio = levelled(part.audio)
    if audio is None:
        return None
    path = folder / part.source / f"{stem}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{stem}.tmp-{os.getpid()}")  # no .flac: nothing takes it for a part
    soundfile.write(temporary, audio, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    os.replace(temporary, path)
    return path


class Manifest:
    """Ingredients of each file: ``manifest_NAME.json``, one per generator, so that generators can run in parallel."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"manifest_{name}.json"
        self.rows: dict[str, dict[str, object]] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def known(self, stem: str) -> bool:
        return stem in self.rows

    def add(self, stem: str, part: Part, written: bool) -> None:
        self.rows[stem] = {
            "source": part.source if written else None,
            "seconds": round(len(part.audio) / SAMPLE_RATE, 2),
            "style": part.style,
            "ingredients": [i.name for i in part.ingredients],
            "licences": sorted({i.licence for i in part.ingredients}),
        }

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".tmp-{os.getpid()}")
        temporary.write_text(json.dumps(self.rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, self.path)
