"""Kills of `evaluate`, `export`, `calibrate` and `merge` at random moments, each followed by the same command.

    python benchmarks/survival/kill_commands.py [--kills 12] [--commands evaluate,export,calibrate,merge]

Each command is killed (SIGKILL) at a moment drawn between its start and its usual end, and run again, until it ends.
The files in the output folder are then compared with those of an undisturbed run: by their bytes, JSON without times,
merged folders by the audio and the catalogue of their excerpts. A temporary file that remains is a difference.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
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


def run(arguments: list[str]) -> None:
    """Run the command; its exit status is that of the process."""
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
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
        return ["evaluate", "irm", *songs, "--out", f"{out}/r.json", "--keep", f"{out}/estimates", "--workers", "1"]

    def calibrate(out: Path) -> list[str]:
        return ["calibrate", "default", *songs, "--out", f"{out}/c.json", "--bound", "none", "--no-prior"]

    def merge(out: Path) -> list[str]:
        return ["merge", *map(str, parts), "--out", f"{out}/mined", "--keep-duplicates"]

    found = [
        Case("evaluate", evaluate, files_of),
        Case("export", export("--format", "msst", "--without", "vocals", *songs), files_of),
        Case("export", export("--format", "demucs", "--without", "vocals"), files_of),
        Case("export", export("--format", "labels"), files_of),
        Case("calibrate", calibrate, files_of),
        Case("merge", merge, lambda out: harvest(out / "mined")),
    ]
    return [case for case in found if case.name in commands]


def kill_and_repeat(case: Case, out: Path, kills: int, choose: random.Random) -> str:
    """Kill a command so often, in as many repetitions as that takes; return what was found."""
    begun = time.monotonic()
    out.mkdir()
    process = start(run, case.arguments(out))
    process.join()
    usual_status, usual_seconds = process.exitcode, time.monotonic() - begun
    expected = case.content(out)
    assert expected, case.name
    struck = repetitions = 0
    while struck < kills:
        repetitions += 1
        shutil.rmtree(out)
        out.mkdir()
        while True:
            process = start(run, case.arguments(out))
            process.join(choose.uniform(0, usual_seconds) if struck < kills else None)
            if process.is_alive():
                process.kill()
                struck += 1
            process.join()
            if process.exitcode != -9:
                break
        assert process.exitcode == usual_status, f"{case.name} ended with {process.exitcode}, not {usual_status}"
        found = case.content(out)
        assert found == expected, f"{case.name}: {difference(found, expected)}"
    return f"{case.name}: {struck} kills, {repetitions} outputs equal to the undisturbed one ({usual_seconds:.1f} s)"


def difference(found: Any, expected: Any) -> list[str]:
    """Return the names of the first files or excerpts that differ."""
    names = {*found, *expected}
    return sorted(str(name) for name in names if found.get(name) != expected.get(name))[:9]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=12, help="of each command")
    parser.add_argument("--commands", default="evaluate,export,calibrate,merge")
    options = parser.parse_args()
    torch.set_num_threads(1)
    remix_miner.processes.workers.START_METHOD = "fork"  # a worker starts at once
    with tempfile.TemporaryDirectory() as name:
        for number, case in enumerate(cases(Path(name), options.commands.split(","))):
            out = Path(name) / f"case{number}"
            print(kill_and_repeat(case, out, options.kills, random.Random(number)), flush=True)


if __name__ == "__main__":
    main()
