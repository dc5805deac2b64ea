"""Measurement of a harvest's purity by adding labelled songs to the scan.

The songs are mixed down to files in the queue. The same detector finds their excerpts in the same run; these are
compared with the stems and never stored.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from remix_miner.audio import write_audio
from remix_miner.calibration.harvest import harvest_of_spans
from remix_miner.calibration.intervals import BootstrapSettings, estimate, ratio, resampled
from remix_miner.calibration.songs.labelled import LabelledSong, mono_stems, true_volumes
from remix_miner.calibration.window_table import windows_of
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.library import LibraryFile
from remix_miner.datasets.tracks import StemTrack
from remix_miner.detector.spans import Span
from remix_miner.detector.windows import HOP_SECONDS
from remix_miner.errors import DataError
from remix_miner.mining.messages import Found, TrackScan
from remix_miner.mining.purity import Purity
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB

BOOTSTRAP_DRAWS = 10_000


def plant(stems: Sequence[Path], folder: Path) -> dict[str, StemTrack]:
    """Mix labelled songs down into ``folder``. Return each file's name in the scan and its song."""
    tracks = load_stem_tracks(stems)
    if not tracks:
        raise DataError(f"--plant: no labelled songs in {', '.join(map(str, stems))}")
    planted = {}
    for number, track in enumerate(tracks):
        mixture = track.read().sum(axis=0, dtype=np.float32)
        # 24 bits, and a gain where the sum exceeds full scale: relative volumes do not change.
        mixture /= max(1.0, float(np.abs(mixture).max(initial=0.0)))
        path = folder / f"{number:04d}.flac"
        write_audio(path, mixture, track.sample_rate, "int24")
        planted[path.name] = track
    return planted


def planted_files(folder: Path, planted: Mapping[str, StemTrack]) -> list[LibraryFile]:
    """Return the mixed-down songs as files of the library. Their names are unique: real ones have a folder."""
    files = []
    for name in planted:
        status = (folder / name).stat()
        files.append(LibraryFile(folder / name, name, status.st_size, status.st_mtime_ns))
    return files


def judge(
    scans: Sequence[TrackScan],
    planted: Mapping[str, StemTrack],
    sources: Sequence[str],
    volume_db: float = SILENT_MINING_DB,
    seed: int = 0,
) -> dict[str, Purity]:
    """Compare what was found in the planted songs with their stems, per source."""
    songs = [_labelled(planted[scan.task.file.name], scan) for scan in scans]
    return {source: _purity(scans, songs, source, volume_db, seed) for source in sources}


def _labelled(track: StemTrack, scan: TrackScan) -> LabelledSong:
    """Return the true volumes of a planted song, with unknown probabilities (nan)."""
    volumes = true_volumes(track, mono_stems(track))
    return LabelledSong(scan.task.file.name, track.artist, scan.seconds, np.full_like(volumes, np.nan), volumes)


def _purity(
    scans: Sequence[TrackScan], songs: Sequence[LabelledSong], source: str, volume_db: float, seed: int
) -> Purity:
    found = [[span for span in scan.found if span.source == source] for scan in scans]
    excerpts = sum(map(len, found))
    seconds = sum(span.frames / scan.sample_rate for scan, each in zip(scans, found, strict=True) for span in each)
    nothing = Purity(len(songs), 0, excerpts, seconds, None, None, None, None, None, volume_db)
    spans = {
        song.name: [_span(span, scan.sample_rate) for span in each]
        for song, scan, each in zip(songs, scans, found, strict=True)
    }
    windows = windows_of(songs, SOURCES.index(source), volume_db)
    kept = harvest_of_spans(windows, [spans[song.name] for song in windows.songs])
    harvested = kept.kept_by_song > 0
    if not harvested.any():
        return nothing
    settings = BootstrapSettings(draws=BOOTSTRAP_DRAWS, seed=seed)
    times = resampled(int(harvested.sum()), settings)  # (D, songs harvested)
    shares = ratio(times @ kept.pure_by_song[harvested], times @ kept.kept_by_song[harvested])
    purity = estimate(shares, times.shape[1], settings)
    return dataclasses.replace(
        nothing,
        songs_harvested=times.shape[1],
        purity=purity.value,
        low=purity.low,
        high=purity.high,
        median_db=kept.volume_db(0.5),
        percentile_95_db=kept.volume_db(0.95),
    )


def _span(found: Found, sample_rate: int) -> Span:
    start, end = found.start_frame / sample_rate, (found.start_frame + found.frames) / sample_rate
    first, last = (int(edge / HOP_SECONDS) for edge in (start, end))
    return Span(start, end, found.probability_mean, found.probability_min, first, last)
