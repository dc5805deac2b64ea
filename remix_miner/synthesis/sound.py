"""Elements of synthetic sounds: tones with changing harmonics, shaped noise, panning, filters, a room.

Signals are mono (T,) float32 unless a shape states otherwise; randomness comes from a generator.
"""

import functools
from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.signal
from jaxtyping import Float32
from numpy.random import Generator

Mono = Float32[np.ndarray, " T"]
Stereo = Float32[np.ndarray, "2 T"]
Spectrum = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Amplitudes (R, K) of harmonics at R instants: called with seconds (R, 1) and the harmonics' hertz (R, K)."""

NOISE_WINDOW, NOISE_HOP = 1024, 256
SHORTEST_PERIOD = 64


def hertz(pitch: float) -> float:
    """Return the frequency of a MIDI pitch number; 69 is 440 Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))


def harmonic_tone(
    hz: float | np.ndarray, frames: int, sample_rate: int, spectrum: Spectrum, phases: np.ndarray | None = None
) -> Mono:
    """Return a tone whose harmonics' amplitudes change from one period to the next, free of aliasing.

    Each period is one inverse Fourier transform of ``spectrum``; the periods are laid end to end and read at the
    speed of the pitch ``hz``, a number or one value a frame (vibrato, glides).
    """
    pitch = np.broadcast_to(np.asarray(hz, dtype=np.float64), (frames,))
    lowest, highest = float(pitch.min()), float(pitch.max())
    # At least twice the samples that the period needs, so that reading between them adds little.
    period = scipy.fft.next_fast_len(max(int(np.ceil(2 * sample_rate / lowest)) + 2, SHORTEST_PERIOD), real=True)
    count = min(max(int(0.5 * sample_rate / highest), 1), (period - 1) // 2)
    cycles = np.cumsum(pitch) / sample_rate
    rows = int(cycles[-1]) + 2
    starts = np.minimum(np.searchsorted(cycles, np.arange(rows)), frames - 1)
    amplitudes = spectrum(
        (starts / sample_rate)[:, None].astype(np.float32),
        (pitch[starts][:, None] * np.arange(1, count + 1)).astype(np.float32),
    )
    coefficients = np.zeros((rows, period // 2 + 1), dtype=np.complex64)
    coefficients[:, 1 : count + 1] = amplitudes
    if phases is not None:
        coefficients[:, 1 : count + 1] *= np.exp(1j * np.resize(phases, count)).astype(np.complex64)
    wave = scipy.fft.irfft(coefficients, period, axis=1).ravel() * np.float32(period / 2)
    position = cycles * period
    index = position.astype(np.int64)
    fraction = (position - index).astype(np.float32)
    tone: Mono = wave[index] * (1 - fraction) + wave[index + 1] * fraction
    return tone


def shaped_noise(gains: np.ndarray, rng: Generator) -> Mono:
    """Return noise with a changing spectrum: ``gains`` (F, 513) per frame of 256 samples; F * 256 samples long."""
    shape = gains.shape
    values = rng.standard_normal((2, *shape), dtype=np.float32)
    spectra = (values[0] + 1j * values[1]) * gains
    window = np.hanning(NOISE_WINDOW + 1)[:-1].astype(np.float32)
    pieces = scipy.fft.irfft(spectra, NOISE_WINDOW, axis=1) * window
    noise = np.zeros((shape[0] + 3, NOISE_HOP), dtype=np.float32)
    for part in range(4):
        noise[part : part + shape[0]] += pieces[:, part * NOISE_HOP : (part + 1) * NOISE_HOP]
    middle: Mono = noise.ravel()[NOISE_WINDOW // 2 - NOISE_HOP // 2 :][: shape[0] * NOISE_HOP]
    return middle * np.float32(np.sqrt(NOISE_WINDOW))


def noise_hertz(sample_rate: int) -> np.ndarray:
    """Return the frequencies of the 513 columns of `shaped_noise`."""
    return np.linspace(0, sample_rate / 2, NOISE_WINDOW // 2 + 1, dtype=np.float32)


def white(frames: int, rng: Generator) -> Mono:
    """Return Gaussian noise (T,)."""
    return rng.standard_normal(frames, dtype=np.float32)


def decay(frames: int, sample_rate: int, seconds: float) -> Mono:
    """Return an exponential decay to 1/e in ``seconds``."""
    shape: Mono = np.exp(-np.arange(frames, dtype=np.float32) / np.float32(seconds * sample_rate))
    return shape


def envelope(frames: int, sample_rate: int, attack: float, release: float) -> Mono:
    """Return an envelope: smooth rise over ``attack`` seconds, 1, smooth fall over the last ``release`` seconds."""
    shape = np.ones(frames, dtype=np.float32)
    rise = min(max(int(attack * sample_rate), 1), frames)
    fall = min(max(int(release * sample_rate), 1), frames)
    shape[:rise] *= _half_cosine(rise)
    shape[frames - fall :] *= _half_cosine(fall)[::-1]
    return shape


@functools.lru_cache(maxsize=64)
def _half_cosine(frames: int) -> Mono:
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(frames) / frames)).astype(np.float32)


def filtered(
    signal: np.ndarray, sample_rate: int, kind: str, hz: float | tuple[float, float], order: int = 2
) -> np.ndarray:
    """Apply a Butterworth ``lowpass``, ``highpass`` or ``bandpass`` along the last axis, kept below half the rate."""
    limit = 0.49 * sample_rate
    bounds = min(hz, limit) if not isinstance(hz, tuple) else (min(hz[0], 0.9 * limit), min(hz[1], limit))
    sections = scipy.signal.butter(order, bounds, kind, fs=sample_rate, output="sos")
    return np.asarray(scipy.signal.sosfilt(sections, signal), dtype=np.float32)


def saturated(signal: np.ndarray, drive: float) -> np.ndarray:
    """Apply tanh distortion; ``drive`` 0 changes nothing, 1 is mild, 10 is fuzz. Peaks stay below 1."""
    if drive <= 0:
        return signal
    peak = float(np.abs(signal).max()) or 1.0
    return np.asarray(np.tanh(signal * np.float32((1 + drive) / peak)), dtype=np.float32)


def place(canvas: Stereo, start_frame: int, sound: Mono, gain: float = 1.0, pan: float = 0.0) -> None:
    """Add ``sound`` to the canvas at ``start_frame``; pan -1 is left, 1 right, equal power. Audio beyond it is cut."""
    first = max(-start_frame, 0)
    last = min(len(sound), canvas.shape[1] - start_frame)
    if last <= first:
        return
    angle = (pan + 1) * np.pi / 4
    part = sound[first:last]
    canvas[0, start_frame + first : start_frame + last] += part * np.float32(gain * np.sqrt(2) * np.cos(angle))
    canvas[1, start_frame + first : start_frame + last] += part * np.float32(gain * np.sqrt(2) * np.sin(angle))


def reverberated(dry: Stereo, sample_rate: int, seconds: float, wet: float, rng: Generator) -> Stereo:
    """Return ``dry`` with a darkening reverberation, another in each channel; ``seconds``: time to -60 dB."""
    if wet <= 0 or not dry.any():
        return dry
    frames = int(seconds * sample_rate)
    tail = rng.standard_normal((2, frames), dtype=np.float32) * decay(frames, sample_rate, seconds / 6.9)
    tail = filtered(tail, sample_rate, "lowpass", rng.uniform(3000, 9000), 1)
    tail = filtered(tail, sample_rate, "highpass", 200, 1)
    delay = int(rng.uniform(0.005, 0.03) * sample_rate)
    tail = np.pad(tail, ((0, 0), (delay, 0))) / np.sqrt((tail**2).sum(axis=1, keepdims=True) + 1e-12)
    wet_signal = scipy.signal.oaconvolve(dry, tail.astype(np.float32), axes=1)[:, : dry.shape[1]]
    result: Stereo = dry + np.float32(wet) * wet_signal.astype(np.float32)
    return result


def loudness(signal: np.ndarray, sample_rate: int) -> float:
    """Return the root mean square over the parts that sound: blocks of 50 ms within 30 dB of the loudest."""
    block = max(sample_rate // 20, 1)
    whole = signal[..., : signal.shape[-1] // block * block]
    energies = np.square(whole.reshape(*signal.shape[:-1], -1, block), dtype=np.float32).mean(axis=-1)
    energies = energies.reshape(-1, energies.shape[-1]).mean(axis=0)
    sounding = energies[energies > energies.max(initial=0.0) * 1e-3]
    return float(np.sqrt(sounding.mean())) if len(sounding) else 0.0
