"""Probabilities of a song, with true volumes where its stems are available."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32

from remix_miner.audio import downmix, read_audio, resample
from remix_miner.calibration.labelled_songs import Windows, mono_stems, sounding_windows, true_volumes
from remix_miner.datasets.corpora import load_pair_tracks, load_stem_tracks
from remix_miner.datasets.layouts.folders import is_pair
from remix_miner.datasets.tracks import PairTrack, StemTrack
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.stream import track_probabilities
from remix_miner.detector.windows import SAMPLE_RATE
from remix_miner.errors import DataError


@dataclass(frozen=True)
class PredictedSong:
    """A song with the detector's probabilities.

    ``mono``: the mixture at 16 kHz. ``probabilities`` and ``volumes`` in dB: (S, W); volumes are nan where unknown, and
    None without stems. ``valid``: (W,), False where the mixture is digital silence.
    """

    name: str
    mono: Float32[np.ndarray, " T"]
    probabilities: Windows
    volumes: Windows | None
    valid: Bool[np.ndarray, " W"]

    @property
    def seconds(self) -> float:
        return len(self.mono) / SAMPLE_RATE


def predict_song(model: SilentSourceDetector, file: Path, stems: Path | None = None) -> PredictedSong:
    """Compute the probabilities of an audio file, or of the sum of the stems in a track's folder.

    With ``stems`` the true volumes come from that folder, which must hold one song. Beyond the stems' end the volumes
    of a longer file are unknown.
    """
    truth = _one_track(stems or file) if stems or file.is_dir() else None
    parts = None if truth is None else mono_stems(truth)
    if file.is_dir():
        assert parts is not None
        mono = parts.sum(axis=0)
    else:
        audio, sample_rate = read_audio(file)
        mono = resample(downmix(audio)[None], sample_rate, SAMPLE_RATE)[0]
    if len(mono) < 2:
        raise DataError(f"{file.name} holds no audio")
    probabilities = track_probabilities(model, mono)
    volumes = None
    if truth is not None and parts is not None:
        volumes = np.full_like(probabilities, np.nan)
        known = true_volumes(truth, parts)[:, : volumes.shape[1]]
        volumes[:, : known.shape[1]] = known
    return PredictedSong(file.stem if file.is_file() else file.name, mono, probabilities, volumes, _valid(mono))


def _valid(mono: Float32[np.ndarray, " T"]) -> Bool[np.ndarray, " W"]:
    return sounding_windows(torch.from_numpy(mono))


def _one_track(folder: Path) -> StemTrack | PairTrack:
    tracks = load_pair_tracks(folder) if folder.is_dir() and is_pair(folder) else load_stem_tracks(folder)
    if len(tracks) != 1:
        raise DataError(f"{folder} holds {len(tracks)} songs; name the folder of one")
    return tracks[0]
