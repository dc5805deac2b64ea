"""Labelled songs in an export: target, sum of the rest, and mixture; links to the song's own files where possible."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.segments import conform
from remix_miner.datasets.stem_files import PlainFile
from remix_miner.datasets.tracks import StemTrack
from remix_miner.errors import DataError
from remix_miner.export.files import Written, put_audio, put_link
from remix_miner.sources import SOURCES


@dataclass(frozen=True)
class SongPart:
    """Content of a file of a song: the sum of ``sources``."""

    song: StemTrack
    sources: tuple[str, ...]

    @property
    def pcm_bytes(self) -> int:
        return self.song.frames * self.song.channels * 4

    def put(self, path: Path, kind: str, written: Written) -> None:
        """Link the song's own file if one of this kind has exactly this content, else write the sum."""
        own = self.own_file(kind)
        if own is not None:
            put_link(own, path, written)
            return
        put_audio(path, self.song.frames, lambda: (self._sum(), self.song.sample_rate), kind, written)

    def own_file(self, kind: str) -> Path | None:
        """Return the song's own file of this kind with exactly this audio, or None."""
        files = [file for source in self.sources for file in self.song.files[source]]
        if len(self.sources) == len(SOURCES):
            files = [] if self.song.mixture is None else [self.song.mixture]
        plain = len(files) == 1 and isinstance(files[0], PlainFile) and files[0].frames == self.song.frames
        return files[0].path if plain and files[0].path.suffix.lower() == f".{kind}" else None

    def _sum(self) -> np.ndarray:
        total = np.zeros((self.song.channels, self.song.frames), dtype=np.float32)
        for source in self.sources:
            total += self.song.read_source(source)
        return total


def load_songs(stems: Sequence[Path], split: str, sample_rate: int | None = None) -> list[StemTrack]:
    """Return the songs of a split, resampled to ``sample_rate`` (None: as they are).

    Songs of corpora without splits count as 'train'.
    """
    songs = load_stem_tracks(stems) if stems else []
    chosen = [
        song if sample_rate in (None, song.sample_rate) else conform(song, sample_rate, song.channels)
        for song in songs
        if (song.split or "train") == split
    ]
    names = [safe_name(song) for song in chosen]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"two labelled songs are named {twice[0]!r}; rename one, or export them apart")
    return chosen


def safe_name(song: StemTrack) -> str:
    """Return a song's name as a folder name."""
    return song.name.replace("/", "_").replace("\\", "_").strip(". ") or "song"
