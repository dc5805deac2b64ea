"""Labelled songs with P_i and V_i per window."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from remix_miner.audio import downmix, resample
from remix_miner.calibration.songs.muting import muted
from remix_miner.datasets.tracks import PairTrack, StemTrack
from remix_miner.detector.evidence import Evidence
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.stream import track_probabilities
from remix_miner.detector.window_volumes import centred_energies, window_volumes_db
from remix_miner.detector.windows import (
    HOP_FRAMES,
    HOP_SECONDS,
    SAMPLE_RATE,
    WINDOW_FRAMES,
    WINDOW_SECONDS,
    window_count,
)
from remix_miner.errors import DataError
from remix_miner.progress import track as progress
from remix_miner.sources import SOURCES

Windows = Float32[np.ndarray, "S W"]

SILENCE_AMPLITUDE = 2.0**-15


@dataclass(frozen=True)
class LabelledSong:
    """A song, or a muted variant of it: probabilities of silence and relative volumes in dB, both (S, W).

    A volume is nan where the mixture is digital silence or the source has no stem of its own. ``trained_on``: this song
    trained the detector of the probabilities. ``evidence``: log-odds of silence per window (W,) of an evidence for its
    source (`detector.evidence`), or None. ``levels_known``: False for labels without levels (`songs.weak`), whose
    volumes are VOLUME_FLOOR_DB where the source is silent and 0 dB where it sounds.
    """

    name: str
    artist: str
    seconds: float
    probabilities: Windows
    volumes: Windows
    trained_on: bool = False
    evidence: Float[np.ndarray, " W"] | None = None
    levels_known: bool = True

    def known(self, source: int) -> np.ndarray:
        """Return (W,) True for windows with a label of this source."""
        mask: np.ndarray = ~np.isnan(self.volumes[source])
        return mask


def mono_stems(track: StemTrack | PairTrack) -> Float32[np.ndarray, "S T"]:
    """Return the track's sources (of a pair: vocals, accompaniment), each mono at the detector's rate.

    Raises `DataError` for audio that is not finite.
    """
    names = SOURCES if isinstance(track, StemTrack) else track.sources
    stems = []
    for name in names:
        mono = resample(downmix(track.read_source(name))[None], track.sample_rate, SAMPLE_RATE)[0]
        if not np.isfinite(mono).all():
            raise DataError(f"{name} of {track.name!r} holds NaN or infinite samples; repair the file or leave it out")
        stems.append(mono)
    return np.stack(stems)


def label_and_predict(
    model: SilentSourceDetector, track: StemTrack | PairTrack, mute: np.random.Generator | None = None
) -> tuple[Windows, Windows]:
    """Return (probabilities, volumes) of a labelled song, (S, W) each in the order of SOURCES.

    The detector's input is the sum of the stems, mono at 16 kHz. Volumes are those of `windows.window_volumes_db`; of a
    pair only the vocals' are known, the others are nan. With ``mute`` sources are first muted in random spans
    (`muting.muted`). Raises `DataError` when the detector's windows are not those of `detector.windows`.
    """
    stems = mono_stems(track)
    if mute is not None:
        stems = muted(stems, SAMPLE_RATE, mute)
    return _predict(model, track, stems), true_volumes(track, stems)


def _predict(model: SilentSourceDetector, track: StemTrack | PairTrack, stems: Float32[np.ndarray, "S T"]) -> Windows:
    probabilities = track_probabilities(model, stems.sum(axis=0))
    if probabilities.shape != (len(SOURCES), window_count(stems.shape[-1])):
        raise DataError(
            f"the detector gives {probabilities.shape} probabilities for {track.name!r}, expected "
            f"{(len(SOURCES), window_count(stems.shape[-1]))}: four sources, a window of {WINDOW_SECONDS} s every "
            f"{HOP_SECONDS} s; it was made for other windows"
        )
    if not np.isfinite(probabilities).all():
        raise DataError(f"the detector gives NaN for {track.name!r}; its weights are damaged")
    return probabilities


def true_volumes(track: StemTrack | PairTrack, stems: Float32[np.ndarray, "S T"]) -> Windows:
    """Return V_i (S, W) in dB of the ``stems`` of `mono_stems`, in the order of SOURCES; nan where unknown."""
    mono = torch.from_numpy(stems)
    volumes = window_volumes_db(mono).numpy().astype(np.float32)
    volumes[:, ~sounding_windows(mono.sum(dim=0))] = np.nan
    if isinstance(track, StemTrack):
        return volumes
    known = np.full((len(SOURCES), volumes.shape[-1]), np.nan, dtype=np.float32)
    known[SOURCES.index("vocals")] = volumes[track.sources.index("vocals")]
    return known


def sounding_windows(mono: Float[Tensor, " T"]) -> Bool[np.ndarray, " W"]:
    """Return (W,) False where the mixture is below one step of 16-bit audio: digital silence after resampling."""
    sounding: np.ndarray = (centred_energies(mono) > WINDOW_FRAMES * SILENCE_AMPLITUDE**2).numpy()
    return sounding


def label_songs(
    model: SilentSourceDetector,
    tracks: Sequence[StemTrack | PairTrack],
    *,
    muted_variants: int = 0,
    seed: int = 0,
    artists: Mapping[str, str] | None = None,
    trained_on: Collection[str] = (),
    evidence: Evidence | None = None,
) -> list[LabelledSong]:
    """Label every track and ``muted_variants`` muted versions of each, with a progress bar.

    ``artists``: artists of tracks, in place of the guessed ones. ``trained_on``: tracks that trained the model.
    ``evidence`` is computed for every window. Variants are seeded by (seed, track, variant), so an added song does not
    change the others.
    """
    songs = []
    with one_thread():
        for song in progress(tracks, "labelled songs"):
            artist = (artists or {}).get(song.name, song.artist)
            for variant in range(muted_variants + 1):
                stems = mono_stems(song)
                if variant:
                    stems = muted(stems, SAMPLE_RATE, np.random.default_rng([seed, variant, *song.name.encode()]))
                probabilities = _predict(model, song, stems)
                songs.append(
                    LabelledSong(
                        song.name,
                        artist,
                        song.seconds,
                        probabilities,
                        true_volumes(song, stems),
                        song.name in trained_on,
                        None if evidence is None else _log_odds(evidence, stems, probabilities.shape[1]),
                    )
                )
    _check_names(songs, muted_variants + 1)
    return songs


def _log_odds(evidence: Evidence, stems: Float32[np.ndarray, "S T"], windows: int) -> Float[np.ndarray, " W"]:
    return evidence.log_odds(stems.sum(axis=0), np.arange(windows) * HOP_FRAMES)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limit every library of this process to one thread, which is fastest for the network's small matrices."""
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def _check_names(songs: Sequence[LabelledSong], versions: int) -> None:
    """Raise `DataError` when two tracks have one name and would count as one song."""
    names = [song.name for song in songs]
    twice = sorted({name for name in names if names.count(name) > versions})
    if twice:
        raise DataError(f"{len(twice)} track names appear twice, for example {twice[0]!r}; rename one, or give it once")
