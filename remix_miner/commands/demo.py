"""``remix-miner demo``: every stage on generated songs, each step a command that the reader can type."""

import contextlib
import io
import shlex
import sys
import time
from pathlib import Path
from typing import IO

import click

from remix_miner.commands._options.common import note, show, verb
from remix_miner.verbosity import Verbosity, set_verbosity, verbosity


@verb(
    "Run every stage on generated songs, in OUT (default: demo): synthesize, calibrate, detect, train, separate, "
    "evaluate. Ends with OUT/index.html: a scanned song, mined excerpts and a separated song to look at and listen to. "
    "Under five minutes on two cores. A second run resumes.",
    "remix-miner demo",
)
@click.argument("out", default="demo", type=click.Path(path_type=Path))
def command(out: Path, as_json: bool) -> int:
    from remix_miner.cli import app
    from remix_miner.demo.page import DoneStep, write_page
    from remix_miner.demo.steps import DemoFolder, demo_steps
    from remix_miner.outputs import check_output_folder

    check_output_folder(out, "OUT")
    folder = DemoFolder(out)
    steps = demo_steps(folder)
    done: list[DoneStep] = []
    chosen = verbosity()
    options = {Verbosity.QUIET: ["-q"], Verbosity.NORMAL: [], Verbosity.VERBOSE: ["-v"]}[chosen]
    for number, step in enumerate(steps, start=1):
        arguments = step.arguments()
        line = shlex.join(["remix-miner", *arguments])
        note(f"\n[{number}/{len(steps)}] {step.title}. {step.what}\n$ {line}")
        started = time.monotonic()
        copy = _Copy(sys.stderr if as_json else sys.stdout)
        with contextlib.redirect_stdout(copy):
            status = app.main([*arguments, *options], prog_name="remix-miner", standalone_mode=False) or 0
        set_verbosity(chosen)
        done.append(DoneStep(step.title, step.what, line, time.monotonic() - started, status, copy.getvalue().rstrip()))
    write_page(folder, done)
    document = {
        "out": str(out),
        "page": str(folder.page),
        "steps": [{"command": step.command, "seconds": round(step.seconds, 1), "status": step.status} for step in done],
    }
    lines = [f"{step.seconds:6.1f} s  {step.command}" for step in done]
    show(document, as_json, "\n".join(["", *lines, "", f"Open {folder.page} to see and hear the results."]))
    return max(step.status for step in done)


class _Copy(io.StringIO):
    """Text that is shown and kept."""

    def __init__(self, shown: IO[str]) -> None:
        super().__init__()
        self.shown = shown

    def write(self, text: str) -> int:
        self.shown.write(text)
        return super().write(text)

    def flush(self) -> None:
        self.shown.flush()
