"""Matching of mined excerpts with segments of labelled songs, by features that are kept beside the shards.

`MINED/features` holds the features of each shard, and those of each set of labelled songs that was trained with it.
They are computed when first needed, and again where the audio is another one.
"""

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from remix_miner.atomic import atomic_path
from remix_miner.datasets.segments import SegmentReader
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.shards.reader import Shard
from remix_miner.progress import track as progress
from remix_miner.training.batches.consistency import CHROMA_ONSETS, Features, Segment, correlation, hop_frames

FEATURES_FOLDER = "features"
VERSION = 1
ARRAYS = ("chroma", "onsets", "hop")
SAMPLE_FRAMES = 4096
NUDGE_SECONDS = 0.5
"""A candidate is moved by up to so much to where its onsets agree best: half a beat at 60 beats a minute."""


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
    hop = hop_frames(shard.sample_rate)
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
    arrays = {f"{name}{number}": getattr(each, name) for number, each in enumerate(features) for name in ARRAYS}
    with atomic_path(path) as temporary:
        np.savez(temporary, identity=np.array(identity), version=np.array(VERSION), **arrays)


def _load(path: Path, identity: str) -> list[Features] | None:
    """Return the features stored at ``path``; None where they are missing, damaged, or belong to other audio."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            if int(stored["version"]) != VERSION or str(stored["identity"]) != identity:
                return None
            count = (len(stored.files) - 2) // len(ARRAYS)
            return [
                Features(stored[f"chroma{number}"], stored[f"onsets{number}"], int(stored[f"hop{number}"]))
                for number in range(count)
            ]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None
