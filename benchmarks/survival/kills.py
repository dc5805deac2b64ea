"""Kills and damaged files at scale: what a scan and a training run keep, lose or get wrong.

    python benchmarks/survival.py kill-detect [--kills 36]    # SIGKILL while tracks are scanned, then resume
    python benchmarks/survival.py kill-train [--kills 14]     # SIGKILL between the first step and the last, then resume
    python benchmarks/survival.py mutate [--files 3600]       # files with bytes changed at random, with their excerpts

The songs are generated noise. The built-in detector scans them with thresholds of 0, so that every song gives
excerpts: what is mined has no meaning here, and the storing path is always taken. A kill falls between the moment at
which the first track of an attempt is recorded and the estimated end of the scan. The results are compared with those
of an undisturbed run: excerpts by a hash of their audio, a trained model by its bytes. The suite has smaller forms of
these runs in tests/test_survival.py, tests/test_resume.py and tests/test_fuzz.py.
"""

import argparse
import dataclasses
import hashlib
import multiprocessing
import os
import random
import re
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch

from remix_miner.detector.description import describe_detector
from remix_miner.duplicates.scan_filter import ScanFilter
from remix_miner.errors import DataError
from remix_miner.mined.catalogue_db import CATALOGUE_NAME
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.inspection import inspect_folder
from remix_miner.mined.reader import Shard
from remix_miner.mined.shard_files import shard_paths, temporary_paths
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.messages import BatchLimits
from remix_miner.mining.report import ScanReport
from remix_miner.sources import MINED_SOURCES, SOURCES

RATE = 16_000
STEM_RATE = 8_000
FORMATS: dict[str, dict[str, str]] = {
    "wav": {},
    "float.wav": {"subtype": "FLOAT"},
    "flac": {},
    "mp3": {},
    "ogg": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "aiff": {},
    "caf": {},
}
Harvest = dict[tuple[str, str, int], str]


def write_songs(folder: Path, count: int, seconds: float) -> Path:
    """Write songs of noise whose level changes every half second."""
    folder.mkdir()
    for number in range(count):
        soundfile.write(folder / f"{number:03d}.wav", noise(number, seconds), RATE)
    return folder


def noise(seed: int, seconds: float) -> np.ndarray:
    generator = np.random.default_rng(seed)
    levels = np.repeat(generator.uniform(0.02, 0.3, int(2 * seconds) + 1), RATE // 2)[: int(seconds * RATE), None]
    return generator.normal(0, 1, (int(seconds * RATE), 2)) * levels


def scan(library: Path, out: Path, workers: int, rate: int = RATE, duplicates: bool = True) -> ScanReport:
    """Scan so that every valid span is mined. Waits where a killed scan still holds the folder."""
    calibration = describe_detector().calibration
    assert calibration is not None
    sources = {
        name: dataclasses.replace(source, threshold=0.0 if name in MINED_SOURCES else None)
        for name, source in calibration.sources.items()
    }
    settings = MineSettings(
        calibration=dataclasses.replace(calibration, sources=sources, fused={}),
        min_seconds=1.0,
        sample_rate=rate,
        engine=Engine(workers=workers),
        retry_failed=True,
        scan_filter=ScanFilter(out, duplicates=duplicates),
        limits=BatchLimits(excerpts=4),
    )
    while True:
        try:
            return mine([library], out, settings)
        except DataError as error:
            if "in use" not in str(error):
                raise
            time.sleep(0.02)


def harvest(out: Path) -> Harvest:
    """Return a hash of each live excerpt's audio; fails where anything in the folder is broken, unknown or doubled."""
    damage = inspect_folder(out, verify=True).damage
    assert not damage, damage
    assert not temporary_paths(out)
    found: Harvest = {}
    with CatalogueView.read(out) as catalogue:
        rows = catalogue.database.execute(
            "SELECT path, source, start_seconds, shard, shard_start FROM excerpts JOIN tracks ON tracks.id = track_id "
            "WHERE review IS NULL"
        ).fetchall()
    shards = {path.name: Shard(path) for path in shard_paths(out)}
    for track, source, start, name, first in rows:
        (row,) = np.flatnonzero(shards[name].excerpts["start_frame"] == first)
        audio = shards[name].read(int(row))
        peak = float(np.abs(audio).max())
        assert 0 < peak < np.inf, (track, source, start)
        key = (track, source, round(1000 * start))
        assert key not in found, key
        found[key] = hashlib.sha256(audio.tobytes()).hexdigest()
    return found


def tracks_done(out: Path) -> int:
    """Return the number of tracks that the catalogue of a scan in progress states as done."""
    try:
        with sqlite3.connect(f"file:{out / CATALOGUE_NAME}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM tracks WHERE status = 'done'").fetchone()[0])
    except sqlite3.Error:
        return 0


def children(process: int) -> list[int]:
    try:
        return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def start(function: Callable[..., object], *arguments: object) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    return process


def wait_for(condition: Callable[[], bool], process: multiprocessing.process.BaseProcess) -> bool:
    """Wait until the condition holds; False when the process ends before that."""
    while process.is_alive():
        if condition():
            return True
        time.sleep(0.005)
    return False


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


def kill_train(folder: Path, kills: int) -> None:
    """Kill a training run at a random step and resume it until it is complete; then begin anew."""
    choose = random.Random(0)
    scan(write_songs(folder / "library", 6, 4.0), folder / "mined", 0, STEM_RATE)
    for song in range(3):
        for place, source in enumerate(SOURCES):
            path = folder / "stems" / f"Artist {song} - Song" / f"{source}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, noise(10 * song + place, 2.0)[: STEM_RATE * 2], STEM_RATE, subtype="FLOAT")
    process = start(train, folder, folder / "undisturbed")  # torch cannot train in a fork of a process that has trained
    process.join()
    expected = (folder / "undisturbed" / "model.safetensors").read_bytes()
    steps = STEPS * EPOCHS
    struck, runs = 0, 0
    while struck < kills:
        out = folder / f"run{runs}"
        runs += 1
        while True:
            wanted = steps_logged(out) + choose.randrange(1, steps)
            process = start(train, folder, out)
            reached = wait_for(lambda out=out, wanted=wanted: steps_logged(out) >= wanted, process)  # type: ignore[misc]
            if reached and struck < kills and process.is_alive():
                process.kill()
                struck += 1
            process.join()
            if process.exitcode == 0:
                break
        assert (out / "model.safetensors").read_bytes() == expected
        assert not list(out.rglob("*.tmp-*")), list(out.rglob("*.tmp-*"))
    print(f"{struck} kills in {runs} training runs of {steps} steps: each gave the undisturbed model, bit for bit")


def steps_logged(run: Path) -> int:
    """Return the last step in the log of a training run; 0 without one."""
    log = run / "log.jsonl"
    lines = log.read_text().splitlines() if log.is_file() else []
    return max((int(found[1]) for line in lines if (found := re.search(r'"step": (\d+)', line))), default=0)


EPOCHS, STEPS = 4, 12


def train(folder: Path, out: Path) -> None:
    from remix_miner.runs.folder import RunFolder
    from remix_miner.training.batches.rests import RemixSettings
    from remix_miner.training.remix import RemixStepSettings
    from remix_miner.training.run.distributed import Ranks
    from remix_miner.training.run.prepare import Inputs, prepare
    from remix_miner.training.settings import SeparatorSettings, TrainingSettings, ValidationSettings

    settings = TrainingSettings(
        separator=SeparatorSettings("demucs", {"channels": 4, "depth": 2, "sample_rate": STEM_RATE}),
        segment_seconds=0.2,
        batch_size=2,
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        remix=RemixStepSettings(probability=0.5),
        excerpts=RemixSettings(enough_minutes=0),
        validation=ValidationSettings(seconds_per_track=0.5),
        checkpoint_every_steps=3,
        log_every_steps=1,
    )
    inputs = Inputs([folder / "stems"], mined=folder / "mined")
    prepare(settings, inputs, RunFolder(out), Ranks(), resume=(out / "resume.pt").is_file()).run()


def mutate(folder: Path, files: int) -> None:
    """Change bytes of short songs at random, scan them in one process, and check everything that was stored."""
    generator = random.Random(0)
    originals: list[tuple[str, bytes]] = []
    for name, options in FORMATS.items():
        path = folder / f"original.{name}"
        soundfile.write(path, noise(len(originals), 1.3), RATE, **options)
        originals.append((name, path.read_bytes()))
    library = folder / "library"
    library.mkdir()
    for number in range(files):
        name, content = originals[number % len(originals)]
        (library / f"{number:05d}.{name}").write_bytes(changed(content, generator))
    begun = time.process_time()
    report = scan(library, folder / "out", 0, duplicates=False)
    seconds = time.process_time() - begun
    excerpts = harvest(folder / "out")
    kinds = Counter(kind for _, kind, _ in report.failures)
    other = [failure for failure in report.failures if failure[1] != "undecodable"]
    assert not other, other[:9]
    with_excerpts = len({track for track, _, _ in excerpts})
    print(
        f"{files} changed files in {seconds:.0f} s of CPU: {report.tracks.get('done', 0)} scanned, {len(report.notes)} "
        f"of them with a remark, {sum(kinds.values())} refused, {len(report.skipped)} left out; "
        f"{len(excerpts)} excerpts of {with_excerpts} files, all finite, none silent, all shards intact"
    )


def changed(original: bytes, generator: random.Random) -> bytes:
    """Return the bytes with one to four changes; a third of them in the first hundredth, where headers are."""
    content = bytearray(original)
    for _ in range(generator.randint(1, 4)):
        at = int(generator.random() * len(content) * (0.01 if generator.random() < 0.33 else 1))
        what = generator.choice(("overwrite", "zero", "cut", "remove", "repeat"))
        if what == "overwrite":
            some = generator.randbytes(generator.randint(1, 8))
            content[at : at + len(some)] = some
        elif what == "zero":
            some = bytes(min(generator.randint(1, 2000), len(content) - at))
            content[at : at + len(some)] = some
        elif what == "cut":
            del content[max(at, len(content) // 4) :]
        elif what == "remove":
            del content[at : at + generator.randint(1, 500)]
        else:
            content[at:at] = content[at : at + generator.randint(1, 500)]
    return bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kill-detect", "kill-train", "mutate"])
    parser.add_argument("--kills", type=int)
    parser.add_argument("--files", type=int, default=3600)
    options = parser.parse_args()
    torch.set_num_threads(1)
    import remix_miner.processes

    remix_miner.processes.START_METHOD = "fork"  # a worker starts at once
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "mutate":
            mutate(Path(folder), options.files)
        elif options.what == "kill-detect":
            kill_detect(Path(folder), options.kills or 36)
        else:
            kill_train(Path(folder), options.kills or 14)


if __name__ == "__main__":
    main()
