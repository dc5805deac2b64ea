"""Peak memory of a scan of one very long file, compared with that of a song.

    python benchmarks/speed/long_file.py AUDIO [--hours 3] [--format flac] [--work FOLDER]

The music under AUDIO is repeated to one file of four minutes and one of ``--hours``. Each is scanned by a worker of its
own, as in `remix-miner detect --workers 1`, with shards. The output is the worker's peak resident memory (MiB). The
files are deleted at the end.
"""

import argparse
import itertools
import json
import resource
import tempfile
import time
from pathlib import Path

import soundfile

from remix_miner.audio import read_audio, resample, to_channels
from remix_miner.datasets.library import find_audio
from remix_miner.detector.loading import load_detector
from remix_miner.mining.engines.local import LocalProcesses
from remix_miner.mining.jobs.run import Watch, run_jobs
from remix_miner.mining.messages import JobSetup
from remix_miner.mining.plan import tasks_for
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.thresholds import choose_thresholds

RATE = 44100
SONG_SECONDS = 240


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path, help="a folder of music")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--format", default="flac", choices=["flac", "wav"])
    parser.add_argument("--detector", default="default")
    parser.add_argument("--work", type=Path, default=None, help="where the files are made for the time being")
    options = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory(dir=options.work) as temporary:
        # The song first: what the system reports is the highest peak among the workers that have ended.
        for name, seconds in (("song", SONG_SECONDS), ("long", options.hours * 3600)):
            folder = Path(temporary) / name
            folder.mkdir()
            repeat(options.audio, folder / f"{name}.{options.format}", round(seconds * RATE))
            result[name] = {
                "minutes": seconds / 60,
                **scan(folder, Path(temporary) / f"mined-{name}", options.detector),
            }
    print(json.dumps(result, indent=2))


def repeat(audio: Path, path: Path, frames: int) -> None:
    """Write the music under ``audio``, repeated, as one stereo file."""
    with soundfile.SoundFile(path, "w", RATE, 2) as file:
        for source in itertools.cycle(file.path for file in find_audio(audio)[0]):
            samples, rate = read_audio(source)
            piece = resample(to_channels(samples, 2), rate, RATE).T[:frames]
            file.write(piece)
            frames -= len(piece)
            if not frames:
                return


def scan(folder: Path, out: Path, detector: str) -> dict[str, float]:
    loaded = load_detector(detector)
    thresholds = choose_thresholds(loaded, None)
    setup = JobSetup(
        out, detector, loaded.sha256, "cpu", ScanSettings(thresholds.of_sources), {}, "bench", thresholds.calibration
    )
    start = time.perf_counter()
    batches = run_jobs(setup, LocalProcesses(setup, 1), tasks_for(find_audio(folder)[0]), Watch())
    excerpts = [row for batch in batches for shard in batch.shards for row in shard.excerpts]
    return {
        "wall_seconds": round(time.perf_counter() - start, 1),
        "excerpts": len(excerpts),
        "peak_memory_of_the_worker_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    main()
