"""Gain of training on mined excerpts, measured on recorded songs; docs/guide/does_it_help.md has the results.

    python examples/remix_gain/run.py small.toml --audio AUDIO --mined MINED --out RUNS

trains and scores every arm of every fold, one JSON document each below RUNS/results, the main comparison first. An
interrupted run can be resumed at any time. `report.py RUNS` makes the table and the figure, also of unfinished RUNS.

AUDIO holds pairs16k/, stems/ and calibration_only/ (see songs.py); MINED is a folder of `remix-miner detect`.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from arms import Job, run_job
from excerpts import Excerpt, contaminated, dose, read_mined, rests, write_excerpts
from scale import Scale, load_scale
from songs import Song, folds, prepare_songs

from remix_miner.atomic import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", type=Path, help="small.toml, gpu.toml or a file of your own")
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--mined", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no run after so many minutes")
    parser.add_argument("--only", help="arms to run, separated by commas")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    started = time.monotonic()
    scale = load_scale(options.scale)
    songs = prepare_songs(options.audio, options.out / "songs", scale.sample_rate, scale.channels)
    sets = ExcerptSets(scale, options.mined, options.out / "excerpts", songs)
    write_json(
        options.out / "scale.json",
        {"scale": scale.name, "updates": scale.updates, "share": scale.share, "sample_rate": scale.sample_rate},
    )
    for job in jobs(scale, songs):
        if options.only and job.arm not in options.only.split(","):
            continue
        if (options.out / "results" / f"{job.name}.json").is_file():
            continue
        if time.monotonic() - started > 60 * options.minutes:
            print(f"stopped after {options.minutes:g} minutes, before {job.name}", file=sys.stderr)
            return
        tests = [song for song in songs if song.half != job.half]
        labelled = [song for song in songs if job.fold in (song.name, f"half{song.half}")]
        run_job(job, scale, labelled, tests, sets.folder(job), options.out)
        print(f"{time.strftime('%H:%M:%S')} {job.name}", file=sys.stderr, flush=True)


def jobs(scale: Scale, songs: list[Song]) -> Iterator[Job]:
    """Return all runs, the most informative first: two folds, the ceilings, the other folds, the control, the rest."""
    chosen = folds(songs, scale.folds)
    ceilings = [
        Job("ceiling", f"half{half}", half, scale.seeds[0], epochs)
        for half in (0, 1)
        for epochs in range(1, scale.ceiling_updates // scale.updates + 1)
    ]
    for seed in scale.seeds:
        for number, song in enumerate(chosen):
            if seed == scale.seeds[0] and number == 2:
                yield from ceilings
            for arm in ("supervised", "mined"):
                yield Job(arm, song.name, song.half or 0, seed)
        for song in chosen:
            yield Job("control", song.name, song.half or 0, seed)
    names = [f"mined-{minutes:g}min" for minutes in scale.dose_minutes]
    names += [f"mined-{round(100 * share)}percent-singing" for share in scale.contaminations]
    for arm in (*names, "true"):
        for song in chosen:
            yield Job(arm, song.name, song.half or 0, scale.seeds[0])


class ExcerptSets:
    """Folders of shards by arm, each written when first needed."""

    def __init__(self, scale: Scale, mined: Path, out: Path, songs: list[Song]) -> None:
        self.scale = scale
        self.mined = mined
        self.out = out
        self.songs = songs

    def folder(self, job: Job) -> Path | None:
        """Return the folder of the excerpts of a job's training, or None."""
        own_half = [song for song in self.songs if song.half == job.half]
        if job.arm in ("supervised", "ceiling"):
            return None
        if job.arm == "control":
            own = [song for song in own_half if song.name == job.fold]
            return self._write(f"own-{job.fold}", rests(own))
        if job.arm == "true":
            (labelled,) = (song for song in own_half if song.name == job.fold)
            others = [song for song in own_half if song.artist != labelled.artist]
            return self._write(f"true-{job.fold}", rests(others))
        library = self._write("mined", self._read(self.mined))
        if job.arm == "mined":
            return library
        kind = job.arm.removeprefix("mined-")
        if kind.endswith("min"):
            seconds = 60 * float(kind.removesuffix("min"))
            return self._write(job.arm, dose(list(self._read(library)), seconds, self.scale.sample_rate, seed=0))
        share = float(kind.removesuffix("percent-singing")) / 100
        singers = [song for song in own_half if song.genre == "karaoke"]
        return self._write(f"{job.arm}-half{job.half}", contaminated(list(self._read(library)), share, singers, seed=0))

    def _read(self, folder: Path) -> "Iterator[Excerpt]":
        yield from read_mined(folder, self.scale.target, self.scale.sample_rate, self.scale.channels)

    def _write(self, name: str, excerpts: "Iterator[Excerpt]") -> Path:
        made_of = name.partition("-")[0]
        return write_excerpts(
            self.out / name, self.scale.target, excerpts, self.scale.sample_rate, self.scale.channels, made_of
        )


if __name__ == "__main__":
    main()
