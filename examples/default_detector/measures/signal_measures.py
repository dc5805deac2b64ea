"""Measures of a mono mixture per window of the detector: low frequencies at fine resolution, and onsets of drums.

`study.py` adds them to the network's logit. `docs/background/default_detector.md` states the groups.
"""

import librosa
import numpy as np
import torch
from jaxtyping import Float, Float32
from scipy.ndimage import maximum_filter1d, median_filter, percentile_filter
from scipy.signal import butter, sosfiltfilt

from remix_miner.audio import resample
from remix_miner.detector.window_volumes import centred_energies
from remix_miner.detector.windows import SAMPLE_RATE, WINDOW_FRAMES, window_count

LOW_RATE = 1000
HOP = 64
"""Hop of the windows at LOW_RATE."""

LOW_FRAME = 512
BINS_30, BINS_130, BINS_250 = 16, 67, 129
"""First bin of LOW_FRAME at 30 Hz, and the ones after 130 and 250 Hz."""

HIGH_FRAME, HIGH_HOP, MEL_FRAME = 512, 256, 1024
FRAMES_PER_WINDOW = 4
SHARE_EDGE = 1e-3

Windows = Float[np.ndarray, " W"]


def measures(mono: Float32[np.ndarray, " T"]) -> dict[str, Windows]:
    """Return each measure (W,) of audio at 16 kHz; levels in dB, shares in log-odds."""
    windows = window_count(len(mono))
    low = resample(mono[None], SAMPLE_RATE, LOW_RATE)[0]
    band = sosfiltfilt(butter(4, (30, 250), "band", fs=LOW_RATE, output="sos"), low)
    return _spectral(low, _energy(mono), windows) | _temporal(band, windows) | _onsets(mono, band, windows)


def low_level_of(stem: Float32[np.ndarray, " T"], mono: Float32[np.ndarray, " T"]) -> Windows:
    """Return the energy of ``stem`` at 30 to 130 Hz relative to that of the mixture ``mono``, in dB (-60 to 10)."""
    low = resample(stem[None], SAMPLE_RATE, LOW_RATE)[0]
    power = _power(low, window_count(len(stem)))[:, BINS_30:BINS_130].sum(1)
    return np.clip(decibels(power) - decibels(_energy(mono)), -60, 10)


def _energy(mono: np.ndarray) -> Windows:
    """Return the mean square in the 0.64 s around each window's centre."""
    return centred_energies(torch.from_numpy(mono)).numpy() / WINDOW_FRAMES


def _power(low: np.ndarray, windows: int) -> Float[np.ndarray, "W F"]:
    """Return power spectra of the 0.51 s around each window's centre, of audio at 1 kHz."""
    taper = np.hanning(LOW_FRAME)
    spectra = np.fft.rfft(framed(low, LOW_FRAME, HOP, windows) * taper, axis=1)
    return 2 * np.abs(spectra) ** 2 / (LOW_FRAME * (taper**2).sum())


def _spectral(low: np.ndarray, total: Windows, windows: int) -> dict[str, Windows]:
    """Return the measures of `_power`."""
    power = _power(low, windows)
    band = power[:, BINS_30:BINS_250]
    level = decibels(band.sum(1), 1e-9)
    four = np.lib.stride_tricks.sliding_window_view(band, 4, axis=1).sum(-1).max(1)
    share = np.where(band.sum(1) < 1e-10, 0.1, four / np.maximum(band.sum(1), 1e-14))
    magnitude = np.pad(np.sqrt(band), ((4, 4), (0, 0)), mode="edge")
    before, after = magnitude[:-8], magnitude[8:]
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return {
        "low": np.clip(decibels(power[:, BINS_30:BINS_130].sum(1)) - decibels(total), -60, 10),
        "low2": np.clip(decibels(band.sum(1)) - decibels(total), -60, 10),
        "tone": log_odds(np.clip(share, SHARE_EDGE, 0.995)),
        "cosine": (before * after).sum(1) / np.maximum(norms, 1e-9),
        "relative": np.maximum(level - percentile_filter(level, 90, size=313, mode="nearest"), -60),
    }


def _temporal(band: np.ndarray, windows: int) -> dict[str, Windows]:
    """Return steadiness and voicing of the 30 to 250 Hz band."""
    energy = np.maximum(framed(band**2, HOP, HOP // 2, 2 * windows).mean(1), 1e-11)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(energy, 10, mode="edge"), 20)[::2][:windows]
    taper = np.hanning(640)
    period = LOW_RATE // 35 + 1
    own = np.fft.irfft(np.abs(np.fft.rfft(framed(band, 640, HOP, windows) * taper, 2048, axis=1)) ** 2)[:, :period]
    expected = np.fft.irfft(np.abs(np.fft.rfft(taper, 2048)) ** 2)[:period]
    normalised = own / np.maximum(own[:, :1], 1e-9) / (expected / expected[0])
    least = np.minimum.accumulate(normalised, axis=1)
    return {
        "steady": np.maximum(decibels(np.percentile(around, 25, axis=1)) - decibels(around.mean(1)), -40),
        "voicing": (normalised[:, 5:] - least[:, 4:-1]).max(1),
    }


def _onsets(mono: np.ndarray, band: np.ndarray, windows: int) -> dict[str, Windows]:
    """Return the largest rises of two bands, and the percussive share (Fitzgerald 2010, on 64 mel bands)."""
    count = FRAMES_PER_WINDOW * windows
    low = framed(band**2, 32, 16, count).mean(1)
    steps = np.diff(framed(mono, HIGH_FRAME, HIGH_HOP, count), axis=1, prepend=0) * np.hanning(HIGH_FRAME)
    high = 2 * (np.abs(np.fft.rfft(steps, axis=1))[:, HIGH_FRAME // 4 :] ** 2).sum(1) / (HIGH_FRAME * 192)
    spectra = np.fft.rfft(framed(mono, MEL_FRAME, HIGH_HOP, count) * np.hanning(MEL_FRAME), axis=1)
    mel = np.abs(spectra) ** 2 @ librosa.filters.mel(sr=SAMPLE_RATE, n_fft=MEL_FRAME, n_mels=64, fmin=30).T
    harmonic = median_filter(np.sqrt(mel), size=(17, 1), mode="nearest")
    percussive = median_filter(np.sqrt(mel), size=(1, 17), mode="nearest")
    mask = percussive**2 / np.maximum(percussive**2 + harmonic**2, 1e-12)
    share = _sums((mel * mask).sum(1), windows) / np.maximum(_sums(mel.sum(1), windows), 1e-9)
    return {
        "flux_low": _largest_rise(decibels(low, 1e-7), windows),
        "flux_high": _largest_rise(decibels(high, 1e-8), windows),
        "percussive": log_odds(np.clip(share, SHARE_EDGE, 1 - SHARE_EDGE)),
    }


def framed(signal: np.ndarray, size: int, hop: int, count: int) -> Float[np.ndarray, "count size"]:
    """Return ``count`` frames whose centres are ``hop`` apart, the first at 0; zeros beyond the ends."""
    beyond = max(0, (count - 1) * hop + size - size // 2 - len(signal))
    return np.lib.stride_tricks.sliding_window_view(np.pad(signal, (size // 2, beyond)), size)[::hop][:count]


def decibels(energy: np.ndarray, least: float = 1e-12) -> np.ndarray:
    """Return 10 log10 of ``energy``, of at least ``least``."""
    return 10 * np.log10(np.maximum(energy, least))


def log_odds(share: np.ndarray) -> np.ndarray:
    """Return log(share / (1 - share))."""
    return np.log(share / (1 - share))


def _sums(frames: np.ndarray, windows: int) -> Windows:
    return np.convolve(np.pad(frames, 20), np.ones(41), "valid")[::FRAMES_PER_WINDOW][:windows]


def _largest_rise(level_db: np.ndarray, windows: int) -> Windows:
    """Return the largest rise within 32 ms around each window."""
    rise = np.concatenate((np.zeros(2), level_db[2:] - level_db[:-2]))
    return maximum_filter1d(rise, 10 * FRAMES_PER_WINDOW + 1, mode="nearest")[::FRAMES_PER_WINDOW][:windows]
