"""Voices through the effects of electronic music: reversed, stuttered, stretched, gated, pitched and more.

Each effect takes and returns a mono voice at 16 kHz, (T,). `processed` chains one to three of them.
"""

from collections.abc import Callable

import numpy as np
from effects import chorus, delay, filtered, low_fidelity, reverb, rms, saturation, telephone, tremolo
from pool import SAMPLE_RATE
from scipy.signal import istft, stft
from voices import chopped, layered, shifted, varispeed, vocoder, world_voice

RNG = np.random.Generator
Treatment = Callable[[np.ndarray, RNG], np.ndarray]


def reversed_voice(x: np.ndarray, rng: RNG) -> np.ndarray:
    """The whole voice backwards, or every phrase of one to three seconds on its own."""
    length = len(x) if rng.random() < 0.4 else int(rng.uniform(1, 3) * SAMPLE_RATE)
    return np.concatenate([x[start : start + length][::-1] for start in range(0, len(x), max(length, 1))])


def stutter(x: np.ndarray, rng: RNG) -> np.ndarray:
    """Short pieces repeated on a grid where they stand, some of them at rising pitch."""
    step = int(60 / rng.uniform(85, 175) / 4 * SAMPLE_RATE)
    out, at = np.asarray(x, np.float64).copy(), 0
    fade = np.minimum(np.arange(step), np.arange(step)[::-1]) / (0.004 * SAMPLE_RATE)
    while at + 8 * step < len(out):
        if rng.random() < 0.35:
            repeats, rise = int(rng.choice([2, 3, 4, 8])), rng.choice([0.0, 0.0, 1.0, 2.0])
            for i in range(1, repeats):
                piece = varispeed(x[at : at + 2 * step], 2 ** (rise * i / 12))[:step]
                piece = np.pad(piece, (0, step - len(piece)))
                out[at + i * step : at + (i + 1) * step] = piece * np.clip(fade, 0, 1)
            at += repeats * step
        at += int(rng.integers(2, 9)) * step
    return out


def ring_modulated(x: np.ndarray, rng: RNG) -> np.ndarray:
    time = np.arange(len(x)) / SAMPLE_RATE
    hertz = np.exp(rng.uniform(np.log(25), np.log(400)))
    return x * (1 - (wet := rng.uniform(0.4, 1.0)) + wet * np.sin(2 * np.pi * hertz * time))


def stretched(x: np.ndarray, rng: RNG) -> np.ndarray:
    """Slower or faster at the same or a shifted pitch."""
    speed = float(rng.choice([rng.uniform(0.4, 0.7), rng.uniform(1.3, 1.9)]))
    return shifted(x, float(rng.choice([0, 0, -12, 12, -5, 7])), speed)


def pitched(x: np.ndarray, rng: RNG) -> np.ndarray:
    """Chipmunks and giants: pitch and formants together by up to an octave."""
    return varispeed(x, 2 ** (rng.choice([-1, 1]) * rng.uniform(4, 12) / 12))


def gated_voice(x: np.ndarray, rng: RNG) -> np.ndarray:
    """A voice cut by a rhythmic gate."""
    step = 60 / rng.uniform(90, 150) / float(rng.choice([2, 4, 4, 8]))
    pattern = rng.random(int(rng.choice([4, 8, 16]))) < 0.65
    gate = pattern[(np.arange(len(x)) / SAMPLE_RATE / step).astype(int) % len(pattern)].astype(float)
    width = int(0.004 * SAMPLE_RATE)
    return x * np.convolve(gate, np.ones(width) / width, "same")


def washed(x: np.ndarray, rng: RNG) -> np.ndarray:
    """Mostly reverberation: a voice far away or turned into a texture."""
    wet = reverb(x, rng) - x
    for _ in range(int(rng.integers(1, 3))):
        wet = reverb(wet, rng)
    return wet + rng.uniform(0, 0.3) * rms(wet) / rms(x) * x


def robot(x: np.ndarray, rng: RNG) -> np.ndarray:
    """All phases zero in frames at a constant rate: one pitch, as of early speech synthesis."""
    hop = int(SAMPLE_RATE / rng.uniform(70, 220))
    size = max(4 * hop, 512)
    _, _, spectrum = stft(x, nperseg=size, noverlap=size - hop)
    out = istft(np.abs(spectrum).astype(complex), nperseg=size, noverlap=size - hop)[1]
    return filtered(np.pad(out, (0, max(len(x) - len(out), 0)))[: len(x)], "highpass", 70)


def frozen(x: np.ndarray, rng: RNG) -> np.ndarray:
    """Moments held for some seconds with random phases: granular vowels without consonants, one after another."""
    size, pieces, total = 2048, [], 0
    level = np.convolve(np.square(x), np.ones(size), "same")
    loud = np.flatnonzero(level > np.quantile(level, 0.6))
    window = np.hanning(size)
    while total < len(x):
        start = int(np.clip(rng.choice(loud) - size // 2, 0, max(len(x) - size, 0)))
        magnitude = np.abs(np.fft.rfft(x[start : start + size] * window, size))
        count = int(rng.uniform(0.3, 2.0) * SAMPLE_RATE / (size // 4))
        piece = np.zeros((count + 4) * size // 4)
        for i in range(count):
            phase = np.exp(2j * np.pi * rng.random(len(magnitude)))
            piece[i * size // 4 : i * size // 4 + size] += window * np.fft.irfft(magnitude * phase, size)
        pieces.append(piece)
        total += len(piece)
    return np.concatenate(pieces)[: len(x)]


def chops(x: np.ndarray, rng: RNG) -> np.ndarray:
    return chopped(x, rng, len(x) / SAMPLE_RATE)


def thick_chorus(x: np.ndarray, rng: RNG) -> np.ndarray:
    return chorus(chorus(x, rng), rng)


TREATMENTS: tuple[Treatment, ...] = (
    *(reversed_voice, stutter, ring_modulated, stretched, pitched, gated_voice, washed, robot, frozen, chops),
    *(thick_chorus, vocoder, layered, world_voice, delay, low_fidelity, saturation, telephone, tremolo),
)


def processed(rng: RNG, x: np.ndarray) -> tuple[np.ndarray, str]:
    """Return a voice after one to three of `TREATMENTS`, and their names."""
    chosen = rng.choice(len(TREATMENTS), int(rng.integers(1, 4)), replace=False)
    x = np.asarray(x, np.float64)
    for index in chosen:
        x = np.asarray(TREATMENTS[index](x.astype(np.float32), rng), np.float64)
        x = x * (0.1 / (rms(x) + 1e-9))
    return x, ", ".join(TREATMENTS[index].__name__ for index in chosen)
