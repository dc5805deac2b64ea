"""Labelled windows of one source in flat arrays, and statistics over them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.detector.calibration import VOLUME_FLOOR_DB, Percentiles
from remix_miner.detector.spans import Span
from remix_miner.detector.windows import HOP_SECONDS, WINDOW_SECONDS

MUSDB_SILENCE_RATES = {"drums": 0.11, "bass": 0.13, "other": 0.026, "vocals": 0.32}
"""Share of windows in which each source is silent in MUSDB18 (Défossez et al. 2019, section 4)."""


@dataclass(frozen=True)
class SourceWindows:
    """The windows of ``songs`` in which the volume of ``source`` (its number) is known, song after song.

    Per window: P, V in dB (at least VOLUME_FLOOR_DB), whether V is at most ``volume_db``, the number of its song, of
    the song's artist, and its weight.
    """

    songs: tuple[LabelledSong, ...]
    source: int
    volume_db: float
    probabilities: Float[np.ndarray, " N"]
    volumes: Float[np.ndarray, " N"]
    silent: Bool[np.ndarray, " N"]
    song: Int[np.ndarray, " N"]
    artists: Int[np.ndarray, " N"]
    weights: Float[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def levels_known(self) -> Bool[np.ndarray, " N"]:
        """True for the windows whose V was measured, False for those of weakly labelled songs."""
        known: Bool[np.ndarray, " N"] = np.array([song.levels_known for song in self.songs], dtype=bool)[self.song]
        return known

    @property
    def silence_rate(self) -> float:
        """Unweighted share of silent windows; nan without windows."""
        return float(self.silent.mean()) if len(self) else float("nan")

    def with_known(self) -> Iterator[tuple[LabelledSong, Bool[np.ndarray, " W"]]]:
        """Yield each song and the mask of its windows that are in this table."""
        return ((song, song.known(self.source)) for song in self.songs)

    def per_song(self, mask: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " K"]:
        """Return the weight of the windows in ``mask``, per song."""
        return np.bincount(self.song, self.weights * mask, minlength=len(self.songs))


def windows_of(
    songs: Sequence[LabelledSong], source: int, volume_db: float, silence_rate: float | None = None
) -> SourceWindows:
    """Return the labelled windows of ``source`` in the songs with labels of it.

    The precision of a threshold depends on the silence rate. With ``silence_rate`` the silent windows are weighted to
    make up that share, as in the music to be mined; None leaves the data's own share.
    """
    songs = [song for song in songs if song.known(source).any()]
    known = [song.known(source) for song in songs]
    volumes = _joined([song.volumes[source][mask] for song, mask in zip(songs, known, strict=True)])
    silent = volumes <= volume_db
    song_numbers = np.repeat(np.arange(len(songs)), [int(mask.sum()) for mask in known])
    return SourceWindows(
        songs=tuple(songs),
        source=source,
        volume_db=volume_db,
        probabilities=_joined([song.probabilities[source][mask] for song, mask in zip(songs, known, strict=True)]),
        volumes=np.maximum(volumes, VOLUME_FLOOR_DB),
        silent=silent,
        song=song_numbers,
        artists=np.array(artist_numbers(songs), dtype=int)[song_numbers],
        weights=np.where(silent, silent_weight(silent, silence_rate), 1.0),
    )


def artist_numbers(songs: Sequence[LabelledSong]) -> list[int]:
    """Return a number for the artist of each song."""
    artists = sorted({song.artist for song in songs})
    return [artists.index(song.artist) for song in songs]


def silent_weight(silent: Bool[np.ndarray, " N"], rate: float | None) -> float:
    """Return the weight of silent windows that makes their share ``rate``; 1 where ``rate`` is None or cannot be
    reached.

    >>> silent_weight(np.array([True, True, False, False]), rate=0.2)
    0.25
    """
    return silent_weight_of(int(silent.sum()), len(silent), rate)


def silent_weight_of(silent: int, windows: int, rate: float | None) -> float:
    """Return `silent_weight` of counts: ``silent`` of ``windows``."""
    sounding = windows - silent
    if rate is None or not silent or not sounding:
        return 1.0
    return rate / (1 - rate) * sounding / silent


def windows_inside(spans: Sequence[Span], windows: int, track_seconds: float) -> Bool[np.ndarray, " W"]:
    """Return True for the windows that lie wholly in one of ``spans``.

    Windows that extend beyond an end of the track do not count, so excerpts of one length have one number of windows.
    """
    centres = np.arange(windows) * HOP_SECONDS
    starts, ends = centres - WINDOW_SECONDS / 2, centres + WINDOW_SECONDS / 2
    inside = np.zeros(windows, dtype=bool)
    for span in spans:
        last = min(span.end_seconds, track_seconds)
        inside |= (starts >= span.start_seconds - 1e-9) & (ends <= last + 1e-9)
    return inside


def weighted_quantile(values: np.ndarray, weights: np.ndarray, quantile: float) -> float | None:
    """Return the smallest value whose cumulative weight reaches ``quantile``; None without values.

    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.ones(3), 0.5)
    2.0
    """
    if not len(values):
        return None
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, quantile * cumulative[-1] * (1 - 1e-12))])


def percentiles(volumes: np.ndarray, weights: np.ndarray) -> Percentiles:
    """Return percentiles of V in dB over weighted windows."""
    return Percentiles(*(weighted_quantile(volumes, weights, quantile) for quantile in (0.5, 0.9, 0.95)))


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)
