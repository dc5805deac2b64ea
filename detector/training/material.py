"""Training material of the detector in memory: mono, 16 kHz, int16, decoded and resampled once.

There are four kinds: songs with stems, loops (recordings of one source), songs with vocals and accompaniment, and
songs with labels of some intervals. A cache folder keeps the decoded audio, one file per recording, named by the
SHA-256 of the recording.
"""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int16

from remix_miner.atomic import atomic_path
from remix_miner.audio import AUDIO_SUFFIXES, downmix, read_audio, resample
from remix_miner.checkpoint import sha256_of_file
from remix_miner.datasets.tracks import PairTrack, StemTrack
from remix_miner.detector.windows import HOP_SECONDS, SAMPLE_RATE, WINDOW_SECONDS, window_count
from remix_miner.errors import DataError
from remix_miner.progress import track
from remix_miner.sources import SOURCES

Mono = Float[np.ndarray, " T"]
PEAK = 32767
MIN_LOOP_SECONDS = 0.5
FINGERPRINT_STRIDE = 997


@dataclass(frozen=True)
class Clip:
    """A recording of one source. The clips of a ``group`` (a folder) share its probability of being drawn."""

    name: str
    group: str
    audio: Int16[np.ndarray, " T"]


@dataclass(frozen=True)
class Song:
    """A song with its stems (4, T)."""

    name: str
    artist: str
    stems: Int16[np.ndarray, "S T"]


@dataclass(frozen=True)
class Pair:
    """A song as vocals and accompaniment (2, T); of its sources only the vocals are labelled."""

    name: str
    artist: str
    parts: Int16[np.ndarray, "2 T"]


@dataclass(frozen=True)
class WeakSong:
    """A song whose windows are labelled for some sources and times: 1 silent, 0 sounding, nan unknown (4, W)."""

    name: str
    audio: Int16[np.ndarray, " T"]
    silent: Float[np.ndarray, "S W"]


@dataclass(frozen=True)
class Material:
    """Songs, loops, weakly labelled songs and pairs for mixes."""

    songs: list[Song]
    loops: dict[str, list[Clip]]
    weak: list[WeakSong]
    pairs: list[Pair] = field(default_factory=list)

    def hours(self) -> dict[str, float]:
        """Return the hours of isolated material per source: loops, and stems that are not silent."""
        frames = {source: sum(len(clip.audio) for clip in self.loops.get(source, [])) for source in SOURCES}
        for song in self.songs:
            for source, stem in zip(SOURCES, song.stems, strict=True):
                frames[source] += len(stem) if stem.any() else 0
        frames["vocals"] += sum(pair.parts.shape[1] for pair in self.pairs)
        return {source: count / SAMPLE_RATE / 3600 for source, count in frames.items()}

    def fingerprint(self) -> str:
        """Return a SHA-256 over names, lengths and some samples, which a resumed run compares."""
        digest = hashlib.sha256()
        audio = [(song.name, song.stems) for song in self.songs]
        audio += [(clip.name, clip.audio) for source in SOURCES for clip in self.loops.get(source, [])]
        audio += [(song.name, song.audio) for song in self.weak]
        audio += [(pair.name, pair.parts) for pair in self.pairs]
        for name, samples in audio:
            digest.update(f"{name} {samples.shape}".encode("utf-8", "surrogateescape"))
            digest.update(np.ascontiguousarray(samples[..., ::FINGERPRINT_STRIDE]).tobytes())
        for song in self.weak:
            digest.update(song.silent.tobytes())
        return digest.hexdigest()


def load_songs(tracks: Sequence[StemTrack]) -> list[Song]:
    """Return the stems of each track, downmixed and resampled. A broken file raises an error before training starts."""
    return [
        Song(song.name, song.artist, _mono(song.read(), song.sample_rate)) for song in track(tracks, "reading stems")
    ]


def load_pairs(tracks: Sequence[PairTrack]) -> list[Pair]:
    """Return vocals and accompaniment of each track, as `load_songs` reads stems."""
    return [
        Pair(pair.name, pair.artist, _mono(pair.read(), pair.sample_rate)) for pair in track(tracks, "reading pairs")
    ]


def load_loops(folders: Sequence[Path], cache: Path | None = None) -> dict[str, list[Clip]]:
    """Return the clips of each ``folder/<source>/**``; raise `DataError` where a folder has no source folders."""
    found: dict[str, list[Clip]] = {source: [] for source in SOURCES}
    jobs: list[tuple[str, Path]] = []
    for folder in folders:
        present = [source for source in SOURCES if (folder / source).is_dir()]
        if not present:
            raise DataError(f"{folder} has no folder named {', '.join(SOURCES)}; put isolated recordings into these")
        for source in present:
            paths = sorted((folder / source).rglob("*"))
            jobs += [(source, path) for path in paths if path.suffix.lower() in AUDIO_SUFFIXES]
    for source, path in track(jobs, "reading loops"):
        audio = read_mono(path, cache)
        if len(audio) >= MIN_LOOP_SECONDS * SAMPLE_RATE and audio.any():
            found[source].append(Clip(path.name, str(path.parent), audio))
    return found


def load_weak(table: Path, cache: Path | None = None) -> list[WeakSong]:
    """Return the songs of a CSV with columns path, source, start_seconds, end_seconds, silent (0 or 1).

    Paths are relative to the table's folder or its parent. A window is labelled where it lies inside one interval.
    """
    intervals: dict[str, list[tuple[int, float, float, float]]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                source = SOURCES.index(row["source"])
                silent = {"0": 0.0, "1": 1.0}[row["silent"].strip()]
                intervals[row["path"]].append((source, float(row["start_seconds"]), float(row["end_seconds"]), silent))
            except (KeyError, ValueError) as error:
                raise DataError(
                    f"{table}, line {number}: {dict(row)} is not path,source,start_seconds,end_seconds,silent"
                ) from error
    songs = []
    for name, rows in track(sorted(intervals.items()), "reading weakly labelled songs"):
        path = next((base / name for base in (table.parent, table.parent.parent) if (base / name).is_file()), None)
        if path is None:
            raise DataError(f"{table} names {name!r}, which is neither in {table.parent} nor in {table.parent.parent}")
        audio = read_mono(path, cache)
        silent_windows = np.full((len(SOURCES), window_count(len(audio))), np.nan, dtype=np.float32)
        centres = np.arange(silent_windows.shape[1]) * HOP_SECONDS
        for source, start, end, value in rows:
            inside = (centres - WINDOW_SECONDS / 2 >= start) & (centres + WINDOW_SECONDS / 2 <= end)
            silent_windows[source, inside] = value
        songs.append(WeakSong(name, audio, silent_windows))
    return songs


def read_mono(path: Path, cache: Path | None = None) -> Int16[np.ndarray, " T"]:
    """Return a whole recording as mono 16 kHz int16, from the cache if it is there."""
    kept = cache / f"{sha256_of_file(path)[:24]}-mono16k.npy" if cache else None
    if kept is not None and kept.is_file():
        cached: Int16[np.ndarray, " T"] = np.load(kept)
        return cached
    audio, sample_rate = read_audio(path)
    mono = _int16(resample(downmix(audio)[None], sample_rate, SAMPLE_RATE)[0])
    if kept is not None:
        with atomic_path(kept) as temporary:
            np.save(temporary, mono)
    return mono


def _mono(stems: Float[np.ndarray, "S C T"], sample_rate: int) -> Int16[np.ndarray, "S T"]:
    return _int16(np.stack([resample(downmix(stem)[None], sample_rate, SAMPLE_RATE)[0] for stem in stems]))


def _int16(audio: Float[np.ndarray, "*S T"]) -> Int16[np.ndarray, "*S T"]:
    """Return int16 samples, all scaled down where the peak is over full scale."""
    peak = float(np.abs(audio).max(initial=0.0))
    return np.round(audio * (PEAK / max(peak, 1.0))).astype(np.int16)
