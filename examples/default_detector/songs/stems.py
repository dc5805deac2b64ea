"""Stems of a song on disk: FOLDER/{drums,bass,other,vocals}.flac, mono, 16 kHz, 16 bits, one gain for all."""

import os
import shutil
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy.signal import butter, sosfilt

SAMPLE_RATE = 16000
SOURCES = ("drums", "bass", "other", "vocals")
MIN_SECONDS = 12.0
MAX_SECONDS = 180.0
PEAK = 0.9
RUMBLE_HZ = 28.0
LOW_HZ = 120.0
LOW_SHARE = 0.12
LEVELS_DB = {"drums": -22.0, "bass": -21.0, "other": -20.0}
SILENCE = 1e-4


def balanced(sources: dict[str, np.ndarray], sample_rate: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return stems (T, channels) without rumble, each at a random level: `LEVELS_DB` in loud half seconds, +- 4 dB."""
    rumble = butter(4, RUMBLE_HZ, "highpass", fs=sample_rate, output="sos")
    out = {}
    for source, audio in sources.items():
        clean = sosfilt(rumble, audio, axis=0)
        block = sample_rate // 2
        power = np.square(clean[: len(clean) // block * block]).reshape(-1, block * clean.shape[1]).mean(axis=1)
        loud = float(np.sqrt(np.quantile(power, 0.9))) if len(power) else 0.0
        wanted = 10 ** ((LEVELS_DB[source] + rng.uniform(-4, 4)) / 20)
        out[source] = clean * (wanted / loud) if loud > SILENCE else clean
    return out


def doubtful_bass(sources: dict[str, np.ndarray], sample_rate: int) -> bool:
    """Return whether a song without a bass has `LOW_SHARE` of ``other`` below `LOW_HZ`: something plays the bass."""
    if "bass" in sources or "other" not in sources:
        return False
    power = np.square(np.abs(np.fft.rfft(sources["other"].mean(axis=1))))
    low = int(LOW_HZ / (sample_rate / 2) * len(power))
    return float(power[:low].sum()) > LOW_SHARE * float(power.sum())


def write_song(folder: Path, sources: dict[str, np.ndarray], sample_rate: int) -> float:
    """Write the stems of a song, each (T, channels), and return its seconds; 0 where it is not kept.

    Songs under `MIN_SECONDS` and those with a `doubtful_bass` are not kept.

    A source that is absent becomes digital silence. The song is cut after `MAX_SECONDS` and at its last sound, and
    scaled so that the mixture and every stem peak at `PEAK` at most. The folder appears whole or not at all.
    """
    if doubtful_bass(sources, sample_rate):
        return 0.0
    mono = {k: soxr.resample(np.nan_to_num(x.mean(axis=1)), sample_rate, SAMPLE_RATE) for k, x in sources.items()}
    longest = max(len(x) for x in mono.values())
    stems = {k: np.pad(x, (0, longest - len(x))) for k, x in mono.items()}
    mixture = sum(stems.values(), start=np.zeros(longest))
    peak = max(float(np.abs(x).max(initial=0.0)) for x in (mixture, *stems.values()))
    sounding = np.flatnonzero(np.abs(mixture) > SILENCE * max(peak, SILENCE))
    frames = min(int(sounding[-1]) + 1 if len(sounding) else 0, int(MAX_SECONDS * SAMPLE_RATE))
    if frames < MIN_SECONDS * SAMPLE_RATE:
        return 0.0
    temporary = folder.with_name(f".{folder.name}.tmp-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for source in SOURCES:
        scaled = stems.get(source, np.zeros(longest))[:frames] * (PEAK / peak)
        soundfile.write(temporary / f"{source}.flac", scaled, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    os.replace(temporary, folder)
    return frames / SAMPLE_RATE
