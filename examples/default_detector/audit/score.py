"""Blind audit of a mined folder by eye, second part: shares of clean pieces by group, with intervals.

    python examples/default_detector/audit/score.py OUT... [--errors]

Reads OUT/judgements.csv, which must be complete, and OUT/key.csv (see draw.py); several draws of one scan are pooled.
Per group: judgements, and the exact 95% interval (Clopper-Pearson) of the share judged clean. With labelled pieces also
the share truly silent, corrected by the judgements of these pieces (`shares.posterior_of_share`). With a stricter
threshold the pieces of harvest, added and kept are joined by part, and the parts weighted by their seconds. The option
``--errors`` lists the origins of the pieces that were not judged clean.
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from shares import JUDGEMENTS, counts_of, interval, posterior_of_share

from remix_miner.errors import DataError
from remix_miner.review.samples.purity_bounds import clopper_pearson

CONTROLS = ("labelled silent", "labelled sounding")
VOICE_SHARE = 0.1
"""A piece has a voice for the second network where at least this share of its frames has."""

Row = Mapping[str, str]


def judged(folder: Path) -> list[Row]:
    """Return the rows of the key with ``judgement`` and ``note``. Raises `DataError` where a judgement is missing."""
    tables = []
    for name in ("key.csv", "judgements.csv"):
        with (folder / name).open(newline="", encoding="utf-8") as file:
            tables.append({row["number"]: row for row in csv.DictReader(file)})
    key, answers = tables
    if set(key) != set(answers):
        raise DataError(f"{folder}: key.csv and judgements.csv hold different numbers")
    for number, row in answers.items():
        if row["judgement"] not in JUDGEMENTS:
            raise DataError(
                f"{folder / 'judgements.csv'}: piece {number} is judged {row['judgement']!r}; judge every piece as one "
                f"of {', '.join(JUDGEMENTS)} before the key is read"
            )
    return [{**key[number], **answers[number]} for number in sorted(key, key=int)]


def pooled(folders: Sequence[Path]) -> tuple[list[Row], Mapping[str, Mapping[str, float]]]:
    """Return the rows of all draws and their population. Raises `DataError` for draws from different populations."""
    rows: list[Row] = []
    draws = [json.loads((folder / "draw.json").read_text(encoding="utf-8")) for folder in folders]
    for folder, draw in zip(folders, draws, strict=True):
        if any(draw[name] != draws[0][name] for name in ("source", "seconds", "stricter", "population")):
            raise DataError(f"{folder} and {folders[0]} were drawn from different scans, sources or thresholds")
        rows += judged(folder)
    return rows, draws[0]["population"]


def group_line(name: str, rows: Sequence[Row], corrected: np.ndarray | None) -> str:
    """Return a row of the table for some pieces; ``corrected`` are draws of the share that is truly silent."""
    counts = counts_of([row["judgement"] for row in rows])
    low, high = clopper_pearson(counts[0], len(rows), 0.95)
    cells = [name, len(rows), len({row["track"] for row in rows}), *counts]
    cells.append(f"{counts[0] / len(rows):.0%} [{low:.0%}, {high:.0%}]")
    cells.append("" if corrected is None else _percent(corrected))
    return "| " + " | ".join(map(str, cells)) + " |"


def _percent(draws: np.ndarray) -> str:
    middle, low, high = interval(draws)
    return f"{middle:.0%} [{low:.0%}, {high:.0%}]"


def report(rows: Sequence[Row], population: Mapping[str, Mapping[str, float]], seed: int = 0) -> list[str]:
    """Return the lines of the result as a Markdown table."""
    rng = np.random.default_rng(seed)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    parts = {name: [row for row in rows if row["part"] == name] for name in ("kept", "added")}
    controls = [counts_of([row["judgement"] for row in groups.get(name, [])]) for name in CONTROLS]
    known = all(sum(counts) for counts in controls)

    def share(of: Sequence[Row]) -> np.ndarray | None:
        if not known or not of:
            return None
        return posterior_of_share(counts_of([row["judgement"] for row in of]), *controls, rng)

    lines = ["| pieces | n | tracks | clean | unsure | sounds | judged clean | truly silent, corrected |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name in ("harvest", "added", "kept", "sure", *CONTROLS):
        if name in groups:
            of = groups[name]
            lines.append(group_line(name, of, share(of) if name in ("harvest", "added", "kept") else None))
    if all(parts.values()):
        draws = {name: share(of) for name, of in parts.items()}
        lines += [group_line(f"all {name}", of, draws[name]) for name, of in parts.items()]
        seconds = np.array([population[name]["seconds"] for name in parts])
        weights = seconds / seconds.sum()
        clean = [np.mean([row["judgement"] == "clean" for row in of]) for of in parts.values()]
        lines.append("")
        lines.append(f"kept {weights[0]:.0%} of the seconds, added {weights[1]:.0%}")
        weighted = f"judged clean, weighted: {float(weights @ clean):.0%}"
        found = [one for one in draws.values() if one is not None]
        if len(found) == len(parts):
            weighted += f"; truly silent, corrected: {_percent(weights @ np.stack(found))}"
        lines.append(weighted)
    voices = {name: [float(row["voice"]) >= VOICE_SHARE for row in of if row["voice"]] for name, of in groups.items()}
    if any(voices.values()):
        lines.append("")
        lines += [f"second network gives a voice: {name} {sum(of)} of {len(of)}" for name, of in voices.items() if of]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="OUT")
    parser.add_argument("--errors", action="store_true", help="list the pieces that are not judged clean")
    options = parser.parse_args()
    try:
        rows, population = pooled(options.folders)
    except (DataError, OSError) as error:
        raise SystemExit(str(error)) from error
    print("\n".join(report(rows, population)))
    if options.errors:
        columns = ("number", "group", "part", "judgement", "track", "start_seconds", "volume_db", "voice", "note")
        for row in rows:
            if row["judgement"] != "clean":
                print(*(row[column] for column in columns), sep="\t")


if __name__ == "__main__":
    main()
