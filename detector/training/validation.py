"""Validation of detector training: area under the ROC curve on whole songs, some with muted sources."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from remix_miner.datasets.tracks import StemTrack
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.stream import track_probabilities
from remix_miner.detector.training.material import PEAK, Song
from remix_miner.detector.window_volumes import window_volumes_db
from remix_miner.detector.windows import SAMPLE_RATE
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB

MUTED_VARIANTS = 2
MAX_SECONDS = 60


@dataclass(frozen=True)
class ValidationMix:
    """A song, or a song with sources muted: stems (4, T) at 16 kHz."""

    name: str
    stems: Float32[np.ndarray, "S T"]


def validation_mixes(songs: Sequence[Song], seed: int = 0) -> list[ValidationMix]:
    """Return each song as it is and twice with a random part of its sources muted, the first minute of each.

    The muted sources change the areas by some hundredths, so compare runs at the same ``seed``.
    """
    rng = np.random.default_rng(seed)
    mixes = []
    for song in songs:
        stems = song.stems[:, : MAX_SECONDS * SAMPLE_RATE].astype(np.float32) / PEAK
        mixes.append(ValidationMix(song.name, stems))
        sounding = np.flatnonzero(stems.any(axis=1))
        for variant in range(MUTED_VARIANTS):
            kept = rng.permutation(sounding)[: rng.integers(1, max(len(sounding), 2))]
            muted = np.zeros_like(stems)
            muted[kept] = stems[kept]
            mixes.append(ValidationMix(f"{song.name} ({variant})", muted))
    return mixes


def silence_auc(
    model: SilentSourceDetector, mixes: Sequence[ValidationMix], silent_db: float = SILENT_MINING_DB
) -> dict[str, float | None]:
    """Return the area under the ROC curve of P_i for V_i <= ``silent_db`` per source; None where undefined."""
    from sklearn.metrics import roc_auc_score

    probabilities, volumes = [], []
    for mix in mixes:
        probabilities.append(track_probabilities(model, mix.stems.sum(axis=0)))
        volumes.append(window_volumes_db(torch.from_numpy(mix.stems)).numpy())
    areas: dict[str, float | None] = {}
    for i, source in enumerate(SOURCES):
        if not mixes:
            areas[source] = None
            continue
        p, v = (np.concatenate([array[i] for array in arrays]) for arrays in (probabilities, volumes))
        known = ~np.isnan(v)
        silent = v[known] <= silent_db
        areas[source] = float(roc_auc_score(silent, p[known])) if 0 < silent.sum() < silent.size else None
    return areas


def split_by_artist(
    tracks: Sequence[StemTrack], seed: int = 0, share: float = 0.2
) -> tuple[list[StemTrack], list[StemTrack]]:
    """Return (training, validation) tracks with no artist in both; with fewer than two artists the latter is empty."""
    from sklearn.model_selection import GroupShuffleSplit

    artists = [track.artist for track in tracks]
    if len(set(artists)) < 2:
        return list(tracks), []
    splitter = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    train, valid = next(splitter.split(artists, groups=artists))
    return [tracks[i] for i in train], [tracks[i] for i in valid]
