"""Ends of commands by a signal at random moments, each followed by the same command.

    python benchmarks/survival/kill_commands.py [--kills 12] [--signals SIGKILL,SIGINT,SIGTERM] [--commands export]

Each command gets a signal (of each kind in turn) at a moment drawn between its start and its usual end, and is run
again, until it ends. The files in the output folder are then compared with those of an undisturbed run: by their bytes,
JSON without times, merged folders by the audio and the catalogue of their excerpts, a trained detector by its weights.
What a command prints is compared too where it writes no file. A temporary file that remains, also in the folder of the
system's temporary files, is a difference.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from scans import STEM_RATE, harvest, scan, write_songs, write_stems
from victims import start

import remix_miner.processes.workers
from remix_miner.cli import main as remix_miner_command

TIMES = ("seconds", "created", "date", "started", "finished", "realtime", "speed", "peak")
"""Parts of the names of JSON fields that differ from run to run."""


@dataclass(frozen=True)
class Case:
    """A command: its arguments for an output folder, and what to compare of that folder."""

    name: str
    arguments: Callable[[Path], list[str]]
    content: Callable[[Path], Any]


def run(arguments: list[str], out: Path) -> None:
    """Run the command with its temporary files in ``out``; its exit status is that of the process."""
    temporary = out / "temporary"
    temporary.mkdir(exist_ok=True)
    tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
    printed = out / "printed.json" if "--json" in arguments else os.devnull
    with open(os.devnull, "w", encoding="utf-8") as nothing, open(printed, "w", encoding="utf-8") as shown:
        os.dup2(shown.fileno(), sys.stdout.fileno())
        os.dup2(nothing.fileno(), sys.stderr.fileno())
        remix_miner_command(arguments)


def files_of(folder: Path) -> dict[str, str]:
    """Return a hash of each file in a folder; of JSON, and of the PEAK chunk of float wav files, without times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".json":
                content = json.dumps(_without_times(json.loads(content)), sort_keys=True).encode()
            if path.suffix == ".wav" and (place := content.find(b"PEAK", 0, 256)) >= 0:
                content = content[: place + 12] + content[place + 16 :]
            found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def trained(folder: Path) -> dict[str, str]:
    """Return the names of all files, and a hash of the trained weights."""
    found = {str(path.relative_to(folder)): "" for path in sorted(folder.rglob("*")) if path.is_file()}
    weights = folder / "run" / "model.safetensors"
    return {**found, "weights": hashlib.sha256(weights.read_bytes()).hexdigest()}


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if not any(word in name for word in TIMES)}
        return {name: _without_times(item) for name, item in kept.items()}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def cases(folder: Path, commands: list[str]) -> list[Case]:
    """Write the inputs and return the commands of these names."""
    stems = write_stems(folder / "stems", 3, 2.0)
    libraries = [write_songs(folder / name, 4, 4.0) for name in ("left", "right")]
    for number, path in enumerate(sorted(libraries[1].iterdir())):
        path.rename(path.with_name(f"right{number}.wav"))
    parts = [folder / "part1", folder / "part2"]
    mines = {"export", "merge"} & {*commands}
    for library, part in zip(libraries, parts, strict=True) if mines else []:
        process = start(scan, library, part, 0, STEM_RATE, False)
        process.join()
        assert process.exitcode == 0
    mined = str(parts[0])
    songs = ["--stems", str(stems)]

    def export(*options: str) -> Callable[[Path], list[str]]:
        return lambda out: ["export", mined, "--out", str(out / "set"), "--min-seconds", "1", *options]

    def evaluate(out: Path) -> list[str]:
        fast = ["--metrics", "usdr,si_sdr", "--workers", "1"]
        return ["evaluate", "irm", *songs, "--out", f"{out}/r.json", "--keep", f"{out}/estimates", *fast]

    def calibrate(out: Path) -> list[str]:
        return [
            "calibrate",
            "default",
            *songs,
            "--out",
            f"{out}/c.json",
            "--bound",
            "none",
            "--no-prior",
            "--mute",
            "1",
        ]

    def score_detector(out: Path) -> list[str]:
        return ["score-detector", "default", *songs, "--json"]

    def train_detector(out: Path) -> list[str]:
        resume = ["--resume"] if (out / "run" / "resume.pt").is_file() else []
        settings = (f"--set={setting}" for setting in ("steps=12", "batch_size=2", "checkpoint_every=3"))
        return ["train-detector", str(stems), "--out", f"{out}/run", *(resume or settings)]

    def merge(out: Path) -> list[str]:
        return ["merge", *map(str, parts), "--out", f"{out}/mined", "--keep-duplicates"]

    found = [
        Case("evaluate", evaluate, files_of),
        Case("export", export("--format", "msst", "--without", "vocals", *songs), files_of),
        Case("export", export("--format", "demucs", "--without", "vocals"), files_of),
        Case("export", export("--format", "labels"), files_of),
        Case("calibrate", calibrate, files_of),
        Case("score-detector", score_detector, files_of),
        Case("train-detector", train_detector, trained),
        Case("merge", merge, lambda out: harvest(out / "mined")),
    ]
    return [case for case in found if case.name in commands]


def kill_and_repeat(case: Case, out: Path, signals: list[str], kills: int, choose: random.Random) -> str:
    """End a command so often by each signal, in as many repetitions as that takes; return what was found."""
    begun = time.monotonic()
    out.mkdir()
    process = start(run, case.arguments(out), out)
    process.join()
    usual_status, usual_seconds = process.exitcode, time.monotonic() - begun
    expected = case.content(out)
    assert expected, case.name
    struck, repetitions = dict.fromkeys(signals, 0), 0
    statuses: set[int | None] = set()
    while min(struck.values()) < kills:
        repetitions += 1
        shutil.rmtree(out)
        out.mkdir()
        while True:
            name = min(struck, key=lambda name: struck[name])
            process = start(run, case.arguments(out), out)
            process.join(choose.uniform(0, usual_seconds) if struck[name] < kills else None)
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.Signals[name])
            process.join()
            if process.exitcode == usual_status:
                break
            struck[name] += 1
            statuses.add(process.exitcode)
        found = case.content(out)
        assert found == expected, f"{case.name}: {difference(found, expected)}"
    shown = ", ".join(f"{count} {name}" for name, count in struck.items())
    return (
        f"{case.name}: {shown} (statuses {sorted(map(str, statuses))}), {repetitions} outputs equal to the undisturbed "
        f"one ({usual_seconds:.1f} s)"
    )


def difference(found: Any, expected: Any) -> list[str]:
    """Return the names of the first files or excerpts that differ."""
    names = {*found, *expected}
    return sorted(str(name) for name in names if found.get(name) != expected.get(name))[:9]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=12, help="of each command by each signal")
    parser.add_argument("--signals", default="SIGKILL,SIGINT,SIGTERM")
    parser.add_argument("--commands", default="evaluate,export,calibrate,score-detector,train-detector,merge")
    options = parser.parse_args()
    torch.set_num_threads(1)
    remix_miner.processes.workers.START_METHOD = "fork"  # a worker starts at once
    with tempfile.TemporaryDirectory() as name:
        for number, case in enumerate(cases(Path(name), options.commands.split(","))):
            out = Path(name) / f"case{number}"
            signals = options.signals.split(",")
            print(kill_and_repeat(case, out, signals, options.kills, random.Random(number)), flush=True)


if __name__ == "__main__":
    main()
