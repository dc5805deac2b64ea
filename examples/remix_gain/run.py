"""Gain of training on mined excerpts, measured on recorded songs; docs/guide/does_it_help.md has the results.

    python examples/remix_gain/run.py small.toml --audio AUDIO --mined MINED --out RUNS

trains and scores the runs of the scale's blocks, one JSON document each below RUNS/<target>/results, in order. An
interrupted run can be resumed at any time. `report.py RUNS` makes the tables and the figure, also of unfinished RUNS.

AUDIO holds pairs16k/, stems/ and calibration_only/ (see songs.py); MINED is a folder of `remix-miner detect`.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from arms import Job
from excerpts import ExcerptSets
from scale import Block, Scale, load_scale
from songs import Song, folds, prepare_songs
from training import run_job

from remix_miner.atomic import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", type=Path, help="small.toml, gpu.toml or a file of your own")
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--mined", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no run after so many minutes")
    parser.add_argument("--block", type=int, action="append", help="run this block only, counted from 0; repeatable")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    started = time.monotonic()
    scale = load_scale(options.scale)
    write_json(
        options.out / "scale.json",
        {"scale": scale.name, "updates": scale.updates, "share": scale.share, "sample_rate": scale.sample_rate},
    )
    for number, block in enumerate(scale.blocks):
        if options.block is not None and number not in options.block:
            continue
        out = options.out / block.target
        songs = prepare_songs(options.audio, out / "songs", block.target, scale.sample_rate, scale.channels)
        sets = ExcerptSets(scale, block.target, options.mined, out / "excerpts", songs)
        for job in jobs(block, scale, songs):
            if (out / "results" / f"{job.name}.json").is_file():
                continue
            if time.monotonic() - started > 60 * options.minutes:
                print(f"stopped after {options.minutes:g} minutes, before {job.target} {job.name}", file=sys.stderr)
                return
            tests = [song for song in songs if song.half != job.half]
            labelled = [song for song in songs if job.fold in (song.name, f"half{song.half}")]
            run_job(job, scale, labelled, tests, sets.folder(job), out)
            print(f"{time.strftime('%H:%M:%S')} {job.target} {job.name}", file=sys.stderr, flush=True)


def jobs(block: Block, scale: Scale, songs: list[Song]) -> Iterator[Job]:
    """Yield the runs of a block: the ceilings of its halves if it has that arm, then all other arms of every fold."""
    chosen = list(enumerate(folds(songs)))[slice(*block.folds)]
    if "ceiling" in block.arms:
        for half in sorted({song.half or 0 for _, song in chosen}):
            for epochs in range(1, scale.ceiling_updates // scale.updates + 1):
                yield Job(block.target, "ceiling", f"half{half}", -1, half, block.seed, epochs)
    for number, song in chosen:
        for arm in block.arms:
            if arm != "ceiling":
                yield Job(block.target, arm, song.name, number, song.half or 0, block.seed)


if __name__ == "__main__":
    main()
