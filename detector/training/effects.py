"""Augmentation of training mixes at 16 kHz: equalisation, rooms, limiting, band limits, noise.

Linear effects are multiplications in the frequency domain. They are applied to stems, so labels stay exact. The
convolution is circular: a room's response wraps around to the start of the segment.
"""

from functools import lru_cache

import numpy as np
import scipy.fft
from jaxtyping import Complex64, Float32

from remix_miner.detector.windows import SAMPLE_RATE

ROOMS = 48


def colour(signal: Float32[np.ndarray, "*S T"], spectrum: Complex64[np.ndarray, " F"]) -> Float32[np.ndarray, "*S T"]:
    """Return ``signal`` filtered by a transfer function over its own length."""
    frames = signal.shape[-1]
    filtered: Float32[np.ndarray, "*S T"] = scipy.fft.irfft(scipy.fft.rfft(signal) * spectrum, n=frames)
    return filtered


def colour_spectrum(
    frames: int, rng: np.random.Generator, depth_db: float, reverberant: bool = False
) -> Complex64[np.ndarray, " F"]:
    """Return the transfer function of a random equaliser: a tilt, up to three bells, sometimes a cut or a room."""
    octaves = _octaves(frames)
    gain_db = rng.normal(0, depth_db / 6) * (octaves - 6)
    for _ in range(rng.integers(4)):
        centre, width = rng.uniform(1, 9), rng.uniform(0.3, 1.5)
        gain_db += rng.normal(0, depth_db / 2) * np.exp(-(((octaves - centre) / width) ** 2))
    if rng.random() < 0.15:
        gain_db += 18 * np.minimum(octaves - rng.uniform(2, 4.5), 0)
    if rng.random() < 0.15:
        gain_db -= 24 * np.maximum(octaves - rng.uniform(6.5, 8.3), 0)
    spectrum = (10 ** (np.clip(gain_db, -60, 24) / 20)).astype(np.complex64)
    if reverberant:
        spectrum *= 1 + np.float32(10 ** (rng.uniform(-18, 0) / 20)) * _room(frames, int(rng.integers(ROOMS)))
    return spectrum


def master(mixture: Float32[np.ndarray, " T"], rng: np.random.Generator) -> Float32[np.ndarray, " T"]:
    """Return ``mixture`` mastered at random: soft limiting, a band limit, a noise floor."""
    peak = float(np.abs(mixture).max(initial=0.0))
    if peak == 0:
        return mixture
    if rng.random() < 0.7:
        drive = rng.uniform(0.5, 4.0)
        mixture = np.tanh(mixture * np.float32(drive / peak)) * np.float32(peak / drive)
    if rng.random() < 0.25:
        cutoff = rng.uniform(3_500, 7_800)
        spectrum = 1 / (1 + (_frequencies(len(mixture)) / cutoff) ** 16)
        mixture = colour(mixture, spectrum.astype(np.complex64))
    if rng.random() < 0.3:
        level = peak * 10 ** (rng.uniform(-75, -45) / 20)
        mixture = mixture + rng.standard_normal(len(mixture), dtype=np.float32) * np.float32(level)
    return mixture


@lru_cache(maxsize=4)
def _frequencies(frames: int) -> np.ndarray:
    return np.fft.rfftfreq(frames, 1 / SAMPLE_RATE)


@lru_cache(maxsize=4)
def _octaves(frames: int) -> np.ndarray:
    """Return each frequency in octaves above 31.25 Hz; 8 is the Nyquist frequency."""
    octaves: np.ndarray = np.log2(np.maximum(_frequencies(frames), 16) / 31.25)
    return octaves


@lru_cache(maxsize=ROOMS)
def _room(frames: int, number: int) -> Complex64[np.ndarray, " F"]:
    """Return the transfer function of room ``number``: a pre-delay, then noise, high frequencies decaying faster."""
    rng = np.random.default_rng([1871, number])
    decay = rng.uniform(0.15, 2.5)
    length = min(int(decay * SAMPLE_RATE), frames)
    time = np.arange(length) / SAMPLE_RATE
    tail = rng.standard_normal(length) * 10 ** (-3 * time / decay)
    damped = np.convolve(tail, np.full(4, 0.25), mode="same")
    blend = np.clip(time / decay * 2, 0, 1)
    tail = tail * (1 - blend) + damped * blend
    delay = int(rng.uniform(0, 0.04) * SAMPLE_RATE)
    impulse = np.zeros(frames, dtype=np.float32)
    impulse[delay : delay + length] = (tail / np.sqrt(np.square(tail).sum()))[: frames - delay]
    spectrum: Complex64[np.ndarray, " F"] = scipy.fft.rfft(impulse)
    return spectrum
