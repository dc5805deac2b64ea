"""Segments of labelled stems, read from one or several corpora at one sample rate and channel count.

Frames are counted at the reader's own rate. Where a file has another one, the part that is read is resampled as if the
whole file had been, so stems stay aligned and mixtures stay sums.
"""

import copy
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Int64

from remix_miner.audio import Audio
from remix_miner.datasets.stem_files import ConformedFile
from remix_miner.datasets.tracks import Stems, StemTrack
from remix_miner.errors import DataError, UsageError
from remix_miner.sources import SOURCES

Extracts = Int64[np.ndarray, "N 2"]
SAMPLE_BYTES = 1 << 14


@dataclass(frozen=True)
class Corpus:
    """Songs that are drawn with a common share. ``weight``: relative share of the draws; None: its number of songs."""

    tracks: Sequence[StemTrack]
    weight: float | None = None


class Reads(Protocol):
    """A reader of frames of a source: from the files themselves, or from the cache of `stem_cache`."""

    def __call__(self, song: int, source: str, start_frame: int, frames: int) -> Audio: ...


class SegmentReader:
    """All songs of ``corpora``, numbered in order; draws songs and starts, reads segments.

    Songs are drawn uniformly within their corpus and a song's start uniformly over it (Jeon et al. 2024, section 2.2).
    Raises `DataError` when there is nothing to read.
    """

    def __init__(self, corpora: Sequence[Corpus], sample_rate: int, channels: int) -> None:
        self.tracks = [conform(track, sample_rate, channels) for corpus in corpora for track in corpus.tracks]
        self.sample_rate = sample_rate
        self.channels = channels
        if not self.tracks or any(not corpus.tracks for corpus in corpora):
            raise DataError("a corpus without songs: check its path and split with 'remix-miner check-data PATH'")
        weights = [len(corpus.tracks) if corpus.weight is None else corpus.weight for corpus in corpora]
        if min(weights) < 0 or not sum(weights) > 0:
            raise UsageError(f"weights of corpora are 0 or more and not all 0, got {weights}")
        shares = [weight / len(corpus.tracks) for weight, corpus in zip(weights, corpora) for _ in corpus.tracks]
        self._cumulative = {source: self._shares_of(source, shares) for source in (None, *SOURCES)}
        self.reads: Reads = self._read_file
        self._songs = {source: list(range(len(self.tracks))) for source in SOURCES}
        self.frames = [track.frames for track in self.tracks]
        self.gains: dict[int, float] = {}
        """Factors that `read` applies, by the number of the track; 1 where none is given."""

    def __len__(self) -> int:
        return len(self.tracks)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over names, lengths, sizes and samples of each file's bytes, and the reader's rate and channels."""
        lines = [
            (track.name, track.frames, source, [_sample_bytes(file.path) for file in files])
            for track in self.tracks
            for source, files in track.files.items()
        ]
        return hashlib.sha256(json.dumps([self.sample_rate, self.channels, lines]).encode()).hexdigest()

    def shuffled(self, seed: int) -> "SegmentReader":
        """Return a reader whose song n has its sources from different songs, fixed by ``seed``, cut to the shortest.

        The 'Random' songs of Jeon et al. 2024, Table 1. Each stem is used once, and no song has two stems of another,
        as long as there are as many songs as sources.
        """
        generator = np.random.default_rng(seed)
        reader = copy.copy(self)
        songs = generator.permutation(len(self))
        # Each source is the same order of songs, moved by another number of places.
        moves = np.resize(generator.permutation(len(self)), len(SOURCES))
        reader._songs = {
            source: [self._songs[source][song] for song in np.roll(songs, move)]
            for source, move in zip(SOURCES, moves, strict=True)
        }
        reader.frames = [min(self.frames[song] for song in chosen) for chosen in zip(*reader._songs.values())]
        return reader

    def draw_song(self, generator: np.random.Generator, source: str | None = None) -> int:
        """Draw a song: its corpus by weight, then uniform.

        Isolated files (`Track.isolated`) are drawn for their own ``source`` only; with None, songs are drawn whole,
        and isolated files are not among them while there are others.
        """
        place = int(np.searchsorted(self._cumulative[source], generator.random(), side="right"))
        return min(place, len(self) - 1)

    def _shares_of(self, source: str | None, shares: list[float]) -> np.ndarray:
        """Return cumulative shares of the songs that may be drawn for a source; all songs where none may."""
        usable = np.array([track.isolated in (None, source) for track in self.tracks]) * np.array(shares)
        kept = usable if usable.sum() > 0 else np.array(shares)
        cumulative: np.ndarray = np.cumsum(kept) / kept.sum()
        return cumulative

    def draw_start(self, song: int, frames: int, generator: np.random.Generator) -> int:
        """Draw a start for ``frames`` frames that lies wholly in the song; 0 where the song is shorter."""
        return int(generator.integers(0, max(self.frames[song] - frames, 0) + 1))

    def extracts(self, frames: int, stride_frames: int) -> Extracts:
        """Return every (song, start) of ``frames`` frames each ``stride_frames``; a shorter song gives one extract.

        An epoch of the 2019 paper is a pass over these, at 5 s and 0.5 s (section 5.2).
        """
        if stride_frames < 1:
            raise UsageError(f"the stride between extracts is at least one frame, got {stride_frames}")
        starts = [np.arange(0, max(length - frames, 0) + 1, stride_frames) for length in self.frames]
        return np.concatenate([np.stack([np.full_like(part, song), part], 1) for song, part in enumerate(starts)])

    def read(self, song: int, source: str, start_frame: int, frames: int) -> Audio:
        """Return (C, frames) of one source; zeros before the song's start and after its end."""
        before = min(max(-start_frame, 0), frames)
        first = start_frame + before
        kept = min(frames - before, max(self.frames[song] - first, 0))
        number = self._songs[source][song]
        gain = np.float32(self.gains.get(number, 1.0))
        if kept == frames and frames:
            whole = self.reads(number, source, first, frames)
            return whole if gain == 1 else whole * gain
        audio = np.zeros((self.channels, frames), dtype=np.float32)
        if kept:
            audio[:, before : before + kept] = self.reads(number, source, first, kept) * gain
        return audio

    def read_stems(self, song: int, start_frame: int, frames: int) -> Stems:
        """Return (S, C, frames) of all sources in SOURCES order."""
        return np.stack([self.read(song, source, start_frame, frames) for source in SOURCES])

    def use(self, reads: Reads) -> None:
        """Replace the place that frames are read from, see `remix_miner.datasets.stem_cache`."""
        self.reads = reads

    def _read_file(self, song: int, source: str, start_frame: int, frames: int) -> Audio:
        return self.tracks[song].read_source(source, start_frame, frames)


def conform(track: StemTrack, sample_rate: int, channels: int) -> StemTrack:
    """Return ``track`` conformed to this rate and these channels; its mixture is then the sum of its stems."""
    if (track.sample_rate, track.channels) == (sample_rate, channels):
        return replace(track, mixture=None)
    files = {
        source: tuple(ConformedFile(file, sample_rate, channels) for file in parts)
        for source, parts in track.files.items()
    }
    frames = math.ceil(track.frames * sample_rate / track.sample_rate)
    return replace(track, sample_rate=sample_rate, channels=channels, frames=frames, files=files, mixture=None)


def _sample_bytes(path: Path) -> tuple[int, str]:
    """Return size and a digest of three blocks of a file: equal for copies, different for other versions."""
    size = path.stat().st_size
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for place in (0, size // 2, max(size - SAMPLE_BYTES, 0)):
            file.seek(place)
            digest.update(file.read(SAMPLE_BYTES))
    return size, digest.hexdigest()
