"""Kills of `detect` while tracks are scanned, each followed by a resumed scan.

    python benchmarks/survival/kill_detect.py [--kills 36]

A kill of the scan, its worker, or both falls between the moment at which the first track of an attempt is recorded and
the estimated end of the scan. The excerpts are compared with those of an undisturbed scan by a hash of their audio.
tests/test_survival.py has a smaller form.
"""

import argparse
import os
import random
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from scans import harvest, scan, write_songs
from victims import children, start, wait_for

import remix_miner.processes.workers
from remix_miner.mined.catalogue_db import CATALOGUE_NAME


def tracks_done(out: Path) -> int:
    """Return the number of tracks that the catalogue of a scan in progress states as done."""
    try:
        with sqlite3.connect(f"file:{out / CATALOGUE_NAME}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM tracks WHERE status = 'done'").fetchone()[0])
    except sqlite3.Error:
        return 0


def kill_detect(folder: Path, kills: int, songs: int = 24) -> None:
    """Kill the scan, its worker, or both, and resume until it is complete; then begin anew."""
    choose = random.Random(0)
    library = write_songs(folder / "library", songs, 4.0)
    begun = time.monotonic()
    scan(library, folder / "undisturbed", 1)
    seconds_per_track = (time.monotonic() - begun) / songs
    expected = harvest(folder / "undisturbed")
    inside, targets, runs = 0, Counter[str](), 0
    while inside < kills:
        out = folder / str(runs)
        runs += 1
        while True:
            before = tracks_done(out)
            process = start(scan, library, out, 1)
            if wait_for(lambda out=out, before=before: tracks_done(out) > before, process):  # type: ignore[misc]
                left = songs - tracks_done(out)
                time.sleep(choose.uniform(0, 0.9 * left * seconds_per_track))
                done, target = tracks_done(out), choose.choice(("scan", "worker", "both"))
                workers = children(process.pid or 0)
                if process.is_alive() and done < songs and workers:
                    for number in workers if target != "scan" else []:
                        os.kill(number, signal.SIGKILL)
                    if target != "worker":
                        process.kill()
                    inside += 1
                    targets[target] += 1
            process.join()
            if process.exitcode == 0:
                break
        report = scan(library, out, 0)
        assert report.complete
        assert harvest(out) == expected
    print(
        f"{inside} kills while tracks were scanned ({dict(targets)}) in {runs} scans of {songs} songs: each ended with "
        f"the {len(expected)} excerpts of an undisturbed scan, bit for bit"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=36)
    options = parser.parse_args()
    torch.set_num_threads(1)
    remix_miner.processes.workers.START_METHOD = "fork"  # a worker starts at once
    with tempfile.TemporaryDirectory() as folder:
        kill_detect(Path(folder), options.kills)


if __name__ == "__main__":
    main()
