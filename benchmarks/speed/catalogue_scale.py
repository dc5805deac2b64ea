"""Speed of a catalogue of a million tracks: python benchmarks/speed/catalogue_scale.py [--tracks 1000000]

CPU times are those of this process. The rest of the wall time is waiting for the disk or for other programs.

The benchmark simulates a scan without audio: files are registered, then batches of tracks are recorded with their
excerpts and shards, one durable transaction each, as `detect` does. All shards but one are empty files, so that folders
have a realistic number of files. Then it times a user's queries and a resumed scan.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from remix_miner.datasets.library import LibraryFile
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_db import CATALOGUE_NAME
from remix_miner.mined.catalogue_rows import ScannedTrack
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.shards.files import ClosedShard
from remix_miner.mined.shards.writer import ShardWriter
from remix_miner.sources import MINED_SOURCES

SETTINGS = {"detector_sha256": "d" * 64, "min_seconds": 5.0}
RATE = 44100
EXCERPT_SECONDS = 10
EXCERPTS_IN_SHARD = 120
Result = TypeVar("Result")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--excerpts-per-track", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None, help="on the file system to be measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        result = measure(folder, options.tracks, options.excerpts_per_track)
    finally:
        shutil.rmtree(folder)
    if options.json:
        json.dump(result, sys.stdout, indent=2)
    else:
        for name, value in result.items():
            print(f"{name:52} {value:>14,.3f}" if isinstance(value, float) else f"{name:52} {value:>14,}")


def measure(folder: Path, tracks: int, per_track: int) -> dict[str, Any]:
    result: dict[str, Any] = {"tracks": tracks, "excerpts": tracks * per_track}

    def timed(name: str, action: Callable[[], Result]) -> Result:
        began, computed = time.perf_counter(), time.process_time()
        outcome = action()
        result[f"{name} (s)"] = time.perf_counter() - began
        result[f"{name}, CPU (s)"] = time.process_time() - computed
        print(f"{name}: {result[f'{name} (s)']:.2f} s", file=sys.stderr, flush=True)
        return outcome

    root = Path("/")
    files = [LibraryFile(root, f"library/{n % 9973:04d}/{n:07d}.mp3", 5_000_000, 1) for n in range(tracks)]
    with Catalogue.open(folder, SETTINGS) as catalogue:
        timed("register all files", lambda: catalogue.register(files))
        batches = timed("record all batches", lambda: record(catalogue, folder, files, per_track))
        result["transactions"] = batches
        for what in ("", ", CPU"):
            result[f"milliseconds per transaction{what}"] = 1000 * result[f"record all batches{what} (s)"] / batches
    result["shards"] = len(list((folder / "shards").iterdir()))
    result["catalogue (MB)"] = (folder / CATALOGUE_NAME).stat().st_size / 1e6
    with timed("open to resume", lambda: Catalogue.open(folder, SETTINGS)) as catalogue:
        left = timed("register all files again, nothing new", lambda: catalogue.register(files))
        assert left == []
        changed = [LibraryFile(file.path, file.name, file.size, 2) for file in files[:: max(tracks // 1000, 1)]]
        left = timed("register 1,000 changed files", lambda: catalogue.register(changed))
        assert len(left) == len(changed)
    with CatalogueView.read(folder) as view:
        timed("hours and tracks per source", view.harvest)
        timed("tracks by status", view.track_counts)
        names = [files[n].name for n in np.random.default_rng(0).integers(tracks, size=1000)]
        timed("status of 1,000 tracks by name", lambda: [view.status(name) for name in names])
        shard = next(iter(view.shards()))
        timed("excerpts of one shard", lambda: view.excerpt_places(shard))
    dataset = timed("open as a training set (index of all excerpts)", lambda: MinedExcerpts(folder))
    result["index in memory (MB)"] = dataset._index.nbytes / 1e6
    generator = np.random.default_rng(0)
    timed("draw 100,000 excerpts", lambda: [dataset.draw("drums", generator) for _ in range(100_000)])
    result["peak memory of this process (MB)"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return result


def record(catalogue: Catalogue, folder: Path, files: list[LibraryFile], per_track: int) -> int:
    """Record all files as a scan does, in batches of tracks that fill one shard of each source."""
    size = max(1, EXCERPTS_IN_SHARD * len(MINED_SOURCES) // per_track)
    count = 0
    for count, batch in enumerate((files[at : at + size] for at in range(0, len(files), size)), 1):
        tracks = [ScannedTrack(file.name, f"{hash(file.name) % 16**16:064x}", 200.0, RATE, 2) for file in batch]
        catalogue.finish_tracks(tracks, list(shards_of(folder, count, tracks, per_track)))
    return count


def shards_of(folder: Path, number: int, tracks: list[ScannedTrack], per_track: int) -> Iterator[ClosedShard]:
    """Return one shard of each source, with the excerpts of ``tracks`` distributed among the sources."""
    rows: dict[str, list[dict[str, Any]]] = {source: [] for source in MINED_SOURCES}
    for at, track in enumerate(tracks):
        for excerpt in range(per_track):
            held = rows[MINED_SOURCES[(at + excerpt) % len(MINED_SOURCES)]]
            held.append(
                {
                    "track": track.name,
                    "start_seconds": 20.0 * excerpt,
                    "start_frame": len(held) * EXCERPT_SECONDS * RATE,
                    "frames": EXCERPT_SECONDS * RATE,
                    "probability_mean": 0.97,
                    "probability_min": 0.92,
                    "expected_volume_db": -33.0,
                }
            )
    for source, held in rows.items():
        if held:
            path = folder / "shards" / f"{source}-{number:08d}.h5"
            if number == 1:
                write_real_shard(folder, source, path)
            else:
                path.touch()
            yield ClosedShard(path, source, held, f"{number:064x}", 0, len(held) * EXCERPT_SECONDS * RATE, RATE)


def write_real_shard(folder: Path, source: str, path: Path) -> None:
    """Write one real shard, from which a training set reads the sample rate."""
    with ShardWriter(folder, source, detector_sha256="d", threshold=0.9, settings={}, shard_id="00000001") as shard:
        shard.append(
            np.zeros((RATE, 2), dtype=np.float32),
            track="one",
            track_sha256="0" * 64,
            start_seconds=0,
            probability_mean=1,
            probability_min=1,
        )
    assert shard.path == path


if __name__ == "__main__":
    main()
