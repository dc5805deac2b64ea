"""Tonality and rhythm of audio, by which an excerpt agrees with a segment of a song.

Stems of a song agree in tonality and beat; a target on a random excerpt does not. Jeon et al. 2024 (section 4) find
that this matters the more, the fewer the data are, and that shifts of 30 ms already change how well a mixture is
separated. So what is compared is the segment itself, and not the key and the tempo of whole songs:

- chroma: the mean magnitude of the 12 pitch classes over the segment, and their Pearson correlation;
- onsets: the onset strength every 25 ms (librosa), and its Pearson correlation. It is high where tempo and beat agree.

`matching` chooses by them, and keeps them beside the shards.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float

from remix_miner.audio import Audio

ONSET_SECONDS = 0.025
CHROMA_ONSETS = 10
"""A chroma vector stands for so many onset strengths, 0.25 s."""

WINDOW_SECONDS = 0.256
ONSET_WINDOW_SECONDS = 0.064
HIGHEST_HZ = 4000.0
"""Of onsets, so that material of different sample rates is compared alike."""


@dataclass(frozen=True)
class Features:
    """Chroma (N, 12) and onset strengths (M,) of audio. ``hop``: frames of audio that an onset strength stands for."""

    chroma: Float[np.ndarray, "N 12"]
    onsets: Float[np.ndarray, " M"]
    hop: int

    @classmethod
    def of(cls, audio: Audio, sample_rate: int) -> Self:
        """Return the features of audio (channels, T) of at least one frame; silence has zeros."""
        import librosa
        from librosa.onset import onset_strength

        mono = audio.mean(axis=0)
        hop = hop_frames(sample_rate)
        window, onset_window = (
            1 << round(np.log2(seconds * sample_rate)) for seconds in (WINDOW_SECONDS, ONSET_WINDOW_SECONDS)
        )
        padded = np.pad(mono, (0, max(window - len(mono), 0)))
        spectrum = np.abs(librosa.stft(padded, n_fft=window, hop_length=CHROMA_ONSETS * hop))
        chroma = librosa.feature.chroma_stft(S=spectrum, sr=sample_rate, n_fft=window, tuning=0.0, norm=None)
        onsets = onset_strength(
            y=padded, sr=sample_rate, hop_length=hop, n_fft=onset_window, n_mels=40, fmax=HIGHEST_HZ
        )
        frames = -(-len(mono) // hop)
        kept = -(-frames // CHROMA_ONSETS)
        # Peaks are brought to 1, within the range of float16: correlations do not depend on the level.
        scaled = [values / max(float(values.max(initial=0.0)), 1e-9) for values in (chroma.T[:kept], onsets[:frames])]
        return cls(scaled[0].astype(np.float16), scaled[1].astype(np.float16), hop)

    def mean_chroma(self, first: int, frames: int) -> Float[np.ndarray, "12"]:
        """Return the mean chroma of ``frames`` frames of audio from frame ``first``."""
        step = CHROMA_ONSETS * self.hop
        start = min(first // step, len(self.chroma) - 1)
        end = max(-(-(first + frames) // step), start + 1)
        mean: Float[np.ndarray, 12] = self.chroma[start:end].mean(axis=0, dtype=np.float32)
        return mean

    def onsets_in(self, first: int, frames: int) -> Float[np.ndarray, " M"]:
        """Return the onset strengths of ``frames`` frames of audio from frame ``first``; zeros after the end."""
        start, end = first // self.hop, (first + frames) // self.hop
        onsets = np.zeros(end - start, dtype=np.float32)
        inside = self.onsets[start:end]
        onsets[: len(inside)] = inside
        return onsets


def hop_frames(sample_rate: int) -> int:
    """Return the frames of audio that an onset strength stands for."""
    return max(round(ONSET_SECONDS * sample_rate), 1)


def correlation(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation along the last axis; 0 where either does not vary.

    >>> correlation(np.array([1.0, 2.0, 3.0]), np.array([[2.0, 4.0, 6.0], [3.0, 2.0, 1.0], [1.0, 1.0, 1.0]])).tolist()
    [1.0, -1.0, 0.0]
    """
    left = left - left.mean(axis=-1, keepdims=True)
    right = right - right.mean(axis=-1, keepdims=True)
    scale = np.sqrt((left**2).sum(axis=-1) * (right**2).sum(axis=-1))
    product = (left * right).sum(axis=-1)
    return np.where(scale > 1e-9, product / np.maximum(scale, 1e-9), 0.0)


@dataclass(frozen=True)
class Segment:
    """Features of a segment of a labelled song. Where its tempo is changed, it has more or fewer onsets than a crop."""

    chroma: Float[np.ndarray, "12"]
    onsets: Float[np.ndarray, " M"]
