"""Tracks: one song each, with its sources apart. Headers are read once; audio is read in parts.

`Track.read_source` and `Track.read_mixture` are all that a corpus needs; `StemTrack` has the four sources,
`PairTrack` vocals and accompaniment. Objects hold paths, never open files, so they can be sent to workers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from remix_miner.audio import Audio
from remix_miner.datasets.stem_files import StemFile, read_padded
from remix_miner.errors import UsageError
from remix_miner.sources import SOURCES

Stems = Float32[np.ndarray, "S C T"]

PAIR_SOURCES = ("vocals", "accompaniment")


@dataclass(frozen=True)
class Track:
    """A song with known sources; frames count from 0 at ``sample_rate`` and every read may be partial.

    ``files`` maps each source to the files whose sum it is; a source in ``absent`` has none and reads as zeros.
    A file shorter than ``frames`` (possible only where unequal lengths were allowed) reads as zeros after its end.
    """

    name: str
    folder: Path
    artist: str
    split: str | None
    sample_rate: int
    channels: int
    frames: int
    files: Mapping[str, tuple[StemFile, ...]]
    mixture: StemFile | None = None
    absent: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that this kind of track has apart, in reading order."""
        return tuple(self.files)

    @property
    def isolated(self) -> str | None:
        """The only source that has audio; None where there are several, or where the sources are not four."""
        held = [source for source, files in self.files.items() if files]
        return held[0] if len(held) == 1 and len(self.files) == len(SOURCES) else None

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate

    def read_source(self, source: str, start_frame: int = 0, frames: int | None = None) -> Audio:
        """Return (C, frames) float32 of one source; ``frames`` None means to the end of the track."""
        if source not in self.files:
            raise UsageError(f"{self.name!r} has no source {source!r}; it has {', '.join(self.files)}")
        frames = self._checked(start_frame, frames)
        parts = [read_padded(file, start_frame, frames) for file in self.files[source]]
        if not parts:
            return np.zeros((self.channels, frames), dtype=np.float32)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def read_mixture(self, start_frame: int = 0, frames: int | None = None) -> Audio:
        """Return (C, frames) float32 of the mixture file, or the sum of the sources where there is none."""
        frames = self._checked(start_frame, frames)
        if self.mixture is not None:
            return read_padded(self.mixture, start_frame, frames)
        mixture = np.zeros((self.channels, frames), dtype=np.float32)
        for source in self.sources:
            if self.files[source]:
                mixture += self.read_source(source, start_frame, frames)
        return mixture

    def _read(self, sources: Iterable[str], start_frame: int, frames: int | None) -> Stems:
        frames = self._checked(start_frame, frames)
        sources = tuple(sources)
        stems = np.zeros((len(sources), self.channels, frames), dtype=np.float32)
        for stem, source in zip(stems, sources, strict=True):
            stem[:] = self.read_source(source, start_frame, frames)
        return stems

    def _checked(self, start_frame: int, frames: int | None) -> int:
        frames = self.frames - start_frame if frames is None else frames
        if start_frame < 0 or frames < 0 or start_frame + frames > self.frames:
            end = start_frame + frames
            raise UsageError(f"{self.name!r} has {self.frames} frames; {start_frame} to {end} were requested")
        return frames


@dataclass(frozen=True)
class StemTrack(Track):
    """A song whose drums, bass, other and vocals are known apart."""

    def read(self, start_frame: int = 0, frames: int | None = None, sources: Iterable[str] = SOURCES) -> Stems:
        """Return (S, C, frames) float32, the sources in the requested order."""
        return self._read(sources, start_frame, frames)


@dataclass(frozen=True)
class PairTrack(Track):
    """A song of which only vocals and accompaniment are known apart."""

    def read(self, start_frame: int = 0, frames: int | None = None) -> Stems:
        """Return (2, C, frames) float32: vocals, accompaniment."""
        return self._read(PAIR_SOURCES, start_frame, frames)


def accompaniment_as_other(pair: PairTrack) -> StemTrack:
    """Return a song without drums and bass, whose whole accompaniment takes the place of 'other'.

    Only for models of vocals against the rest, which use nothing but the sum of the three.
    """
    values = {item.name: getattr(pair, item.name) for item in fields(pair)}
    values["files"] = {"drums": (), "bass": (), "other": pair.files["accompaniment"], "vocals": pair.files["vocals"]}
    return StemTrack(**{**values, "absent": ("drums", "bass")})


def artist_of(name: str) -> str:
    """Return the best guess at an artist: the text before ' - ', else the whole name (each song its own artist).

    >>> artist_of("Al James - Schoolboy Facination"), artist_of("track_7")
    ('Al James', 'track_7')
    """
    return name.split(" - ", 1)[0].strip() or name
