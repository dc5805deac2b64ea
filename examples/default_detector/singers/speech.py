"""Voices of speech synthesisers: spoken, rapped on a beat, and sung with WORLD; espeak-ng and flite by command.

Synthetic singing differs from a singer, but has vowels, consonants and pauses at any pitch, in many languages and
timbres. Electronic songs often contain processed speech.
"""

import io
import subprocess
from collections.abc import Callable
from functools import cache

import numpy as np
import soundfile
import soxr
from pool import SAMPLE_RATE, Ingredient
from splits import split_of

WORDS = tuple(
    """
    love night time heart away never always baby world light fire dream rain tonight dance feel hold down running
    home street money alone again maybe hello goodbye morning summer river ocean danger freedom machine radio
    electric body sugar honey crazy beautiful shadow silver golden higher lower inside outside forever yesterday
    tomorrow people music city lonely broken angel devil heaven woman children yeah oh no la na hey wow stop go come
    stay leave give take move shake break fall rise shine burn fly run walk talk sing scream whisper listen believe
    remember forget wonder wander one two three four seven eleven hundred thousand million nobody everybody
    something nothing anything where when why
    """.split()  # noqa: SIM905 - a list of quoted words is hard to read
)
FLITE_VOICES = ("awb", "kal16", "rms", "slt")


Say = Callable[[np.random.Generator, int], np.ndarray]


@cache
def espeak_voices() -> tuple[list[str], list[str]]:
    """Return the languages and variants of the installed espeak-ng."""

    def column(argument: str, index: int) -> list[str]:
        table = subprocess.run(["espeak-ng", argument], capture_output=True, text=True, check=True).stdout.splitlines()[
            1:
        ]
        return sorted({row.split()[index] for row in table})

    return column("--voices", 1), [v.split("/")[-1] for v in column("--voices=variant", 4)]


def speaker(rng: np.random.Generator, split: str) -> tuple[list[str], Ingredient]:
    """A command that reads text given as its last argument to a wav on standard output, and who speaks."""
    while True:
        if rng.random() < 0.1:
            voice = str(rng.choice(FLITE_VOICES))
            command, name = ["flite", "-voice", voice, "-o", "/dev/stdout", "-t"], f"flite-{voice}"
            licence = "flite (BSD-like)"
        else:
            languages, variants = espeak_voices()
            language, variant = str(rng.choice(languages)), str(rng.choice(variants))
            pitch, speed = int(rng.integers(5, 95)), int(rng.integers(90, 240))
            command = ["espeak-ng", "-v", f"{language}+{variant}", "-p", str(pitch), "-s", str(speed), "--stdout"]
            name, licence = f"espeak-variant-{variant}", "espeak-ng (GPL-3.0, output free)"
        if split == "measure" or split_of(name) == split:
            return command, Ingredient(name, licence)


def synthesised(command: list[str], text: str) -> np.ndarray:
    """(T,) float32 at 16 kHz; empty where the synthesiser fails on a text."""
    done = subprocess.run([*command, text], capture_output=True, timeout=30)
    if done.returncode or len(done.stdout) < 100:
        return np.zeros(0, np.float32)
    data = bytearray(done.stdout)
    # Written to a pipe, the header's lengths are wrong: set them by what arrived.
    at = data.find(b"data", 12)
    data[4:8], data[at + 4 : at + 8] = (len(data) - 8).to_bytes(4, "little"), (len(data) - at - 8).to_bytes(4, "little")
    audio, rate = soundfile.read(io.BytesIO(bytes(data)), dtype="float32", always_2d=True)
    sound = soxr.resample(audio.mean(axis=1), rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    return sound[loud[0] : loud[-1]] if len(loud) else np.zeros(0, np.float32)


def reader(command: list[str]) -> Say:
    """Return a given number of random words in the voice of a command."""
    return lambda rng, count: synthesised(command, " ".join(rng.choice(WORDS, count)))


def spoken(rng: np.random.Generator, say: Say, seconds: float) -> np.ndarray:
    """Sentences with pauses."""
    out, at = np.zeros(int(seconds * SAMPLE_RATE)), int(rng.uniform(0, 1) * SAMPLE_RATE)
    while at < len(out):
        sentence = say(rng, int(rng.integers(4, 14)))[: len(out) - at]
        out[at : at + len(sentence)] += sentence
        at += len(sentence) + int(rng.uniform(0.1, 1.5) * SAMPLE_RATE) + 1
    return out


def rapped(rng: np.random.Generator, say: Say, seconds: float) -> np.ndarray:
    """Words on the steps of a beat, sometimes doubled at the ends of lines."""
    step = 60 / rng.uniform(75, 150) / 2
    lexicon = [say(rng, int(rng.integers(1, 4))) for _ in range(14)]
    out, at = np.zeros(int(seconds * SAMPLE_RATE)), 0.0
    while at < seconds:
        word = lexicon[rng.integers(len(lexicon))]
        start = int(at * SAMPLE_RATE)
        sound = word[: len(out) - start]
        out[start : start + len(sound)] += sound * rng.uniform(0.6, 1)
        taken = len(word) / SAMPLE_RATE / step
        at += step * (max(round(taken), 1) + (rng.choice([0, 0, 1, 4]) if rng.random() < 0.3 else 0))
    return out


def sung_speech(rng: np.random.Generator, say: Say, seconds: float) -> np.ndarray:
    """Words drawn out on the notes of a melody: WORLD's voiced frames are held, their pitch is replaced."""
    import pyworld

    text = say(rng, 12).astype(np.float64)[: 9 * SAMPLE_RATE]
    if len(text) < SAMPLE_RATE:
        return np.zeros(int(seconds * SAMPLE_RATE))
    period = 8.0
    f0, time = pyworld.dio(text, SAMPLE_RATE, frame_period=period)
    spectrum, breath = pyworld.cheaptrick(text, f0, time, SAMPLE_RATE), pyworld.d4c(text, f0, time, SAMPLE_RATE)
    factor = 2 ** (rng.uniform(-3, 4) / 12)
    bins = np.arange(spectrum.shape[1])
    spectrum = np.array([np.interp(bins / factor, bins, row) for row in spectrum])
    steady = np.where(f0 > 0, rng.uniform(2, 6), 1.0)
    place = np.searchsorted(np.cumsum(steady), np.arange(0, steady.sum()), side="left").clip(0, len(f0) - 1)
    place = np.tile(place, int(np.ceil(seconds * 1000 / period / len(place))))[: int(seconds * 1000 / period)]
    centre, scale = rng.uniform(45, 70), np.array([0, 2, 4, 5, 7, 9, 11, 12]) - 5
    midi, at = np.empty(len(place)), 0
    while at < len(place):
        length = int(rng.choice([0.2, 0.3, 0.4, 0.6, 0.8, 1.2]) * rng.uniform(0.9, 1.1) * 1000 / period)
        midi[at : at + length] = centre + rng.choice(scale)
        at += length
    glide = int(rng.choice([1, 6, 15]))
    midi = np.convolve(np.pad(midi, glide, mode="edge"), np.ones(glide) / glide, "same")[glide : glide + len(place)]
    midi += rng.uniform(0, 0.5) * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * np.arange(len(place)) * period / 1000)
    voiced = np.where(f0[place] > 0, 440 * 2 ** ((midi - 69) / 12), 0.0)
    return pyworld.synthesize(
        voiced, np.ascontiguousarray(spectrum[place]), np.ascontiguousarray(breath[place]), SAMPLE_RATE, period
    )
