"""Mel spectrogram of a part as bytes, on a fixed scale of levels."""

from functools import cache

import numpy as np
from jaxtyping import Float32, UInt8

from remix_miner.audio import resample

SAMPLE_RATE = 16_000
FFT_FRAMES = 1024
BANDS = 96
MOST_COLUMNS = 1200
TOP_DB, RANGE_DB = 40.0, 140.0


def spectrogram(mono: Float32[np.ndarray, " T"], sample_rate: int) -> UInt8[np.ndarray, "W M"]:
    """Return the level of each mel band (up to 8 kHz, the detector's range) per column.

    255 is `TOP_DB`; 0 is `RANGE_DB` below it. The scale is fixed, so that the parts of an item can be drawn side by
    side.
    """
    audio = resample(mono[None], sample_rate, SAMPLE_RATE)[0]
    hop = max(FFT_FRAMES // 4, -(-len(audio) // MOST_COLUMNS))
    audio = np.pad(audio, FFT_FRAMES // 2)
    columns = max((len(audio) - FFT_FRAMES) // hop + 1, 1)
    audio = np.pad(audio, (0, max(FFT_FRAMES - len(audio), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(audio, FFT_FRAMES)[::hop][:columns]
    power = np.abs(np.fft.rfft(frames * np.hanning(FFT_FRAMES).astype(np.float32), axis=1)) ** 2
    level = 10 * np.log10(power.astype(np.float32) @ _bands() + 1e-12)
    steps: UInt8[np.ndarray, "W M"] = np.clip(np.rint((level - TOP_DB + RANGE_DB) * (255 / RANGE_DB)), 0, 255).astype(
        np.uint8
    )
    return steps


@cache
def _bands() -> Float32[np.ndarray, "F M"]:
    from librosa.filters import mel

    weights: Float32[np.ndarray, "F M"] = mel(sr=SAMPLE_RATE, n_fft=FFT_FRAMES, n_mels=BANDS).T.astype(np.float32)
    return weights
