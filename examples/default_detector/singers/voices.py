"""Voice conversion of dry singing: other voices, choirs, robots, whispers and vocal chops.

Varispeed shifts pitch and formants together. A pitch shifter then shifts the pitch alone, so that the two are
independent. WORLD (optional, ``pyworld``) changes breathiness and intonation.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from effects import filtered, rms
from pool import SAMPLE_RATE, Ingredient
from scipy.signal import istft, stft
from scores import random_harmony
from splits import split_of
from synthesizers import frequency, oscillator

LICENCE_OF_SINGING16K = "MIR-1K: research use, no licence file"
LOOP_LICENCES = {"audiokit": "MIT", "csd": "CC BY-NC-SA 4.0", "oatsu": "MIT", "psola": "MIT"}


@dataclass(frozen=True)
class Recording:
    path: Path
    ingredient: Ingredient


def recordings(audio: Path, split: str) -> list[Recording]:
    """Return dry singing and speech under ``audio`` with a singer (before the first '_') in ``split``."""
    found = [
        Recording(p, Ingredient(f"singer/{p.stem.split('_')[0]}", LICENCE_OF_SINGING16K))
        for p in sorted((audio / "singing16k").glob("*.flac"))
    ]
    for path in sorted((audio / "loops" / "vocals").glob("*.flac")):
        name = path.stem.split("_")[0]
        found.append(Recording(path, Ingredient(f"singer/{name}", LOOP_LICENCES[name])))
    if split == "measure":
        folder = audio / "unclear_licence" / "loops" / "vocals"
        return [Recording(p, Ingredient(f"singer/{p.stem}", "unclear")) for p in sorted(folder.glob("*.flac"))]
    return [r for r in found if split_of(r.ingredient.name) == split]


def excerpt(rng: np.random.Generator, path: Path, seconds: float) -> np.ndarray:
    """Return a random stretch of a file at 16 kHz, (T,), or the whole file if it is shorter."""
    info = soundfile.info(path)
    frames = min(int(seconds * info.samplerate), info.frames)
    start = int(rng.integers(0, info.frames - frames + 1))
    audio, rate = soundfile.read(path, frames=frames, start=start, dtype="float32", always_2d=True)
    return soxr.resample(audio.mean(axis=1), rate, SAMPLE_RATE)


def varispeed(x: np.ndarray, factor: float) -> np.ndarray:
    """Play ``factor`` times faster: higher pitch and formants, shorter."""
    return soxr.resample(x, SAMPLE_RATE * factor, SAMPLE_RATE)


def shifted(x: np.ndarray, semitones: float, speed: float = 1.0) -> np.ndarray:
    """Change pitch and duration independently (Signalsmith's stretch, extra ``augment``)."""
    import python_stretch

    stretch = python_stretch.Signalsmith.Stretch()
    stretch.preset(1, SAMPLE_RATE)
    stretch.setTransposeSemitones(float(semitones))
    stretch.timeFactor = float(speed)
    return np.asarray(stretch.process(np.asarray(x, np.float32)[None]))[0]


def another_singer(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Formants by -4 to +5 semitones, pitch by -6 to +6 in all, tempo by a fifth either way."""
    formant, pitch = rng.uniform(-4, 5), rng.uniform(-6, 6)
    return shifted(varispeed(x, 2 ** (formant / 12)), pitch - formant, rng.uniform(0.85, 1.2))


def world_voice(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """WORLD (Morise et al. 2016): pitch flattened, quantised or given vibrato, formants moved, breath added."""
    import pyworld

    x = np.asarray(x, dtype=np.float64)
    f0, time = pyworld.dio(x, SAMPLE_RATE, frame_period=8.0)
    spectrum = pyworld.cheaptrick(x, f0, time, SAMPLE_RATE)
    breath = pyworld.d4c(x, f0, time, SAMPLE_RATE)
    midi = 69 + 12 * np.log2(np.maximum(f0, 1e-3) / 440) + rng.uniform(-7, 7)
    style = rng.choice(["shift", "autotune", "monotone", "vibrato", "breathy", "whisper"])
    if style == "autotune":
        midi = np.round(midi)
    elif style == "monotone":
        midi = np.full_like(midi, np.median(midi[f0 > 0]) if np.any(f0 > 0) else 50)
    elif style == "vibrato":
        midi = midi + rng.uniform(0.3, 1) * np.sin(2 * np.pi * rng.uniform(4, 7) * time)
    f0 = np.where(f0 > 0, 440 * 2 ** ((midi - 69) / 12), 0.0)
    if style in ("breathy", "whisper"):
        breath = breath ** (rng.uniform(0.2, 0.6) if style == "breathy" else 0.02)
    f0 = f0 if style != "whisper" else np.zeros_like(f0)
    factor = 2 ** (rng.uniform(-4, 5) / 12)
    bins = np.arange(spectrum.shape[1])
    warped = np.array([np.interp(bins / factor, bins, row) for row in spectrum])
    return pyworld.synthesize(f0, np.ascontiguousarray(warped), np.ascontiguousarray(breath), SAMPLE_RATE, 8.0)


def vocoder(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The spectral envelope of a voice on saws (robots and chords) or noise (whispers), 32 ms windows."""
    frames = len(x)
    if rng.random() < 0.25:
        carrier = rng.standard_normal(frames)
    else:
        harmony, bar = random_harmony(rng), int(rng.uniform(1, 4) * SAMPLE_RATE)
        carrier = np.zeros(frames)
        root, single = int(rng.integers(40, 58)), rng.random() < 0.5
        for i, start in enumerate(range(0, frames, bar)):
            length = min(bar, frames - start)
            for v in range(1 if single else 3):
                pitch = root + harmony.pitch(harmony.chord(i) + 2 * v) - harmony.tonic
                carrier[start : start + length] += oscillator("saw", np.full(length, frequency(pitch)))
        carrier += 0.05 * rng.standard_normal(frames)
    window = 512
    _, _, voice = stft(x, nperseg=window)
    _, _, tone = stft(carrier, nperseg=window)
    order = int(rng.integers(12, 40))
    cepstrum = np.fft.irfft(np.log(np.abs(voice) + 1e-6), axis=0)
    cepstrum[order : window - order + 1] = 0
    envelope = np.exp(np.fft.rfft(cepstrum, axis=0).real)
    flat = tone / (np.abs(tone) ** rng.uniform(0.0, 0.8) + 1e-3)
    level = np.sqrt(np.mean(np.abs(voice) ** 2, axis=0, keepdims=True))
    out = istft(flat * envelope * (level > 0.02 * level.max()), nperseg=window)[1][:frames]
    return filtered(np.pad(out, (0, max(frames - len(out), 0))), "highpass", 70)


def layered(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Doubles, harmonies and octaves under the lead, each late by up to 40 ms, or six to eight voices as a choir."""
    choir = rng.random() < 0.35
    out = np.asarray(x, dtype=np.float64).copy() * (0.6 if choir else 1.0)
    for _ in range(int(rng.integers(4, 8)) if choir else int(rng.integers(1, 3))):
        semitones = rng.choice([0, 0, 0, 3, 4, 5, 7, -5, -12, 12]) + rng.normal(0, 0.15)
        copy = another_voice_of_choir(x, semitones, rng)[: len(out)]
        late = int(rng.uniform(0.005, 0.08 if choir else 0.04) * SAMPLE_RATE)
        copy = copy[: len(out) - late]
        out[late : late + len(copy)] += rng.uniform(0.3, 0.9) * copy
    return out


def another_voice_of_choir(x: np.ndarray, semitones: float, rng: np.random.Generator) -> np.ndarray:
    formant = rng.uniform(-2, 2)
    stretched = shifted(varispeed(x, 2 ** (formant / 12)), semitones - formant, 2 ** (-formant / 12))
    return np.pad(stretched, (0, max(len(x) - len(stretched), 0)))


def chopped(x: np.ndarray, rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Syllables cut out, transposed and repeated on a grid: the vocal chops of dance music."""
    step = 60 / rng.uniform(85, 175) / float(rng.choice([1, 2, 2, 4]))
    level = np.convolve(np.square(x), np.ones(1600), "same")
    loud = np.flatnonzero(level > np.quantile(level, 0.6))
    loud = loud[loud < len(x) - 4000] if np.any(loud < len(x) - 4000) else np.array([0])
    slices = []
    for _ in range(int(rng.integers(2, 7))):
        start = int(rng.choice(loud))
        cut = x[start : start + int(rng.uniform(0.08, 0.5) * SAMPLE_RATE)].astype(np.float64)
        cut = varispeed(cut, 2 ** (rng.choice([-5, -3, 0, 0, 2, 4, 7, 12]) / 12)).astype(np.float64)
        fade = min(160, len(cut) // 4)
        cut[:fade] *= np.linspace(0, 1, fade)
        cut[len(cut) - fade :] *= np.linspace(1, 0, fade)
        slices.append(cut / (rms(cut) + 1e-6) * 0.1)
    out = np.zeros(int(seconds * SAMPLE_RATE))
    order = [int(rng.integers(-1, len(slices))) for _ in range(int(rng.choice([8, 16])))]
    for i in range(int(seconds / step)):
        which = order[i % len(order)] if rng.random() < 0.85 else int(rng.integers(-1, len(slices)))
        if which >= 0:
            start = int(i * step * SAMPLE_RATE)
            sound = slices[which][: len(out) - start]
            out[start : start + len(sound)] += sound
    return out


def sung(rng: np.random.Generator, x: np.ndarray, seconds: float) -> tuple[np.ndarray, str]:
    """One treatment of an excerpt, and its name."""
    style = str(
        rng.choice(
            ["plain", "singer", "singer", "singer", "world", "world", "vocoder", "layered", "layered", "chopped"]
        )
    )
    if style == "singer":
        return another_singer(x, rng), "singer"
    if style == "world":
        return world_voice(x, rng), style
    if style in ("vocoder", "layered"):
        x = another_singer(x, rng) if rng.random() < 0.6 else x
        return (vocoder if style == "vocoder" else layered)(x, rng), style
    return (chopped(x, rng, seconds), style) if style == "chopped" else (x, style)
