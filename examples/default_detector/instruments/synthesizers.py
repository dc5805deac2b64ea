"""Synthesised instruments with random settings: subtractive, FM and additive voices, plucked strings, 808s.

Such sounds are typical of electronic songs, and sample collections have too few of them. A patch is drawn once per
part; its voices play the notes of a score. The rate is 16 kHz. Partials stop below 7.5 kHz, so only the effects alias.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from effects import filtered, swept_filter
from pool import SAMPLE_RATE
from scipy.signal import lfilter
from scores import Note

Voice = Callable[[float, int, float], np.ndarray]
NYQUIST = 7500.0


def frequency(pitch: float) -> float:
    return 440.0 * 2 ** ((pitch - 69) / 12)


def envelope(frames: int, attack: float, decay: float, sustain: float, release: float) -> np.ndarray:
    """Attack, decay and release in seconds, sustain as a level; (frames + release,)."""
    tail = int(release * SAMPLE_RATE)
    time = np.arange(frames + tail) / SAMPLE_RATE
    rise = np.minimum(time / max(attack, 1e-3), 1.0)
    body = sustain + (1 - sustain) * np.exp(-np.maximum(time - attack, 0) / max(decay, 1e-3))
    fall = np.where(
        np.arange(frames + tail) < frames, 1.0, np.exp(-4 * (time - frames / SAMPLE_RATE) / max(release, 1e-3))
    )
    return rise * body * fall


def oscillator(shape: str, hertz: np.ndarray, phase: float = 0.0, width: float = 0.5) -> np.ndarray:
    """Sine, saw, square, pulse or triangle whose frequency is given per sample; band-limited by PolyBLEP."""
    step = hertz / SAMPLE_RATE
    cycle = (np.cumsum(step) + phase) % 1.0
    if shape == "sine":
        return np.sin(2 * np.pi * cycle)
    if shape == "triangle":
        return 1 - 4 * np.abs(cycle - 0.5)
    if shape == "saw":
        return 2 * cycle - 1 - _blep(cycle, step)
    shifted = (cycle + 1 - width) % 1.0
    return np.where(cycle < width, 1.0, -1.0) + _blep(cycle, step) - _blep(shifted, step)


def _blep(cycle: np.ndarray, step: np.ndarray) -> np.ndarray:
    out = np.zeros_like(cycle)
    low, high = cycle < step, cycle > 1 - step
    t = cycle[low] / step[low]
    out[low] = 2 * t - t * t - 1
    t = (cycle[high] - 1) / step[high]
    out[high] = t * t + 2 * t + 1
    return out


@dataclass
class Patch:
    """A name for the manifest and a function (seconds, pitch, velocity) -> (T,) that plays one note."""

    name: str
    voice: Voice


def subtractive(rng: np.random.Generator, register: str) -> Patch:
    """One to seven oscillators, a filter with its own envelope, sometimes a slow oscillator on the cutoff."""
    shape = str(rng.choice(["saw", "square", "pulse", "triangle", "sine", "saw"]))
    count = int(rng.choice([1, 1, 2, 2, 3] if register == "bass" else [1, 2, 3, 5, 7]))
    detune = rng.uniform(0, 0.25) if rng.random() < 0.7 else rng.uniform(0.2, 0.5)
    sub = rng.uniform(0, 1) if register == "bass" and rng.random() < 0.5 else 0.0
    width, noise = rng.uniform(0.1, 0.5), rng.choice([0.0, 0.0, rng.uniform(0, 0.1)])
    cutoff, resonance = (
        np.exp(rng.uniform(np.log(150 if register == "bass" else 400), np.log(5000))),
        rng.choice([0.7, 1, 2, 4, 8]),
    )
    amount, filter_decay = rng.uniform(0, 3.5), np.exp(rng.uniform(np.log(0.03), np.log(1.0)))
    lfo, lfo_depth = np.exp(rng.uniform(np.log(0.2), np.log(10))), rng.choice([0.0, 0.0, rng.uniform(0.3, 1.5)])
    slow = register != "bass" and rng.random() < 0.35
    attack = rng.uniform(0.1, 0.8) if slow else rng.uniform(0.002, 0.03)
    decay, sustain = np.exp(rng.uniform(np.log(0.06), np.log(2))), rng.choice([0.0, 0.3, 0.7, 1.0])
    release = rng.uniform(0.3, 1.2) if slow else rng.uniform(0.02, 0.3)
    vibrato, glide = rng.choice([0.0, rng.uniform(0, 0.3)]), rng.choice([0.0, 0.0, rng.uniform(-12, 12)])
    phases, spread = rng.random(count + 1), rng.uniform(-1, 1, count)

    def voice(seconds: float, pitch: int, velocity: float) -> np.ndarray:
        amp = envelope(int(seconds * SAMPLE_RATE), attack, decay, sustain, release)
        time = np.arange(len(amp)) / SAMPLE_RATE
        bend = vibrato * np.sin(2 * np.pi * 5.5 * time) * np.minimum(time * 2, 1) + glide * np.exp(-time / 0.02)
        out = np.zeros(len(amp))
        for i in range(count):
            hertz = frequency(pitch) * 2 ** ((bend + detune * spread[i]) / 12)
            out += oscillator(shape, hertz, phases[i], width)
        out = out / np.sqrt(count) + sub * np.sin(2 * np.pi * frequency(pitch - 12 * (pitch > 40)) * time)
        if noise:
            out = out + noise * np.random.default_rng(pitch).standard_normal(len(out))
        t = np.arange(0, len(out), 64) / SAMPLE_RATE
        octaves = amount * velocity * np.exp(-t / filter_decay) + lfo_depth * np.sin(2 * np.pi * lfo * t)
        return velocity * amp * swept_filter(out, np.clip(cutoff * 2**octaves, 60, 7400), float(resonance))

    return Patch(f"subtractive {count} {shape}", voice)


def frequency_modulation(rng: np.random.Generator, register: str) -> Patch:
    """Two modulators on a carrier: electric pianos, bells, brass, hard basses."""
    ratios = rng.choice([0.5, 1, 1, 2, 3, 4, 7, 1.41, 3.5, 5.2, 9], 2)
    ratios = rng.choice([0.5, 1, 1, 2, 3], 2) if register == "bass" else ratios
    index, decays = rng.uniform(0.3, 6, 2), np.exp(rng.uniform(np.log(0.03), np.log(2), 2))
    floor, feedback = rng.uniform(0, 0.6), rng.uniform(0, 0.5)
    attack = rng.choice([0.002, 0.002, rng.uniform(0.01, 0.2)])
    decay, sustain, release = (
        np.exp(rng.uniform(np.log(0.1), np.log(2.5))),
        rng.choice([0.0, 0.4, 0.9]),
        rng.uniform(0.03, 0.5),
    )

    def voice(seconds: float, pitch: int, velocity: float) -> np.ndarray:
        amp = envelope(int(seconds * SAMPLE_RATE), attack, decay, sustain, release)
        time, hertz = np.arange(len(amp)) / SAMPLE_RATE, frequency(pitch)
        phase = np.zeros(len(amp))
        for ratio, depth, fall in zip(ratios, index, decays, strict=True):
            depth = min(depth * velocity, NYQUIST / hertz / max(ratio, 1) - 1)
            strength = max(depth, 0.0) * (floor + (1 - floor) * np.exp(-time / fall))
            phase = strength * np.sin(2 * np.pi * ratio * hertz * time + phase * feedback)
        return velocity * amp * np.sin(2 * np.pi * hertz * time + phase)

    return Patch(f"fm {ratios[0]}:{ratios[1]}", voice)


def additive(rng: np.random.Generator, register: str) -> Patch:
    """A fixed random spectrum: organs, woodwind-like and glassy tones; partials may be stretched and decay in turn."""
    partials = int(rng.integers(2, 20))
    levels = rng.random(partials) ** 2 / np.arange(1, partials + 1) ** rng.uniform(0, 1.5)
    levels[0] = max(levels[0], 0.5)
    stretch = rng.choice([0.0, 0.0, rng.uniform(0, 0.02)])
    die, attack = rng.uniform(0, 2), rng.choice([0.005, 0.01, rng.uniform(0.02, 0.3)])
    decay, sustain, release = rng.uniform(0.2, 3), rng.choice([0.0, 1.0, 1.0]), rng.uniform(0.03, 0.4)
    phases = rng.uniform(0, 2 * np.pi, partials)

    def voice(seconds: float, pitch: int, velocity: float) -> np.ndarray:
        amp = envelope(int(seconds * SAMPLE_RATE), attack, decay, sustain, release)
        time, out = np.arange(len(amp)) / SAMPLE_RATE, np.zeros(len(amp))
        for i, level in enumerate(levels):
            hertz = frequency(pitch) * (i + 1) * (1 + stretch * i)
            if hertz < NYQUIST:
                out += level * np.exp(-die * i * time * (sustain == 0)) * np.sin(2 * np.pi * hertz * time + phases[i])
        return velocity * amp * out

    return Patch(f"additive {partials}", voice)


def plucked_string(rng: np.random.Generator, register: str) -> Patch:
    """A Karplus-Strong string: guitars, harps, basses, koto-like; damping, pick position and drive are drawn once."""
    damping, brightness = rng.uniform(0.985, 0.9995), rng.uniform(0.2, 1.0)
    position, drive = rng.uniform(0.05, 0.5), rng.choice([0.0, 0.0, rng.uniform(1, 30)])
    mute = rng.choice([1.0, 1.0, rng.uniform(0.9, 0.98)])

    def voice(seconds: float, pitch: int, velocity: float) -> np.ndarray:
        frames = int((seconds + 0.15) * SAMPLE_RATE)
        period = SAMPLE_RATE / frequency(pitch) - 0.5
        whole = max(int(period), 2)
        noise = np.zeros(frames)
        burst = np.random.default_rng(pitch + int(velocity * 1000)).uniform(-1, 1, whole)
        burst = lfilter([brightness], [1, brightness - 1], burst)
        noise[: min(whole, frames)] = burst[:frames] - np.roll(burst, int(position * whole))[:frames]
        loop, fraction = damping * mute, period - whole
        feedback = np.zeros(whole + 3)
        feedback[0] = 1.0
        feedback[whole : whole + 3] -= loop * np.convolve([0.5, 0.5], [1 - fraction, fraction])
        out = lfilter([1.0], feedback, noise)
        out[-1600:] *= np.linspace(1, 0, min(1600, frames))
        out = filtered(out, "highpass", 25)
        return velocity * (np.tanh(drive * out) if drive else out)

    return Patch("plucked string" + (" driven" if drive else ""), voice)


def long_808(rng: np.random.Generator, register: str) -> Patch:
    """A tuned bass drum held for a beat or more, the bass of trap: a falling sine, from pure to distorted."""
    drop, fall = rng.uniform(4, 30), rng.uniform(0.01, 0.06)
    decay, drive, click = rng.uniform(0.3, 2.0), 10 ** (rng.uniform(-10, 25) / 20), rng.uniform(0, 0.3)
    glide = rng.choice([0.0, 0.0, rng.uniform(-7, 7)])

    def voice(seconds: float, pitch: int, velocity: float) -> np.ndarray:
        amp = envelope(int(seconds * SAMPLE_RATE), 0.002, decay, 0.0, 0.08)
        time = np.arange(len(amp)) / SAMPLE_RATE
        bend = drop * np.exp(-time / fall) + glide * np.clip(time / max(seconds, 0.1) * 2 - 1, 0, 1)
        out = np.sin(2 * np.pi * np.cumsum(frequency(pitch) * 2 ** (bend / 12)) / SAMPLE_RATE)
        return velocity * (np.tanh(drive * amp * out) + click * np.exp(-time / 0.003) * np.sign(out))

    return Patch("long 808", voice)


BASS_PATCHES = (subtractive, subtractive, frequency_modulation, plucked_string, long_808, additive)
OTHER_PATCHES = (subtractive, subtractive, frequency_modulation, additive, plucked_string)


def play(notes: list[Note], voice: Voice, seconds: float) -> np.ndarray:
    """Play all notes of a score, cut at ``seconds``."""
    out = np.zeros(int(seconds * SAMPLE_RATE))
    cache: dict[tuple[int, int, int], np.ndarray] = {}
    for note in notes:
        key = (round(note.seconds * 50), note.pitch, round(note.velocity * 8))
        if key not in cache:
            cache[key] = voice(max(note.seconds, 0.03), note.pitch, note.velocity)
        start = int(note.start_seconds * SAMPLE_RATE)
        sound = cache[key][: len(out) - start]
        out[start : start + len(sound)] += sound
    return out
