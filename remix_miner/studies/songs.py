"""Songs of a study: a copy of a stem corpus at the scale's rate and channels, split into training and test songs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from remix_miner.audio import read_audio, resample, to_channels, write_audio
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.tracks import StemTrack
from remix_miner.errors import DataError
from remix_miner.progress import track as progress
from remix_miner.sources import SOURCES
from remix_miner.studies.scale import Scale
from remix_miner.training.run.data import hold_out


@dataclass(frozen=True)
class StudySongs:
    """Folders of songs, one song each, below ``train`` and ``test``."""

    train: tuple[Path, ...]
    test: tuple[Path, ...]
    artists: dict[str, str]

    def drawn(self, share: float, seed: int) -> tuple[Path, ...]:
        """Return a share of the training songs, at least one, drawn by ``seed``."""
        count = max(round(share * len(self.train)), 1)
        if count == len(self.train):
            return self.train
        chosen = np.random.default_rng([seed, len(self.train)]).choice(len(self.train), count, replace=False)
        return tuple(self.train[index] for index in sorted(chosen))


def prepare_songs(stems: Sequence[Path], out: Path, scale: Scale) -> StudySongs:
    """Write all songs below ``out/train`` and ``out/test``; files that are there are kept.

    A corpus with a split 'test' is used as it is split; songs of the split 'valid' are left out. Otherwise a share of
    the artists is held out. Raises `DataError` where either part would be empty.
    """
    tracks = load_stem_tracks(list(stems))
    train = [track for track in tracks if track.split in ("train", None)]
    test = [track for track in tracks if track.split == "test"]
    if not test:
        (train,), test = hold_out([train], scale.test_share, scale.split_seed)
    if not train or not test:
        raise DataError(f"{len(train)} songs to train on and {len(test)} to test on; a study needs both")
    folders: dict[str, list[Path]] = {"train": [], "test": []}
    for part, songs in (("train", train), ("test", test)):
        for song in progress(songs, f"{part} songs at {scale.sample_rate} Hz"):
            folders[part].append(_written(song, out / part / song.name.replace("/", "_"), scale))
    return StudySongs(tuple(folders["train"]), tuple(folders["test"]), {song.name: song.artist for song in test})


def read_middle(folder: Path, seconds: float) -> tuple[Float32[np.ndarray, "S C T"], int]:
    """Return at most ``seconds`` from the middle of a written song, in the order of SOURCES, and its rate."""
    stems, rates = zip(*(read_audio(folder / f"{source}.wav") for source in SOURCES), strict=True)
    frames = min(round(seconds * rates[0]), stems[0].shape[-1])
    start = (stems[0].shape[-1] - frames) // 2
    return np.stack([stem[:, start : start + frames] for stem in stems]), rates[0]


def _written(song: StemTrack, folder: Path, scale: Scale) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        path = folder / f"{source}.wav"
        if not path.is_file():
            audio = to_channels(song.read_source(source), scale.channels)
            write_audio(path, resample(audio, song.sample_rate, scale.sample_rate), scale.sample_rate)
    return folder
