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


@dataclass(frozen=True)
class Split:
    """Folders of songs, one song each: those to train on, those to test on."""

    train: tuple[Path, ...]
    test: tuple[Path, ...]

    def drawn(self, share: float, seed: int) -> tuple[Path, ...]:
        """Return a share of the training songs, at least one, drawn by ``seed``."""
        count = max(round(share * len(self.train)), 1)
        if count == len(self.train):
            return self.train
        chosen = np.random.default_rng([seed, len(self.train)]).choice(len(self.train), count, replace=False)
        return tuple(self.train[index] for index in sorted(chosen))


@dataclass(frozen=True)
class StudySongs:
    """The splits of a study: one where the corpus states it, else one for each fold of the artists."""

    splits: tuple[Split, ...]
    artists: dict[str, str]

    def split(self, run: int) -> Split:
        """Return the split of the run with this number: each seed tests the next fold."""
        return self.splits[run % len(self.splits)]


def prepare_songs(stems: Sequence[Path], out: Path, scale: Scale) -> StudySongs:
    """Write all songs below ``out``; files that are there are kept.

    A corpus with a split 'test' is used as it is split; songs of the split 'valid' are left out. Otherwise the artists
    are dealt into ``scale.folds`` parts, and each part is tested by models that train on the others. Raises `DataError`
    where nothing would be left to train on or to test.
    """
    tracks = load_stem_tracks(list(stems))
    train = [track for track in tracks if track.split in ("train", None)]
    test = [track for track in tracks if track.split == "test"]
    folders = {
        song.name: _written(song, out / song.name.replace("/", "_"), scale)
        for song in progress([*train, *test], f"songs at {scale.sample_rate} Hz")
    }
    parts = [(train, test)] if test else _folds(train, scale.folds, scale.split_seed)
    if not all(train and test for train, test in parts):
        raise DataError(
            f"{len(tracks)} songs by {len({track.artist for track in tracks})} artists: nothing is left to train on or "
            "to test; a study needs songs by two artists at least"
        )
    splits = [Split(*(tuple(folders[song.name] for song in part) for part in pair)) for pair in parts]
    return StudySongs(tuple(splits), {song.name: song.artist for song in [*train, *test]})


def read_middle(folder: Path, seconds: float) -> tuple[Float32[np.ndarray, "S C T"], int]:
    """Return at most ``seconds`` from the middle of a written song, in the order of SOURCES, and its rate."""
    stems, rates = zip(*(read_audio(folder / f"{source}.wav") for source in SOURCES), strict=True)
    frames = min(round(seconds * rates[0]), stems[0].shape[-1])
    start = (stems[0].shape[-1] - frames) // 2
    return np.stack([stem[:, start : start + frames] for stem in stems]), rates[0]


def _folds(songs: Sequence[StemTrack], folds: int, seed: int) -> list[tuple[list[StemTrack], list[StemTrack]]]:
    """Return (training songs, test songs) for each fold; the songs of an artist stay together."""
    artists = sorted({song.artist for song in songs})
    dealt = np.random.default_rng(seed).permutation(len(artists))
    fold_of = {artists[index]: place % folds for place, index in enumerate(dealt)}
    return [
        (
            [song for song in songs if fold_of[song.artist] != fold],
            [song for song in songs if fold_of[song.artist] == fold],
        )
        for fold in range(min(folds, len(artists)))
    ]


def _written(song: StemTrack, folder: Path, scale: Scale) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        path = folder / f"{source}.wav"
        if not path.is_file():
            audio = to_channels(song.read_source(source), scale.channels)
            write_audio(path, resample(audio, song.sample_rate, scale.sample_rate), scale.sample_rate)
    return folder
