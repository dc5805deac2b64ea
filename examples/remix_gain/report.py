"""Tables and figure of the results of run.py: python examples/remix_gain/report.py RUNS [--doc docs/guide/PAGE.md]

writes RUNS/report.md, RUNS/report.json and RUNS/gain.svg. With --doc the tables of each target replace what stands
between its marks in the page, and the figure goes to docs/pictures. --earlier names the results of another experiment
with other folds: differences that both have are stated pooled, too. --without leaves a test song out. Give --folds
without --doc: RUNS/report.* then hold these folds only.
"""

import argparse
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
from differences import GENRES, Difference, Document, difference, read_results
from figure import draw
from songs import FOUR

from remix_miner.atomic import write_json, write_text
from remix_miner.sources import SOURCES

LEAST_FOLDS = 2
"""Arms with fewer are named and left out of the tables."""

FIRST, LAST = ("control", "supervised", "mined-by-track", "mined"), ("ceiling",)
BEGIN, END = "<!-- results of {name}: begin -->", "<!-- results of {name}: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--doc", type=Path)
    parser.add_argument("--earlier", type=Path, help="folder with results/ of the same target, vocals")
    parser.add_argument("--folds", type=int, nargs=2, help="the labelled songs FIRST to LAST - 1 only; ceilings stay")
    parser.add_argument("--without", action="append", default=[], help="a test song to leave out; repeatable")
    options = parser.parse_args()
    scale = json.loads((options.runs / "scale.json").read_text())
    read = {source: read_results(options.runs / source) for source in (*SOURCES, FOUR)}
    first, last = options.folds or (0, 10**6)
    kept = {
        source: [each for each in found if each["arm"] in LAST or first <= each["number"] < last]
        for source, found in read.items()
    }
    results = {source: leave_out(found, options.without) for source, found in kept.items() if found}
    earlier = {"vocals": leave_out(read_results(options.earlier), options.without)} if options.earlier else {}
    texts = {target: tables(found, earlier.get(target, [])) for target, found in results.items()}
    text = "\n\n".join(f"## {target}\n\n{each}" for target, each in texts.items())
    print(text)
    write_text(options.runs / "report.md", text + "\n")
    write_json(
        options.runs / "report.json",
        {"scale": scale, "differences": {target: as_json(found) for target, found in results.items()}},
    )
    shown = {target: found for target, found in results.items() if target != FOUR}
    draw(shown, options.runs / "gain.svg")
    if options.doc:
        draw(shown, options.doc.parents[1] / "pictures" / f"gain_{scale['scale']}.svg")
        for target, each in texts.items():
            place(options.doc, f"{scale['scale']}, {target}", each)


def leave_out(documents: list[Document], songs: list[str]) -> list[Document]:
    """Return the results without the scores of ``songs``."""
    for document in documents:
        document["scores"]["ema"] = {
            song: values for song, values in document["scores"]["ema"].items() if song not in songs
        }
    return documents


def tables(documents: list[Document], earlier: list[Document]) -> str:
    folds = Counter(document["arm"] for document in documents if document["arm"] not in LAST)
    few = sorted(arm for arm, count in folds.items() if count < LEAST_FOLDS)
    kept = [document for document in documents if document["arm"] not in few]
    parts = [arms_table(kept), differences_table(kept, earlier), ceilings_table(kept), *cost(documents)]
    parts += [f"Left out, with a single fold: {', '.join(few)}."] if few else []
    return "\n\n".join(part for part in parts if part)


def arms_of(documents: list[Document]) -> list[str]:
    """Arms that have runs: the main ones first, then smaller libraries and impure ones, the ceiling last."""
    names = {document["arm"] for document in documents}
    others = sorted(names - {*FIRST, *LAST})
    return [name for name in (*FIRST, *others, *LAST) if name in names]


def genres_of(documents: list[Document]) -> list[str]:
    found = {values["genre"] for document in documents for values in document["scores"]["ema"].values()}
    return [genre for genre in GENRES if genre in found]


def arms_table(documents: list[Document]) -> str:
    """uSDR of every arm by genre."""
    genres = genres_of(documents)
    lines = [
        f"| arm | {' | '.join(genres)} | all | folds | minutes mined |",
        "|---|" + "---|" * (len(genres) + 3),
    ]
    for arm in ["mixture", *arms_of(documents)]:
        cells = [_mean(difference(documents, arm, genre=genre)) for genre in (*genres, None)]
        folds = difference(documents, arm)
        minutes = [each["mined_minutes"] for each in documents if each["arm"] == arm and each["mined_minutes"]]
        mined = f"{np.mean(minutes):.1f}" if minutes and arm.startswith("mined") else ""
        lines.append(f"| {arm} | {' | '.join(cells)} | {len(folds.folds) if folds else 0} | {mined} |")
    return "uSDR in dB, averaged weights; mean over folds and test songs.\n\n" + "\n".join(lines)


def pairs_of(documents: list[Document]) -> list[tuple[str, str]]:
    """Arms to compare.

    Each with the control, libraries with each other, impure excerpts with pure ones, a variant with its baseline, and
    other settings of both with the control.
    """
    arms = arms_of(documents)
    variants = {document["arm"] for document in documents if document.get("baseline") is not None}
    libraries = [arm for arm in arms if arm.startswith("mined") and not arm.endswith("impure") and arm not in variants]
    pairs = [(arm, "control") for arm in arms if arm in (*libraries, "supervised", "true", *LAST)]
    pairs += [(arm, base) for base in ("mined", "mined-by-track") for arm in libraries if arm not in (base, "mined")]
    for arm in arms:
        if arm.endswith("impure"):
            pairs.append((arm, arm[: arm.rindex("-", 0, arm.rindex("percent"))]))
    if "supervised" in arms and "ceiling" in arms:
        pairs.append(("ceiling", "supervised"))
    baselines = {document["arm"]: document.get("baseline") for document in documents}
    pairs += [(arm, base) for arm in arms if (base := baselines[arm]) is not None and base in arms]
    pairs += [
        (arm, "control") for arm in arms if arm.startswith("control-") or f"{baselines[arm]}".startswith("control-")
    ]
    pairs += [("strict", "bold")] if {"strict", "bold"} <= {*arms} else []
    return list(dict.fromkeys(pairs))


def differences_table(documents: list[Document], earlier: list[Document]) -> str:
    """Differences with intervals, and those that the earlier experiment has too, pooled with it."""
    genres = genres_of(documents)
    lines = [f"| difference | {' | '.join(genres)} | all | folds above 0 |", "|---|" + "---|" * (len(genres) + 2)]
    rows = [(f"{arm} - {base}", documents, arm, base) for arm, base in pairs_of(documents)]
    for arm, base in pairs_of(documents):
        if earlier and arm != "ceiling" and difference(earlier, arm, base) is not None:
            rows.append((f"{arm} - {base}, pooled", [*documents, *earlier], arm, base))
    for name, found, arm, base in rows:
        whole = difference(found, arm, base)
        if whole is not None:
            cells = [_text(difference(found, arm, base, genre)) for genre in genres]
            above = sum(value > 0 for value in whole.folds.values())
            lines.append(f"| {name} | {' | '.join(cells)} | **{whole.text()}** | {above} of {len(whole.folds)} |")
    return (
        "Differences in dB, paired by fold, with 95% bootstrap intervals over labelled songs and test artists.\n\n"
        + "\n".join(lines)
    )


def correlation(documents: list[Document], arm: str, baseline: str) -> tuple[float, int] | None:
    """Correlation over folds of ``arm`` minus ``baseline`` with the mean of both, and the number of folds."""
    gain, first, second = (difference(documents, *pair) for pair in ((arm, baseline), (arm,), (baseline,)))
    if gain is None or first is None or second is None or len(gain.folds) < 3:
        return None
    means = [(first.folds[fold] + second.folds[fold]) / 2 for fold in gain.folds]
    return float(np.corrcoef(list(gain.folds.values()), means)[0, 1]), len(means)


def ceilings_table(documents: list[Document]) -> str:
    """The ceilings after each multiple of the updates: whether they are at their plateau."""
    genres = genres_of(documents)
    lines = [f"| all songs of the half labelled | updates | {' | '.join(genres)} |", "|---|---|" + "---|" * len(genres)]
    runs = [document for document in documents if document["arm"] == "ceiling"]
    for run in sorted(runs, key=lambda each: (each["half"], each["updates"])):
        means = []
        for genre in genres:
            values = [each["usdr"] for each in run["scores"]["ema"].values() if each["genre"] == genre]
            means.append(f"{sum(values) / len(values):.2f}" if values else "")
        lines.append(f"| half {run['half']}: {len(run['labelled'])} songs | {run['updates']} | {' | '.join(means)} |")
    return "\n".join(lines) if runs else ""


def cost(documents: list[Document]) -> list[str]:
    """A line each on the gain where a fold's score is low, and on time."""
    lines = []
    if (found := correlation(documents, "mined-by-track", "control")) is not None:
        value, count = found
        lines.append(f"Correlation of mined-by-track - control with the mean of both over {count} folds: {value:+.2f}.")
    seconds = [document["cpu_seconds"] for document in documents]
    return [*lines, f"{len(seconds)} results, {np.mean(seconds):.0f} CPU seconds each."]


def as_json(documents: list[Document]) -> dict[str, object]:
    found = {}
    for arm, baseline in pairs_of(documents):
        for genre in (*genres_of(documents), None):
            value = difference(documents, arm, baseline, genre)
            if value is not None:
                found[f"{arm} - {baseline}, {genre or 'all'}"] = asdict(value)
    return found


def place(page: Path, name: str, text: str) -> None:
    """Put the text between the marks of ``name`` in the page."""
    begin, end = (mark.format(name=name) for mark in (BEGIN, END))
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
