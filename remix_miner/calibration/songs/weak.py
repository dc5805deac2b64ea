"""Weakly labelled songs: intervals of a track in which a source is silent or sounds, from a CSV file.

`remix-miner detect --labels` and `export --format labels` write such files, and annotators can. The labels have no
levels: a window has the volume `VOLUME_FLOOR_DB` where its source is silent, and 0 dB where it sounds. Figures of
levels are therefore left out (`LabelledSong.levels_known`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from remix_miner.calibration.songs.artists import guess_artists
from remix_miner.calibration.songs.labelled import LabelledSong, one_thread, sounding_windows
from remix_miner.detector.calibration import VOLUME_FLOOR_DB
from remix_miner.detector.evidence import Evidence
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.stream import track_probabilities
from remix_miner.detector.training.material import PEAK, WeakSong, load_weak
from remix_miner.detector.windows import HOP_FRAMES, SAMPLE_RATE
from remix_miner.errors import DataError
from remix_miner.progress import track as progress

SOUNDING_DB = 0.0


def label_weak_songs(
    model: SilentSourceDetector,
    tables: Sequence[Path],
    artists: Mapping[str, str] | None = None,
    evidence: Evidence | None = None,
) -> list[LabelledSong]:
    """Return the songs of ``tables`` (CSV, see `material.load_weak`) with probabilities, labelled in their intervals.

    A song is named by its path in the table. ``artists``: artists by that name, in place of those guessed from file
    names. Probabilities are NaN, and volumes unknown, where the mixture is digital silence. Raises `DataError` for a
    table that cannot be read, or without a label of a whole window.
    """
    songs = [song for table in tables for song in load_weak(table)]
    stems = {song.name: PurePosixPath(song.name).stem for song in songs}
    guessed = guess_artists(list(stems.values()))
    named = {name: (artists or {}).get(name, guessed[stem]) for name, stem in stems.items()}
    found = []
    with one_thread():
        for song in progress(songs, "weakly labelled songs"):
            found.append(_labelled(model, song, named[song.name], evidence))
    if not any(~np.isnan(song.volumes).all() for song in found):
        raise DataError(f"{', '.join(map(str, tables))}: no window lies inside a labelled interval, nothing to measure")
    return found


def _labelled(model: SilentSourceDetector, song: WeakSong, artist: str, evidence: Evidence | None) -> LabelledSong:
    mono = song.audio.astype(np.float32) / PEAK
    probabilities = track_probabilities(model, mono)
    if probabilities.shape != song.silent.shape or not np.isfinite(probabilities).all():
        raise DataError(f"the detector gives {probabilities.shape} probabilities for {song.name!r}, or NaN")
    volumes = np.where(song.silent == 1, np.float32(VOLUME_FLOOR_DB), np.float32(SOUNDING_DB))
    volumes[np.isnan(song.silent)] = np.nan
    silence = ~sounding_windows(torch.from_numpy(mono))
    volumes[:, silence], probabilities[:, silence] = np.nan, np.nan
    log_odds = None
    if evidence is not None:
        log_odds = evidence.log_odds(mono, np.arange(probabilities.shape[1]) * HOP_FRAMES)
    return LabelledSong(
        song.name,
        artist,
        len(mono) / SAMPLE_RATE,
        probabilities,
        volumes,
        evidence=log_odds,
        levels_known=False,
    )
