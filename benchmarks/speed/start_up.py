"""Start-up of `remix-miner detect`, in units of PyTorch's import.

    python benchmarks/speed/start_up.py [--library FOLDER] [--rounds 5] [--workers 2]

Each round runs in turn: ``python -c 'import torch'``; `detect` of a song of six seconds, which is start-up alone;
`detect` again, which has nothing to scan; and, with ``--library``, `detect` of that folder. The output has the medians
of wall and CPU time, and of their ratios to the import in the same round. To compare two versions, run the script with
PYTHONPATH set to a checkout of each, in turn, on one machine.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile

IMPORT = "import torch"


def seconds(command: list[str]) -> tuple[float, float]:
    """Return wall and CPU seconds of a command and the processes it starts."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, capture_output=True, check=True)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    detect = [sys.executable, "-m", "remix_miner.cli", "detect"]
    last = ["--workers", str(options.workers)]
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.flac"
        soundfile.write(song, np.random.default_rng(0).normal(0, 0.1, (6 * 44100, 2)), 44100)
        for number in range(options.rounds):
            out = Path(folder) / str(number)
            taken[IMPORT].append(seconds([sys.executable, "-c", IMPORT]))
            taken["one song of 6 s"].append(seconds([*detect, str(song), "--out", str(out), *last]))
            taken["nothing to scan"].append(seconds([*detect, str(song), "--out", str(out), *last]))
            if options.library is not None:
                whole = [*detect, str(options.library), "--out", f"{out}-library", *last]
                taken[str(options.library)].append(seconds(whole))
    print(f"{'':24}  {'wall':>8}  {'CPU':>8}  {'wall/import':>11}  {'CPU/import':>10}")
    for name, runs in taken.items():
        wall, cpu = (statistics.median(column) for column in zip(*runs, strict=True))
        pairs = list(zip(runs, taken[IMPORT], strict=True))
        walls = statistics.median(run[0] / unit[0] for run, unit in pairs)
        cpus = statistics.median(run[1] / unit[1] for run, unit in pairs)
        print(f"{name[-24:]:24}  {wall:6.2f} s  {cpu:6.2f} s  {walls:11.2f}  {cpus:10.2f}")


if __name__ == "__main__":
    main()
