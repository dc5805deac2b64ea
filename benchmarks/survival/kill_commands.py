"""Kills of `evaluate`, `export`, `calibrate` and `merge` at random moments, each followed by the same command.

    python benchmarks/survival/kill_commands.py [--kills 12] [--commands evaluate,export,calibrate,merge]

Each command is killed (SIGKILL) at a moment drawn between its start and its usual end, and run again, until it ends.
What it then left is compared with the output of an undisturbed run: files by their bytes, JSON but for times, merged
folders by the audio and the catalogue of their excerpts. No temporary file may remain.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
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

import remix_miner.processes
from remix_miner.cli import main as remix_miner_command

TIMES = ("seconds", "created", "date", "started", "finished", "realtime", "speed", "peak")
"""Parts of the names of JSON fields that differ from run to run."""


@dataclass(frozen=True)
class Case:
    """A command: its arguments for an output of that name, and what to compare of the output."""

    name: str
    arguments: Callable[[Path], list[str]]
    content: Callable[[Path], Any]


def run(arguments: list[str]) -> None:
    """Run the command; its exit status is that of the process."""
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
        os.dup2(nothing.fileno(), sys.stderr.fileno())
        remix_miner_command(arguments)


def files_of(out: Path) -> dict[str, str]:
    """Return a hash of each file in a folder, or of a file and those beside it with the same stem."""
    paths = out.rglob("*") if out.is_dir() else out.parent.glob(f"{out.stem}*")
    base = out if out.is_dir() else out.parent
    found = {}
    for path in sorted(paths):
        if path.is_file():
            name = str(path.relative_to(base)).replace(out.stem, "OUT")
            found[name] = hashlib.sha256(_comparable(path, out)).hexdigest()
    return found


def _comparable(path: Path, out: Path) -> bytes:
    content = path.read_bytes().replace(out.stem.encode(), b"OUT")
    if path.suffix != ".json":
        return content
    return json.dumps(_without_times(json.loads(content)), sort_keys=True).encode()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if not any(word in name for word in TIMES)}
        return {name: _without_times(item) for name, item in kept.items()}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def cases(folder: Path) -> list[Case]:
    """Write the inputs and return the commands."""
    stems = write_stems(folder / "stems", 6, 4.0)
    libraries = [write_songs(folder / name, 4, 4.0) for name in ("left", "right")]
    for number, path in enumerate(sorted(libraries[1].iterdir())):
        path.rename(path.with_name(f"right{number}.wav"))
    parts = [folder / "part1", folder / "part2"]
    for library, part in zip(libraries, parts, strict=True):
        process = start(scan, library, part, 0, STEM_RATE, False)
        process.join()
        assert process.exitcode == 0
    mined = str(parts[0])
    songs = ["--stems", str(stems)]

    def export(*options: str) -> Callable[[Path], list[str]]:
        return lambda out: ["export", mined, "--out", str(out), "--min-seconds", "1", *options]

    return [
        Case(
            "evaluate",
            lambda out: ["evaluate", "irm", *songs, "--out", f"{out}.json", "--keep", str(out), "--workers", "2"],
            lambda out: (files_of(out), files_of(out.with_suffix(".json"))),
        ),
        Case("export", export("--format", "msst", "--without", "vocals", *songs), files_of),
        Case("export", export("--format", "demucs", "--without", "vocals"), files_of),
        Case("export", export("--format", "labels"), files_of),
        Case(
            "calibrate",
            lambda out: ["calibrate", "default", *songs, "--out", f"{out}.json", "--bound", "none", "--no-prior"],
            lambda out: files_of(out.with_suffix(".json")),
        ),
        Case("merge", lambda out: ["merge", *map(str, parts), "--out", str(out), "--keep-duplicates"], harvest),
    ]


def kill_and_repeat(case: Case, folder: Path, kills: int, choose: random.Random) -> str:
    """Kill a command so often, over as many outputs as that takes; return what was found."""
    begun = time.monotonic()
    undisturbed = folder / "out0"
    process = start(run, case.arguments(undisturbed))
    process.join()
    usual_status, usual_seconds = process.exitcode, time.monotonic() - begun
    expected = case.content(undisturbed)
    assert expected, case.name
    struck = outputs = 0
    while struck < kills:
        outputs += 1
        out = folder / f"out{outputs}"
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
        left = [path for path in folder.rglob("*.tmp-*") if path.name.lstrip(".").startswith(("out", "."))]
        assert not left, left
    return f"{case.name}: {struck} kills, {outputs} outputs equal to an undisturbed one ({usual_seconds:.1f} s)"


def difference(found: Any, expected: Any) -> list[str]:
    """Return the names of the first files or excerpts that differ."""
    if isinstance(found, tuple):
        return [name for pair in zip(found, expected, strict=True) for name in difference(*pair)]
    names = {*found, *expected}
    return sorted(str(name) for name in names if found.get(name) != expected.get(name))[:9]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=12, help="of each command")
    parser.add_argument("--commands", default="evaluate,export,calibrate,merge")
    options = parser.parse_args()
    torch.set_num_threads(1)
    remix_miner.processes.START_METHOD = "fork"  # a worker starts at once
    with tempfile.TemporaryDirectory() as name:
        for number, case in enumerate(cases(Path(name))):
            if case.name in options.commands.split(","):
                folder = Path(name) / f"case{number}"
                folder.mkdir()
                with contextlib.chdir(folder):
                    print(kill_and_repeat(case, folder, options.kills, random.Random(number)), flush=True)


if __name__ == "__main__":
    main()
