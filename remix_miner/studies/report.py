"""Report of a study: a table for people, a JSON document, and a figure."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from remix_miner.atomic import atomic_path, write_json
from remix_miner.figures.style import save_picture
from remix_miner.runs.code_version import code_version
from remix_miner.studies.figures import draw
from remix_miner.studies.plan import Study
from remix_miner.studies.runner import MIXTURE, Run
from remix_miner.studies.scale import Scale
from remix_miner.studies.verdict import Verdict, arm_mean, separates

SMALL = "A verdict is of this scale: it neither proves nor refutes the paper."


def document(
    study: Study, scale: Scale, runs: Sequence[Run], verdicts: Sequence[Verdict], artists: Mapping[str, str]
) -> dict[str, Any]:
    """Return the whole result as one JSON document."""
    first = next(iter(study.test_sets))
    return {
        "study": study.name,
        "paper": study.paper,
        "question": study.question,
        "scale": asdict(scale),
        "cpu_seconds": round(sum(run.cpu_seconds for run in runs), 1),
        "machine": machine(),
        "code": code_version(),
        "arms": {
            name: {arm: arm_mean(runs, arm, name) for arm in [*(arm.name for arm in study.arms), MIXTURE]}
            for name in study.test_sets
        },
        "separates": {arm.name: separates(runs, arm.name, first, MIXTURE, artists) for arm in study.arms},
        "cost": {arm.name: cost for arm in study.arms if (cost := _cost(runs, arm.name)) is not None},
        "curves": _curves(study, runs) if study.stages else {},
        "claims": [
            {**asdict(verdict.claim), "text": verdict.claim.text, "outcome": verdict.outcome, "reason": verdict.reason,
             **asdict(verdict.difference), "songs": verdict.songs, "seeds": verdict.seeds}
            for verdict in verdicts
        ],
    }  # fmt: skip


def machine() -> str:
    """Return the processor or GPU that results were computed on, as they state it."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


def text(result: dict[str, Any]) -> str:
    """Return the tables of a `document`."""
    lines = [f"{result['study']}: {result['question']}", f"{result['paper']}; uSDR in dB", ""]
    width = max(len(arm) for arms in result["arms"].values() for arm in arms) + 2
    for name, arms in result["arms"].items():
        columns = list(next(iter(arms.values())))
        cost = "     cost" if result["cost"] else ""
        lines.append(f"test set '{name}'")
        lines.append(f"  {'arm':{width}}" + "".join(f"{column:>9}" for column in columns) + cost)
        for arm, row in arms.items():
            spent = result["cost"].get(arm)
            last = "" if spent is None else f"{spent:9.3f}"
            lines.append(f"  {arm:{width}}" + "".join(_cell(row[column]) for column in columns) + last)
        lines.append("")
    wide = max(len(claim["text"]) for claim in result["claims"]) + 2
    lines.append(f"  {'claim of the paper':{wide}}{'paper':>8}{'here':>8}   95% interval      verdict")
    for claim in result["claims"]:
        reason = f", {claim['reason']}" if claim["reason"] else ""
        lines.append(
            f"  {claim['text']:{wide}}{published(claim):>8}{signed(claim['mean_db']):>8}   "
            f"[{signed(claim['low_db'])}, {signed(claim['high_db'])}]   {claim['outcome']}{reason} ({claim['where']})"
        )
    if any(claim["read_off"] for claim in result["claims"]):
        lines.append("  * read off a plot")
    if result["cost"]:
        lines.append("  cost: CPU seconds of estimation for a second of audio")
    songs, seeds = result["claims"][0]["songs"], result["claims"][0]["seeds"]
    spent = f"scale '{result['scale']['name']}', {result['cpu_seconds'] / 60:.0f} CPU minutes"
    of_seeds = "1 seed" if seeds == 1 else f"{seeds} seeds"
    lines.append(f"\n{songs} songs and {of_seeds} behind the first claim, {spent}. {SMALL}")
    return "\n".join(lines)


def published(claim: Mapping[str, Any]) -> str:
    """Return a paper's difference as tables show it: '-' where there is none, '*' where it is read off a plot."""
    figure = "-" if claim["published_db"] is None else f"{claim['published_db']:+.2f}"
    return figure + ("*" if claim["read_off"] else "")


def signed(value: float | None) -> str:
    """Return a difference with its sign, '-' for None."""
    return "-" if value is None else f"{value:+.2f}"


def write_report(result: dict[str, Any], out: Path) -> None:
    """Write study.json, study.txt and study.png into ``out``."""
    write_json(out / "study.json", result)
    with atomic_path(out / "study.txt") as temporary:
        temporary.write_text(text(result) + "\n", encoding="utf-8")
    save_picture(draw(result), out / "study.png")


def _cost(runs: Sequence[Run], arm: str) -> float | None:
    found = [run.cost for run in runs if run.arm == arm and run.cost is not None]
    return round(float(np.mean(found)), 4) if found else None


def _curves(study: Study, runs: Sequence[Run]) -> dict[str, dict[str, list[list[float]]]]:
    """Return for each set of chunks and arm the points (updates, mean improvement over the mixture in dB)."""
    curves: dict[str, dict[str, list[list[float]]]] = {}
    for name in sorted({name for run in runs for name in run.scores if name.endswith(" updates")}):
        chunks, _, end = name.rpartition(", ")
        mixture = arm_mean(runs, MIXTURE, name)["mean"]
        for arm in study.arms:
            mean = arm_mean(runs, arm.name, name)["mean"]
            if mean is not None and mixture is not None:
                point = [float(end.split()[0]), round(mean - mixture, 4)]
                curves.setdefault(chunks, {}).setdefault(arm.name, []).append(point)
    return {chunks: {arm: sorted(points) for arm, points in arms.items()} for chunks, arms in curves.items()}


def _cell(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:9.2f}"
