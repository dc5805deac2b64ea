"""``remix-miner demo``: the whole way on synthesised songs, each step a command that the reader can type."""

import contextlib
import shlex
import sys
import time
from pathlib import Path

import click

from remix_miner.commands._options.common import note, show, verb


def steps(out: Path) -> list[tuple[str, list[str]]]:
    """What the demo does: a sentence, and the arguments of `remix-miner`."""
    songs, mined, run, board = out / "songs", out / "mined", out / "runs" / "tiny", out / "leaderboard"
    page, rule = out / "leaderboard.html", out / "calibration.json"
    results = [out / "results" / f"{name}.json" for name in ("mixture", "tiny")]
    test = ["--stems", f"{songs}/stems", "--split", "test", "--metrics", "usdr"]
    return [
        ("Songs with known stems, and a library of others without", ["synthesize", f"{songs}", "--songs", "10"]),
        ("What the labelled songs hold", ["check-data", f"{songs}/stems"]),
        (
            "Thresholds for this music, by the paper's plain rule (the built-in ones promise more, find less)",
            ["calibrate", "default", "--stems", f"{songs}/stems", "--mute", "1", "--bound", "none", "--out", f"{rule}"],
        ),
        (
            "Spans of the library without drums, bass or vocals",
            ["detect", f"{songs}/library", "--out", f"{mined}", "--calibration", f"{rule}"],
        ),
        ("What was mined, and whether it is intact", ["inspect", f"{mined}", "--verify"]),
        (
            "A tiny separator, trained on the stems and on remixes of what was mined",
            [
                "train", "--stems", f"{songs}/stems", "--mined", f"{mined}", "--config", "tiny_cpu",
                "--out", f"{run}", "--set", "epochs=2", *(["--resume"] if run.exists() else []),
            ],
        ),
        ("The mixture itself as an estimate, for comparison", ["evaluate", "mixture", *test, "--out", f"{results[0]}"]),
        ("The separator on songs that it has not seen", ["evaluate", f"{run}", *test, "--out", f"{results[1]}"]),
        *(
            []
            if board.exists()  # rows are added once
            else [("Both on a leaderboard", ["leaderboard", "add", *map(str, results), "--board", f"{board}"])]
        ),
        ("The leaderboard as a page", ["leaderboard", "page", "--board", f"{board}", "--out", f"{page}"]),
    ]  # fmt: skip


@verb(
    "Go the whole way on synthesised songs, in OUT (default: demo): synthesise, detect, train, evaluate. Under five "
    "minutes on two cores. A rerun continues.",
    "remix-miner demo",
)
@click.argument("out", default="demo", type=click.Path(path_type=Path))
def command(out: Path, as_json: bool) -> int:
    from remix_miner.cli import app

    done = []
    worst = 0
    plan = steps(out)
    for number, (sentence, arguments) in enumerate(plan, start=1):
        line = shlex.join(["remix-miner", *arguments])
        note(f"\n[{number}/{len(plan)}] {sentence}\n$ {line}")
        started = time.monotonic()
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            status = app.main(arguments, prog_name="remix-miner", standalone_mode=False) or 0
        worst = max(worst, status)
        done.append({"command": line, "seconds": round(time.monotonic() - started, 1), "status": status})
    text = [f"{entry['seconds']:6.1f} s  {entry['command']}" for entry in done]
    show(
        {"steps": done, "out": str(out)},
        as_json,
        "\n".join(["", *text, "", f"Look at {out}/mined/report.json, {out}/leaderboard.html and the README's tour."]),
    )
    return worst
