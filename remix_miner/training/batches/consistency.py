"""Tonality and rhythm of labelled songs and mined excerpts: how well an excerpt agrees with a segment of a song.

Stems of a song agree in tonality and beat; a target on a random excerpt does not. Jeon et al. 2024 (section 4) find
that this matters the more, the fewer the data are, and that shifts of 30 ms already change how well a mixture is
separated. So what is compared is the segment itself, and not the key and the tempo of whole songs:

- chroma: the mean magnitude of the 12 pitch classes over the segment, and their Pearson correlation;
- onsets: the onset strength every 25 ms (librosa), and its Pearson correlation. It is high where tempo and beat agree.

Both are computed once for every shard and every set of songs, and kept beside the shards, in `MINED/features`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float

from remix_miner.atomic import atomic_path
from remix_miner.audio import Audio
from remix_miner.datasets.segments import SegmentReader
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.reader import Shard
from remix_miner.progress import track as progress

FEATURES_FOLDER = "features"
VERSION = 1
SAMPLE_FRAMES = 4096
ONSET_SECONDS = 0.025
CHROMA_ONSETS = 10
"""A chroma vector stands for so many onset strengths, 0.25 s."""

WINDOW_SECONDS = 0.256
ONSET_WINDOW_SECONDS = 0.064
HIGHEST_HZ = 4000.0
"""Of onsets, so that material of different sample rates is compared alike."""

NUDGE_SECONDS = 0.5
"""A candidate is moved by up to so much to where its onsets agree best: half a beat at 60 beats a minute."""


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
        hop = max(round(ONSET_SECONDS * sample_rate), 1)
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
        """Return the onset strengths of ``frames`` frames of audio from frame ``first``."""
        return self.onsets[first // self.hop : (first + frames) // self.hop].astype(np.float32)


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


class Matcher:
    """Scores of places in mined excerpts against segments of labelled songs.

    Features are read from ``excerpts.folder``/features, and written there first where they are missing.
    """

    def __init__(self, reader: SegmentReader, excerpts: MinedExcerpts) -> None:
        folder = excerpts.folder / FEATURES_FOLDER
        self.sample_rate = excerpts.sample_rate
        self._songs = _song_features(reader, folder / f"stems-{reader.fingerprint[:16]}.npz")
        self._shards = {
            number: _shard_features(path, folder / f"{path.stem}.npz")
            for number, path in progress(excerpts.shards().items(), "tonality and rhythm of excerpts")
        }

    def segment(self, song: int, start: int, frames: int, semitones: int = 0) -> Segment:
        """Return the features of ``frames`` frames of a song's mixture, its tonality moved by ``semitones``."""
        features = self._songs[song]
        chroma = np.roll(features.mean_chroma(start, frames), semitones)
        return Segment(chroma, features.onsets_in(start, frames))

    def place(self, excerpts: MinedExcerpts, index: int, start: int, frames: int, like: Segment) -> tuple[float, int]:
        """Return the agreement of a crop with a segment, from -2 to 2, and its start, moved to where onsets agree best.

        The crop is ``frames`` frames of excerpt ``index`` from its frame ``start``. The agreement is the sum of both
        correlations; of an excerpt that is shorter than the crop, that of the chroma.
        """
        shard, first, length = excerpts.place_of(index)
        features = self._shards[shard]
        chroma = float(correlation(features.mean_chroma(first + start, min(frames, length)), like.chroma))
        count = frames // features.hop
        if length < frames or not count or not len(like.onsets):
            return chroma, start
        nudge = round(NUDGE_SECONDS * self.sample_rate)
        earliest, latest = max(start - nudge, 0), min(start + nudge, length - frames)
        around = features.onsets_in(first + earliest, latest - earliest + frames)
        windows = np.lib.stride_tricks.sliding_window_view(around, min(count, len(around)))
        places = np.linspace(0, len(like.onsets) - 1, windows.shape[-1])
        wanted = np.interp(places, np.arange(len(like.onsets)), like.onsets)
        agreement = correlation(wanted, windows)
        best = int(agreement.argmax())
        return chroma + float(agreement[best]), min(earliest + best * features.hop, latest)


def _song_features(reader: SegmentReader, path: Path) -> list[Features]:
    stored = _load(path, reader.fingerprint)
    if stored is None:
        stored = [
            Features.of(reader.read_stems(song, 0, reader.frames[song]).sum(axis=0), reader.sample_rate)
            for song in progress(range(len(reader)), "tonality and rhythm of songs")
        ]
        _save(path, reader.fingerprint, stored)
    return stored


def _shard_features(shard_path: Path, path: Path) -> Features:
    """Return the features of a shard's `/audio`, in which excerpts lie one after the other."""
    with Shard(shard_path) as shard:
        identity = _identity(shard)
        stored = _load(path, identity)
        if stored is None:
            stored = [_joined(shard)]
            _save(path, identity, stored)
    return stored[0]


def _identity(shard: Shard) -> str:
    """SHA-256 over the rate, the places and levels of a shard's excerpts, and samples of the first and last."""
    digest = hashlib.sha256(f"{shard.sample_rate} {shard.frames}".encode())
    for name in ("start_frame", "frames", "scale", "start_seconds"):
        digest.update(shard.excerpts[name].tobytes())
    for row in (0, len(shard.excerpts) - 1):
        digest.update(shard.read_stored(row, 0, min(int(shard.excerpts[row]["frames"]), SAMPLE_FRAMES)).tobytes())
    return digest.hexdigest()


def _joined(shard: Shard) -> Features:
    """Each excerpt's features at its place in the shard, within 25 ms (chroma: 0.25 s)."""
    hop = max(round(ONSET_SECONDS * shard.sample_rate), 1)
    onsets = np.zeros(-(-shard.frames // hop), dtype=np.float16)
    chroma = np.zeros((-(-len(onsets) // CHROMA_ONSETS), 12), dtype=np.float16)
    for row, first in enumerate(shard.excerpts["start_frame"].tolist()):
        features = Features.of(shard.read(row), shard.sample_rate)
        for target, values, step in ((onsets, features.onsets, hop), (chroma, features.chroma, CHROMA_ONSETS * hop)):
            place = round(first / step)
            part = target[place : place + len(values)]
            part[:] = values[: len(part)]
    return Features(chroma, onsets, hop)


def _save(path: Path, identity: str, features: list[Features]) -> None:
    arrays = {f"{name}{number}": getattr(each, name) for number, each in enumerate(features) for name in _ARRAYS}
    with atomic_path(path) as temporary:
        np.savez(temporary, identity=np.array(identity), version=np.array(VERSION), **arrays)


_ARRAYS = ("chroma", "onsets", "hop")


def _load(path: Path, identity: str) -> list[Features] | None:
    """Return the features stored at ``path``, or None where they are not there or belong to other audio."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        if int(stored["version"]) != VERSION or str(stored["identity"]) != identity:
            return None
        count = (len(stored.files) - 2) // len(_ARRAYS)
        return [
            Features(stored[f"chroma{number}"], stored[f"onsets{number}"], int(stored[f"hop{number}"]))
            for number in range(count)
        ]
