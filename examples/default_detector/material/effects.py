"""Studio effects on a mono part: (T,) in, (T,) out, 16 kHz. Random settings come from a generator.

Parts of songs are processed by a chain of these. A detector trained without an effect can mistake it for an instrument.
The training loop applies gain, limiting and coding to the whole mixture.
"""

from collections.abc import Callable

import numpy as np
from pool import SAMPLE_RATE
from scipy.signal import fftconvolve, lfilter, sosfilt

Effect = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def biquad(kind: str, frequency: float, q: float = 0.707, gain_db: float = 0.0) -> np.ndarray:
    """A second-order section (1, 6): lowpass, highpass, bandpass, lowshelf, highshelf, peak (R. Bristow-Johnson's)."""
    omega = 2 * np.pi * min(frequency, 0.47 * SAMPLE_RATE) / SAMPLE_RATE
    cos, alpha, a = np.cos(omega), np.sin(omega) / (2 * q), 10 ** (gain_db / 40)
    if kind == "lowpass":
        b, den = [(1 - cos) / 2, 1 - cos, (1 - cos) / 2], [1 + alpha, -2 * cos, 1 - alpha]
    elif kind == "highpass":
        b, den = [(1 + cos) / 2, -1 - cos, (1 + cos) / 2], [1 + alpha, -2 * cos, 1 - alpha]
    elif kind == "bandpass":
        b, den = [alpha, 0.0, -alpha], [1 + alpha, -2 * cos, 1 - alpha]
    elif kind == "peak":
        b, den = [1 + alpha * a, -2 * cos, 1 - alpha * a], [1 + alpha / a, -2 * cos, 1 - alpha / a]
    else:
        sign, root = (1 if kind == "lowshelf" else -1), 2 * np.sqrt(a) * alpha
        b = [
            a * (a + 1 - sign * (a - 1) * cos + root),
            sign * 2 * a * (a - 1 - sign * (a + 1) * cos),
            a * (a + 1 - sign * (a - 1) * cos - root),
        ]
        den = [
            a + 1 + sign * (a - 1) * cos + root,
            -sign * 2 * (a - 1 + sign * (a + 1) * cos),
            a + 1 + sign * (a - 1) * cos - root,
        ]
    return np.array([[*b, *den]], dtype=np.float64) / den[0]


def filtered(x: np.ndarray, kind: str, frequency: float, q: float = 0.707, gain_db: float = 0.0) -> np.ndarray:
    return sosfilt(biquad(kind, frequency, q, gain_db), x)


def swept_filter(x: np.ndarray, cutoff: np.ndarray, q: float = 1.0, kind: str = "lowpass") -> np.ndarray:
    """Apply a filter with a moving cutoff (Hz, one value per block of equal length). The state is continuous."""
    block = -(-len(x) // len(cutoff))
    out, state = np.empty(len(x)), np.zeros(2)
    for i, frequency in enumerate(cutoff):
        section = slice(i * block, min((i + 1) * block, len(x)))
        if section.start >= len(x):
            break
        c = biquad(kind, float(frequency), q)[0]
        out[section], state = lfilter(c[:3], c[3:], x[section], zi=state)
    return out


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x)) + 1e-12))


def reverb(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Room, plate or hall: noise which decays exponentially, faster at high frequencies, after a short gap."""
    decay_seconds = float(np.exp(rng.uniform(np.log(0.15), np.log(3.5))))
    frames = int(min(decay_seconds, 3.0) * SAMPLE_RATE)
    time = np.arange(frames) / SAMPLE_RATE
    bright = rng.standard_normal(frames) * 10 ** (-3 * time / decay_seconds)
    dull = filtered(rng.standard_normal(frames), "lowpass", rng.uniform(800, 4000)) * 10 ** (-3 * time / decay_seconds)
    response = rng.uniform(0, 1) * bright * np.exp(-3 * time / decay_seconds) + dull
    response = np.concatenate([np.zeros(int(rng.uniform(0, 0.04) * SAMPLE_RATE)), response])
    wet = fftconvolve(x, filtered(response, "highpass", rng.uniform(60, 300)))[: len(x)]
    return x + wet * (rms(x) / rms(wet)) * rng.uniform(0.08, 0.9)


def delay(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Echoes, each duller than the one before."""
    gap = int(rng.choice([0.09, 0.125, 0.188, 0.25, 0.33, 0.375, 0.5]) * rng.uniform(0.8, 1.2) * SAMPLE_RATE)
    feedback, out, echo = rng.uniform(0.15, 0.6), x.copy(), x * rng.uniform(0.2, 0.7)
    for repeat in range(1, 7):
        if repeat * gap >= len(x):
            break
        echo = filtered(echo, "lowpass", 4500)
        out[repeat * gap :] += echo[: len(x) - repeat * gap]
        echo = echo * feedback
    return out


def chorus(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to three copies whose delay wanders; short delays flange, long ones double."""
    out, time = x.copy(), np.arange(len(x))
    for _ in range(rng.integers(1, 4)):
        depth, base = rng.uniform(5, 60), rng.uniform(80, 450)
        wander = base + depth * (1 + np.sin(2 * np.pi * rng.uniform(0.1, 2) * time / SAMPLE_RATE + rng.uniform(0, 6)))
        out += rng.uniform(0.4, 1.0) * np.interp(time - wander, time, x, left=0.0)
    return out


def saturation(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tape to fuzz: a soft or asymmetric curve, from barely to fully driven."""
    drive = 10 ** (rng.uniform(-6, 30) / 20)
    y = drive * x / (rms(x) * 4 + 1e-9)
    bias = rng.choice([0.0, rng.uniform(0, 0.5)])
    y = np.tanh(y + bias) - np.tanh(bias) if rng.random() < 0.8 else np.clip(y, -0.6, 1.0)
    return y


def compression(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A feed-forward compressor in steps of 4 ms with its own attack and release, brought up to the old level."""
    hop = 64
    level = np.sqrt(np.mean(np.square(np.pad(x, (0, -len(x) % hop)).reshape(-1, hop)), axis=1) + 1e-10)
    smooth = lfilter([a := rng.uniform(0.05, 0.5)], [1, a - 1], level)
    over_db = np.maximum(20 * np.log10(np.maximum(smooth, 1e-6) / (rms(x) * 10 ** (rng.uniform(-12, 0) / 20))), 0)
    gain = 10 ** (-over_db * (1 - 1 / rng.uniform(1.5, 10)) / 20)
    return x * np.repeat(gain, hop)[: len(x)]


def equaliser(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A tilt and one or two bells."""
    x = filtered(x, "lowshelf", rng.uniform(100, 500), gain_db=rng.uniform(-9, 6))
    x = filtered(x, "highshelf", rng.uniform(1500, 5000), gain_db=rng.uniform(-12, 9))
    for _ in range(rng.integers(1, 3)):
        x = filtered(x, "peak", np.exp(rng.uniform(np.log(120), np.log(6000))), rng.uniform(0.5, 4), rng.uniform(-9, 9))
    return x


def low_fidelity(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An old sampler: few bits, and samples held without interpolation."""
    held = x[(np.arange(len(x)) // (hold := rng.integers(1, 5))) * hold]
    steps = 2 ** rng.integers(4, 10)
    peak = np.max(np.abs(x), initial=1e-9)
    return np.round(held / peak * steps) / steps * peak


def sweep(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A filter opened and closed over seconds, or by a fast oscillator (auto-wah)."""
    blocks = max(len(x) // 256, 1)
    time = np.arange(blocks) * 256 / SAMPLE_RATE
    octaves = np.sin(2 * np.pi * np.exp(rng.uniform(np.log(0.03), np.log(3))) * time + rng.uniform(0, 6))
    cutoff = np.exp(rng.uniform(np.log(400), np.log(2500))) * 2 ** (rng.uniform(0.5, 1.8) * octaves)
    return swept_filter(
        x, np.clip(cutoff, 60, 7000), rng.uniform(0.7, 4), str(rng.choice(["lowpass", "lowpass", "highpass"]))
    )


def tremolo(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(len(x)) / SAMPLE_RATE
    depth = rng.uniform(0.2, 0.9)
    return x * (1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(2, 9) * time)))


def telephone(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    x = filtered(filtered(x, "highpass", rng.uniform(250, 600)), "lowpass", rng.uniform(1800, 3800))
    return saturation(filtered(x, "peak", 1500, 1, 6), rng) if rng.random() < 0.6 else x


def pumping(x: np.ndarray, rng: np.random.Generator, beat_seconds: float) -> np.ndarray:
    """Apply side-chain compression without the kick: the level falls on each beat and recovers by the next."""
    phase = (np.arange(len(x)) / SAMPLE_RATE) % beat_seconds / beat_seconds
    return x * (1 - rng.uniform(0.4, 1.0) * np.clip(1 - phase / rng.uniform(0.3, 0.9), 0, 1) ** rng.uniform(0.5, 2))


CHAINS: dict[str, dict[Effect, float]] = {
    "drums": {
        equaliser: 0.5,
        saturation: 0.25,
        compression: 0.3,
        low_fidelity: 0.12,
        sweep: 0.06,
        delay: 0.06,
        reverb: 0.4,
    },
    "bass": {
        equaliser: 0.5,
        saturation: 0.3,
        compression: 0.3,
        low_fidelity: 0.08,
        sweep: 0.08,
        chorus: 0.15,
        reverb: 0.08,
    },
    "other": {
        equaliser: 0.5,
        saturation: 0.2,
        compression: 0.15,
        low_fidelity: 0.1,
        sweep: 0.15,
        tremolo: 0.1,
        chorus: 0.25,
        delay: 0.25,
        reverb: 0.5,
    },
    "vocals": {
        equaliser: 0.5,
        saturation: 0.15,
        compression: 0.35,
        low_fidelity: 0.06,
        telephone: 0.07,
        sweep: 0.04,
        chorus: 0.12,
        delay: 0.25,
        reverb: 0.55,
    },
}


def studio(x: np.ndarray, source: str, rng: np.random.Generator, beat_seconds: float | None = None) -> np.ndarray:
    """Apply the usual effects of a part of ``source``, in the usual order, each with its usual probability."""
    x = np.asarray(x, dtype=np.float64)
    x = x / (np.max(np.abs(x), initial=0.0) + 1e-9)
    for effect, odds in CHAINS[source].items():
        if rng.random() < odds:
            x = effect(x, rng)
    if beat_seconds is not None and source in ("bass", "other") and rng.random() < 0.25:
        x = pumping(x, rng, beat_seconds)
    return filtered(x, "highpass", 25.0)  # asymmetric saturation leaves an offset
