"""Table and figure of the results of run.py: python examples/remix_gain/report.py RUNS [--doc docs/guide/PAGE.md]

writes RUNS/report.md, RUNS/report.json and RUNS/gain.svg. With --doc the table replaces what stands between the marks
of this scale in the page, and the figure goes to docs/pictures.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from differences import GENRES, Difference, difference, read_results
from figure import draw

from remix_miner.atomic import write_json, write_text

PRIMARY = (("mined", "control"), ("mined", "supervised"), ("control", "supervised"), ("ceiling", "supervised"))
BEGIN, END = "<!-- results of {scale}: begin -->", "<!-- results of {scale}: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--doc", type=Path)
    options = parser.parse_args()
    documents = read_results(options.runs)
    scale = json.loads((options.runs / "scale.json").read_text())
    text = "\n\n".join([arms_table(documents), differences_table(documents), ceilings_table(documents)])
    print(text)
    write_text(options.runs / "report.md", text + "\n")
    write_json(options.runs / "report.json", {"scale": scale, "differences": as_json(documents)})
    draw(documents, options.runs / "gain.svg")
    if options.doc:
        picture = options.doc.parents[1] / "pictures" / f"gain_{scale['scale']}.svg"
        draw(documents, picture)
        place(
            options.doc,
            scale["scale"],
            f"{text}\n\n![Gain of each arm, and gain against minutes](../pictures/{picture.name})",
        )


def arms_of(documents: list[dict[str, Any]]) -> list[str]:
    """Arms that have runs: the main ones first, then smaller libraries and impure ones."""
    names = {document["arm"] for document in documents}
    main_arms = [name for name in ("supervised", "control", "mined", "true", "ceiling") if name in names]
    return main_arms[:-1] + sorted(names - set(main_arms)) + main_arms[-1:] if "ceiling" in names else main_arms


def arms_table(documents: list[dict[str, Any]]) -> str:
    """uSDR of every arm by genre, averaged and raw weights."""
    lines = [
        "| arm | " + " | ".join(GENRES) + " | all | all, raw weights | folds | runs |",
        "|---|" + "---|" * (len(GENRES) + 4),
    ]
    for arm in ["mixture", *arms_of(documents)]:
        cells = [_mean(difference(documents, arm, genre=genre)) for genre in (*GENRES, None)]
        raw = difference(documents, arm, which="raw")
        folds = difference(documents, arm)
        runs = len({each["fold"] + str(each["seed"]) for each in documents if each["arm"] == arm}) or ""
        lines.append(f"| {arm} | {' | '.join(cells)} | {_mean(raw)} | {len(folds.folds) if folds else 0} | {runs} |")
    return "uSDR in dB, averaged weights; mean over folds and test songs.\n\n" + "\n".join(lines)


def differences_table(documents: list[dict[str, Any]]) -> str:
    """Differences with intervals."""
    others = [
        (arm, "supervised") for arm in arms_of(documents) if arm not in ("supervised", "control", "mined", "ceiling")
    ]
    lines = ["| difference | " + " | ".join(GENRES) + " | all | all, raw weights | folds above 0 |"]
    lines.append("|---|" + "---|" * (len(GENRES) + 3))
    for arm, baseline in (*PRIMARY, *others):
        whole = difference(documents, arm, baseline)
        if whole is None:
            continue
        cells = [_text(difference(documents, arm, baseline, genre)) for genre in GENRES]
        raw = difference(documents, arm, baseline, which="raw")
        above = sum(value > 0 for value in whole.folds.values())
        lines.append(
            f"| {arm} - {baseline} | {' | '.join(cells)} | **{whole.text()}** | {_text(raw)} "
            f"| {above} of {len(whole.folds)} |"
        )
    return (
        "Differences in dB, paired by fold, with 95% bootstrap intervals over folds and test artists.\n\n"
        + "\n".join(lines)
    )


def ceilings_table(documents: list[dict[str, Any]]) -> str:
    """The ceilings after each multiple of the updates: whether they are at their plateau."""
    lines = [
        "| all songs of the half labelled | updates | " + " | ".join(GENRES) + " |",
        "|---|---|" + "---|" * len(GENRES),
    ]
    runs = [document for document in documents if document["arm"] == "ceiling"]
    for run in sorted(runs, key=lambda each: (each["half"], each["updates"])):
        means = []
        for genre in GENRES:
            values = [each["usdr"] for each in run["scores"]["ema"].values() if each["genre"] == genre]
            means.append(f"{sum(values) / len(values):.2f}" if values else "")
        lines.append(f"| half {run['half']}: {len(run['labelled'])} songs | {run['updates']} | {' | '.join(means)} |")
    return "\n".join(lines)


def as_json(documents: list[dict[str, Any]]) -> dict[str, Any]:
    pairs = [*PRIMARY, *((arm, "supervised") for arm in arms_of(documents) if arm not in ("supervised", "control"))]
    found = {}
    for arm, baseline in pairs:
        for which in ("ema", "raw"):
            for genre in (*GENRES, None):
                value = difference(documents, arm, baseline, genre, which)
                if value is not None:
                    found[f"{arm} - {baseline}, {genre or 'all'}, {which}"] = asdict(value)
    return found


def place(page: Path, scale: str, text: str) -> None:
    begin, end = (mark.format(scale=scale) for mark in (BEGIN, END))
    before, found, after = page.read_text(encoding="utf-8").partition(begin)
    if not found:
        raise SystemExit(f"{page} has no line {begin}")
    write_text(page, f"{before}{begin}\n{text}\n{end}{after.partition(end)[2]}")


def _mean(value: Difference | None) -> str:
    return "" if value is None else f"{value.mean:.2f}"


def _text(value: Difference | None) -> str:
    return "" if value is None else value.text()


if __name__ == "__main__":
    main()
