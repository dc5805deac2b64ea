"""Report of a study: a table for people, a JSON document, and a figure."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from remix_miner.atomic import atomic_path, write_json
from remix_miner.figures.style import INK, figure
from remix_miner.studies.plan import Study
from remix_miner.studies.runner import Run
from remix_miner.studies.scale import Scale
from remix_miner.studies.verdict import Verdict, arm_mean

COLOURS = {"agrees": "#009E73", "disagrees": "#D55E00", "undecided": "#777777"}


def document(study: Study, scale: Scale, runs: Sequence[Run], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the whole result as one JSON document."""
    return {
        "study": study.name,
        "paper": study.paper,
        "question": study.question,
        "scale": asdict(scale),
        "cpu_seconds": round(sum(run.cpu_seconds for run in runs), 1),
        "arms": {
            name: {arm.name: arm_mean(runs, arm.name, name) for arm in study.arms} for name in study.test_sets
        },
        "claims": [
            {**asdict(verdict.claim), "text": verdict.claim.text, "outcome": verdict.outcome,
             **asdict(verdict.difference), "songs": verdict.songs, "seeds": verdict.seeds}
            for verdict in verdicts
        ],
    }  # fmt: skip


def text(result: dict[str, Any]) -> str:
    """Return the tables of a `document`."""
    lines = [f"{result['study']}: {result['question']}", f"{result['paper']}; uSDR in dB", ""]
    for name, arms in result["arms"].items():
        columns = list(next(iter(arms.values())))
        lines.append(f"test set '{name}'")
        lines.append(f"  {'arm':24}" + "".join(f"{column:>9}" for column in columns))
        lines += [f"  {arm:24}" + "".join(_cell(row[column]) for column in columns) for arm, row in arms.items()]
        lines.append("")
    lines.append(f"  {'claim of the paper':52}{'paper':>8}{'here':>8}   95% interval      verdict")
    for claim in result["claims"]:
        published = "-" if claim["published_db"] is None else f"{claim['published_db']:+.2f}"
        published += "*" if claim["read_off"] else ""
        lines.append(
            f"  {claim['text'][:51]:52}{published:>8}{claim['mean_db']:+8.2f}   "
            f"[{claim['low_db']:+.2f}, {claim['high_db']:+.2f}]   {claim['outcome']} ({claim['where']})"
        )
    if any(claim["read_off"] for claim in result["claims"]):
        lines.append("  * read off a plot")
    songs, seeds = result["claims"][0]["songs"], result["claims"][0]["seeds"]
    lines.append(
        f"\n{songs} test songs, {seeds} seeds, scale '{result['scale']['name']}', {result['cpu_seconds'] / 60:.0f} CPU "
        "minutes. A verdict is of this scale: it neither proves nor refutes the paper."
    )
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:9.2f}"


def write_report(result: dict[str, Any], out: Path) -> None:
    """Write study.json, study.txt and study.png into ``out``."""
    write_json(out / "study.json", result)
    with atomic_path(out / "study.txt") as temporary:
        temporary.write_text(text(result) + "\n", encoding="utf-8")
    drawn = draw(result)
    with atomic_path(out / "study.png") as temporary:
        drawn.savefig(temporary, dpi=150)


def draw(result: dict[str, Any]) -> Any:
    """Return a figure: mean uSDR of every arm (left), every claim's difference with its interval (right)."""
    claims = result["claims"]
    names = list(result["arms"])
    arms = list(result["arms"][names[0]])
    height = 1.2 + 0.34 * max(len(claims), len(arms) * len(names))
    made, (left, right) = figure(11, height, columns=2)
    rows = [(f"{arm}" if len(names) == 1 else f"{arm}, {name}", result["arms"][name][arm]["mean"])
            for arm in arms for name in names]  # fmt: skip
    left.plot([value for _, value in rows], range(len(rows)), "o", color=INK)
    left.set_yticks(range(len(rows)), [name for name, _ in rows])
    left.invert_yaxis()
    left.set_xlabel("uSDR in dB, mean of sources")
    left.grid(axis="x", alpha=0.3)
    for row, claim in enumerate(claims):
        colour = COLOURS[claim["outcome"]]
        right.plot([claim["low_db"], claim["high_db"]], [row, row], color=colour, linewidth=2)
        right.plot(claim["mean_db"], row, "o", color=colour)
        if claim["published_db"] is not None:
            right.plot(claim["published_db"], row, "x", color=INK)
    right.axvline(0, color=INK, linewidth=0.8)
    right.set_yticks(range(len(claims)), [f"{claim['text']} ({claim['outcome']})" for claim in claims])
    right.invert_yaxis()
    right.set_xlabel("difference in dB with 95% interval; x: the paper")
    right.grid(axis="x", alpha=0.3)
    return made
