"""Loudness normalisation to a level in LUFS (ITU-R BS.1770-4, by pyloudnorm); silent or short audio keeps its level."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from remix_miner.audio import Audio
from remix_miner.errors import UsageError

MIN_SECONDS = 0.4
"""One gating block: BS.1770 defines no loudness for less."""

MAX_GAIN_DB = 30.0
"""Largest gain, so that near-silence is not raised to full level."""


@lru_cache(maxsize=8)
def _meter(sample_rate: int) -> Any:
    try:
        import pyloudnorm
    except ImportError as error:
        raise UsageError(
            "loudness normalisation needs the optional extra: pip install 'remix-miner[augment]'; "
            "or leave loudness_lufs unset"
        ) from error
    return pyloudnorm.Meter(sample_rate)


def loudness_lufs(audio: Audio, sample_rate: int) -> float:
    """Return the integrated loudness of (channels, frames); -inf where it is silent, below the gate or under 0.4 s."""
    meter = _meter(sample_rate)
    if audio.shape[-1] < MIN_SECONDS * sample_rate or not np.any(audio):
        return -math.inf
    with np.errstate(divide="ignore", invalid="ignore"):
        loudness = float(meter.integrated_loudness(audio.T.astype(np.float64)))
    return loudness if math.isfinite(loudness) else -math.inf


def loudness_gain(audio: Audio, sample_rate: int, target_lufs: float) -> float:
    """Return the factor that brings ``audio`` to ``target_lufs``; 1 where no loudness is defined, at most +-30 dB."""
    loudness = loudness_lufs(audio, sample_rate)
    if loudness == -math.inf:
        return 1.0
    return float(10 ** (np.clip(target_lufs - loudness, -MAX_GAIN_DB, MAX_GAIN_DB) / 20))
