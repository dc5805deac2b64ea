"""Gain of training on mined excerpts, measured on recorded songs; docs/guide/does_it_help.md has the results.

    python examples/remix_gain/run.py small.toml --audio AUDIO --mined MINED --out RUNS

trains and scores the runs of the scale's blocks, one JSON document each below RUNS/<target>/results, in order. An
interrupted run can be resumed at any time. `report.py RUNS` makes the tables and the figure, also of unfinished RUNS.

AUDIO holds pairs16k/, stems/, calibration_only/, singing16k/ and loops/ (see songs.py); MINED is a folder of
`remix-miner detect`. Arms with another harvest need its folder as well: --harvest NAME=FOLDER.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from arms import Job
from excerpts import ExcerptSets
from scale import Block, Scale, load_scale
from songs import Song, folds, isolated_targets, labelled_songs, prepare_songs
from training import run_job

from remix_miner.atomic import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", type=Path, help="small.toml, gpu.toml or a file of your own")
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--mined", type=Path, required=True)
    parser.add_argument("--harvest", action="append", default=[], help="NAME=FOLDER: another mined folder; repeatable")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no run after so many minutes")
    parser.add_argument("--block", type=int, action="append", help="run this block only, counted from 0; repeatable")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    started = time.monotonic()
    scale = load_scale(options.scale)
    chosen = [scale.blocks[number] for number in options.block or range(len(scale.blocks))]
    harvests = find_harvests(options.mined, options.harvest, chosen, scale)
    describe(options.out / "scale.json", scale)
    for block in chosen:
        out = options.out / block.target
        songs = prepare_songs(options.audio, out / "songs", block.target, scale.sample_rate, scale.channels)
        sets = ExcerptSets(scale, block.target, harvests, out / "excerpts", songs)
        for job in jobs(block, scale, songs):
            if (out / "results" / f"{job.name}.json").is_file():
                continue
            if time.monotonic() - started > 60 * options.minutes:
                print(f"stopped after {options.minutes:g} minutes, before {job.target} {job.name}", file=sys.stderr)
                return
            tests = [song for song in songs if song.half != job.half]
            count = scale.arm(job.arm).settings.labelled
            labelled = labelled_songs(job.fold, songs, job.half, job.number, count)
            isolated = None
            if scale.arm(job.arm).settings.isolated:
                folder = out / f"isolated-half{job.half}"
                isolated = isolated_targets(options.audio, songs, job.half, job.target, scale.channels, folder)
            run_job(job, scale, labelled, tests, sets.folder(job), out, isolated)
            print(f"{time.strftime('%H:%M:%S')} {job.target} {job.name}", file=sys.stderr, flush=True)


def find_harvests(mined: Path, named: list[str], blocks: list[Block], scale: Scale) -> dict[str, Path]:
    """Return the mined folders by name, the default one as ''; `SystemExit` where a block needs another one."""
    pairs = [text.partition("=") for text in named]
    harvests = {"": mined, **{name: Path(folder) for name, _, folder in pairs}}
    needed = {scale.arm(arm).settings.harvest or "" for block in blocks for arm in block.arms}
    if missing := sorted(needed - set(harvests)):
        raise SystemExit(f"no mined folder for {', '.join(missing)}: give it with --harvest {missing[0]}=FOLDER")
    for folder in harvests.values():
        if not folder.is_dir():
            raise SystemExit(f"{folder} is not a folder")
    return harvests


def describe(path: Path, scale: Scale) -> None:
    """Write what the runs of a folder share; `SystemExit` where runs of another scale are there."""
    if path.is_file() and json.loads(path.read_text()) != scale.described():
        raise SystemExit(f"{path} states another scale: {path.read_text().strip()}; take another --out")
    write_json(path, scale.described())


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
                epochs = scale.arm(arm).settings.epochs
                yield Job(block.target, arm, song.name, number, song.half or 0, block.seed, epochs)


if __name__ == "__main__":
    main()
