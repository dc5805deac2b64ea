"""Tables and the picture of what `run.py` found: python examples/remix_gain/report.py runs/remix_gain [--doc FILE.md]

Confidence intervals are percentiles of a paired bootstrap: songs and seeds are drawn anew, each with replacement, and
the same draw is used for both arms of a difference. Missing arms are left out.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float64
from matplotlib import pyplot

from remix_miner.atomic import atomic_path, write_text
from remix_miner.sources import SOURCES

Scores = Float64[np.ndarray, "seeds songs sources"]
BEGIN, END = "<!-- results of {scale}: begin -->", "<!-- results of {scale}: end -->"
DRAWS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--doc", type=Path, help="put the tables between the marks of this scale, the picture beside")
    options = parser.parse_args()
    documents = [json.loads(path.read_text()) for path in sorted((options.results / "arms").glob("*.json"))]
    tables = f"{results_table(documents)}\n\n{excerpts_table(options.results)}"
    print(tables)
    scale = json.loads((options.results / "scale.json").read_text())["scale"]
    folder = options.doc.parent / "pictures" if options.doc else options.results
    folder.mkdir(exist_ok=True)
    picture = folder / f"remix_gain_{scale}.svg"
    draw(picture, documents, options.results)
    if options.doc:
        begin, end = (mark.format(scale=scale) for mark in (BEGIN, END))
        before, found, rest = options.doc.read_text(encoding="utf-8").partition(begin)
        if not found:
            raise SystemExit(f"{options.doc} has no line {begin}")
        after = rest.partition(end)[2]
        write_text(options.doc, f"{before}{begin}\n{tables}\n\n![gain per arm](pictures/{picture.name})\n{end}{after}")


def scores_of(documents: list[dict[str, Any]], arm: str, seeds: list[int]) -> Scores:
    """uSDR of an arm's runs with these seeds; nan where the source is silent."""
    runs = {document["seed"]: document["test_usdr"] for document in documents if document["arm"] == arm}
    songs = sorted(next(iter(runs.values())))
    table = [[[runs[seed][song][source] for source in SOURCES] for song in songs] for seed in seeds]
    return np.array(table, dtype=np.float64)


def per_source(scores: Scores) -> Float64[np.ndarray, " sources"]:
    """Mean over seeds and songs of each source."""
    return np.nanmean(scores, axis=(0, 1))


def interval(scores: Scores, baseline: Scores | None = None, seed: int = 0) -> tuple[float, float]:
    """95% interval of the mean over sources, or of its difference to ``baseline``, paired by seed and song."""
    generator = np.random.default_rng(seed)
    seeds, songs, _ = scores.shape
    values = scores if baseline is None else scores - baseline
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    seed_counts = generator.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS)
    song_counts = generator.multinomial(songs, np.full(songs, 1 / songs), DRAWS)
    sums = np.einsum("ds,dn,snk->dk", seed_counts, song_counts, filled, optimize=True)
    counts = np.einsum("ds,dn,snk->dk", seed_counts, song_counts, known, optimize=True)
    means = np.nanmean(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan), axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def gains(documents: list[dict[str, Any]]) -> dict[str, tuple[float, float, float]]:
    """Arm -> (gain over 'supervised', lower, upper), over the seeds that both have."""
    found = {}
    for arm in _arms(documents):
        seeds = sorted(_seeds(documents, arm) & _seeds(documents, "supervised"))
        if arm != "supervised" and seeds:
            ours, base = scores_of(documents, arm, seeds), scores_of(documents, "supervised", seeds)
            found[arm] = (float(np.mean(per_source(ours - base))), *interval(ours, base))
    return found


def results_table(documents: list[dict[str, Any]]) -> str:
    """Markdown: an arm a row."""
    lines = ["| arm | " + " | ".join(SOURCES) + " | mean [95%] | gain over supervised [95%] | seeds |"]
    lines.append("|---|" + "---|" * (len(SOURCES) + 3))
    gained = gains(documents)
    for arm in _arms(documents):
        seeds = sorted(_seeds(documents, arm))
        scores = scores_of(documents, arm, seeds)
        means = per_source(scores)
        cells = [*(f"{mean:.2f}" for mean in means), f"{means.mean():.2f} {_range(interval(scores))}"]
        cells.append(f"{gained[arm][0]:+.2f} {_range(gained[arm][1:])}" if arm in gained else "")
        lines.append(f"| {arm}: {_meaning(documents, arm)} | {' | '.join(cells)} | {len(seeds)} |")
    rates = []
    for arm in _arms(documents):
        one = next(document for document in documents if document["arm"] == arm)
        dose = f", remix ratio {one['rate_ratio']:g}, probability {one['probability']:g}"
        rates.append(f"{arm} {one['learning_rate']:g}{'' if arm in ('supervised', 'all-labelled') else dose}")
    return "\n".join(lines) + "\n\nuSDR in dB on unseen songs. Learning rates: " + "; ".join(rates) + "."


def excerpts_table(results: Path) -> str:
    """Markdown: what the sets of excerpts hold, by the songs' true stems."""
    lines = [
        "| excerpts | source | excerpts | minutes | share of time with V > -20 dB | median V (dB) |",
        "|---|---|---|---|---|---|",
    ]
    for name, sources in json.loads((results / "excerpts.json").read_text()).items():
        for source, row in sources.items():
            cells = [str(row["excerpts"]), f"{row['seconds'] / 60:.1f}", f"{row['share_above_-20_db']:.1%}"]
            lines.append(f"| {name} | {source} | {' | '.join(cells)} | {row['median_volume_db']:.0f} |")
    return "\n".join(lines)


def draw(path: Path, documents: list[dict[str, Any]], results: Path) -> None:
    """The gain of every arm, and the gain against the share of falsely silent excerpts."""
    matplotlib.use("Agg")
    gained = gains(documents)
    if not gained:
        return
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    names = list(gained)[::-1]
    _points(left, list(range(len(names))), [gained[name] for name in names], horizontal=True)
    left.set_yticks(range(len(names)), names)
    left.axvline(0, color="black", linewidth=0.8)
    left.set_xlabel("gain over supervised training (dB uSDR, 95% interval)")
    shares = {_share(name): name for name in gained if name == "oracle" or _share(name)}
    _points(right, sorted(shares), [gained[shares[share]] for share in sorted(shares)])
    if "mined" in gained:
        mined = json.loads((results / "excerpts.json").read_text())["mined"].values()
        seconds = sum(row["seconds"] for row in mined)
        share = sum(row["seconds"] * row["share_above_-20_db"] for row in mined) / seconds
        _points(right, [100 * share], [gained["mined"]], color="tab:orange", label="mined by the detector")
        right.legend(frameon=False)
    right.axhline(0, color="black", linewidth=0.8)
    right.set_xlabel("falsely silent excerpts (%)")
    right.set_ylabel("gain (dB uSDR)")
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
    pyplot.close(figure)


def _points(
    axes: Any, places: list[float], values: list[tuple[float, float, float]], horizontal: bool = False, **style: Any
) -> None:
    middle = [value[0] for value in values]
    spread = [[value[0] - value[1] for value in values], [value[2] - value[0] for value in values]]
    style = {"fmt": "o", "capsize": 3, "color": "tab:blue", **style}
    if horizontal:
        axes.errorbar(middle, places, xerr=spread, **style)
    else:
        axes.errorbar(places, middle, yerr=spread, **style)


def _arms(documents: list[dict[str, Any]]) -> list[str]:
    order = ["supervised", "labelled-rest", "oracle-paper", "oracle"]
    names = {document["arm"] for document in documents}
    shares = sorted((name for name in names if _share(name)), key=_share)
    return [name for name in [*order, *shares, "oracle-few", "mined", "all-labelled"] if name in names]


def _share(arm: str) -> float:
    """Per cent of falsely silent excerpts that an arm's name states, else 0."""
    last = arm.rpartition("-")[2]
    return float(last) if arm.startswith("oracle-") and last.isdigit() else 0.0


def _seeds(documents: list[dict[str, Any]], arm: str) -> set[int]:
    return {document["seed"] for document in documents if document["arm"] == arm}


def _meaning(documents: list[dict[str, Any]], arm: str) -> str:
    return str(next(document["meaning"] for document in documents if document["arm"] == arm))


def _range(bounds: tuple[float, ...]) -> str:
    return f"[{bounds[0]:.2f}, {bounds[1]:.2f}]"


if __name__ == "__main__":
    main()
