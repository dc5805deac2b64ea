"""An audit without trust: labelled songs are slipped into a scan, and what was harvested from them is judged.

The songs are mixed down to files that look like any other in the queue. Their excerpts are found by the same
detector in the same run and never stored: what training reads does not know them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from remix_miner.audio import write_audio
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.library import LibraryFile
from remix_miner.datasets.tracks import StemTrack
from remix_miner.detector.windows import HOP_SECONDS, WINDOW_SECONDS
from remix_miner.errors import DataError
from remix_miner.mining.messages import TrackScan
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB, relative_volume_db

BOOTSTRAP_DRAWS = 10_000
INAUDIBLE_DB = -80.0


@dataclass(frozen=True)
class Purity:
    """What was harvested of one source from the planted songs.

    ``purity``: share of the harvested audio's windows (0.64 s, every 64 ms) with V <= ``volume_db``; None without
    harvest. ``low``, ``high``: 95% bootstrap interval of it over the songs that gave something; None for a single one,
    and too narrow for a handful. ``median_db`` and ``percentile_95_db``: of V over those windows (-80 stands for this
    or less)..
    """

    songs: int
    songs_harvested: int
    excerpts: int
    seconds: float
    purity: float | None
    low: float | None
    high: float | None
    median_db: float | None
    percentile_95_db: float | None
    volume_db: float


def plant(stems: Sequence[Path], folder: Path) -> dict[str, StemTrack]:
    """Mix labelled songs down into ``folder``; returns each file's name in the scan and its song."""
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
    """The mixed-down songs as files of the library. Their names cannot be those of real ones, which have a folder."""
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
    result = {}
    for source in sources:
        songs: list[Float[np.ndarray, " N"]] = []
        excerpts, seconds = 0, 0.0
        for scan in scans:
            found = [one for one in scan.found if one.source == source]
            excerpts += len(found)
            seconds += sum(one.frames for one in found) / scan.sample_rate
            track = planted[scan.task.file.name]
            volumes = [_volumes_db(track, source, one.start_frame, one.frames) for one in found]
            songs.append(np.concatenate(volumes) if volumes else np.zeros(0))
        result[source] = _purity(songs, excerpts, seconds, volume_db, seed)
    return result


def purity_json(purities: Mapping[str, Purity]) -> dict[str, dict[str, float | int | None]]:
    """Per source, as report.json has it."""
    return {source: dataclasses.asdict(purity) for source, purity in purities.items()}


def _volumes_db(track: StemTrack, source: str, start_frame: int, frames: int) -> Float[np.ndarray, " N"]:
    """V of the source in the windows that lie wholly inside an excerpt; none where the mixture is digital silence."""
    stems = torch.from_numpy(track.read(start_frame, min(frames, track.frames - start_frame))).mean(dim=1, keepdim=True)
    window, hop = round(WINDOW_SECONDS * track.sample_rate), round(HOP_SECONDS * track.sample_rate)
    volumes = relative_volume_db(stems, window, hop)[SOURCES.index(source)].numpy()
    audible: Float[np.ndarray, " N"] = np.maximum(volumes[~np.isnan(volumes)], INAUDIBLE_DB)
    return audible


def _purity(songs: list[np.ndarray], excerpts: int, seconds: float, volume_db: float, seed: int) -> Purity:
    harvested = [volumes for volumes in songs if len(volumes)]
    if not harvested:
        return Purity(len(songs), 0, excerpts, seconds, None, None, None, None, None, volume_db)
    windows = np.array([len(volumes) for volumes in harvested])
    pure = np.array([(volumes <= volume_db).sum() for volumes in harvested])
    draws = np.random.default_rng(seed).integers(0, len(harvested), (BOOTSTRAP_DRAWS, len(harvested)))
    shares = pure[draws].sum(axis=1) / windows[draws].sum(axis=1)
    low, high = np.quantile(shares, [0.025, 0.975]) if len(harvested) > 1 else (None, None)
    together = np.concatenate(harvested)
    return Purity(
        songs=len(songs),
        songs_harvested=len(harvested),
        excerpts=excerpts,
        seconds=seconds,
        purity=float(pure.sum() / windows.sum()),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        median_db=float(np.median(together)),
        percentile_95_db=float(np.percentile(together, 95)),
        volume_db=volume_db,
    )
