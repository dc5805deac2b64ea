"""Figure of the gain: by the minutes mined, for each target, with the ceiling; one panel a target."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from differences import Difference, Document, difference
from matplotlib import pyplot

from remix_miner.atomic import atomic_path

COLOURS = {"mined": "tab:orange", "mined-by-track": "tab:blue", "isolated": "tab:red"}
LABELS = {
    "mined": "mined, drawn by seconds",
    "mined-by-track": "mined, drawn by track",
    "isolated": "with isolated targets, by track",
}
PLACES = {"mined": 1.0, "mined-by-track": 1.2, "isolated": 1.45}
"""Factors of the minutes: arms with the same minutes stand beside each other."""

ISOLATED = {"mined-isolated": "mined-levelled", "mined-3min-isolated": None}
"""Arms with isolated targets, and the arm that takes their place where it has runs."""


def draw(results: dict[str, list[Document]], path: Path) -> None:
    """Write the figure as svg: one panel a target with its results; arms without runs are left out."""
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "gain"
    figure, panels = pyplot.subplots(
        1, len(results), figsize=(3.6 * len(results), 3.6), layout="constrained", sharey=True, squeeze=False
    )
    for axes, (target, documents) in zip(panels[0], results.items(), strict=True):
        _panel(axes, documents)
        axes.set_title(target, fontsize="medium")
        axes.set_xlabel("minutes mined")
    panels[0][0].set_ylabel("uSDR minus that without new music (dB)")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _panel(axes: Any, documents: list[Document]) -> None:
    """Each dose with its interval, the folds as dots, the ceiling as a band."""
    labelled: set[str] = set()
    for number, (arm, minutes, gain) in enumerate(_doses(documents)):
        kind = _kind(arm)
        place = minutes * PLACES[kind]
        spread = np.random.default_rng(number).uniform(0.72, 0.88, len(gain.folds))
        axes.plot(place * spread, list(gain.folds.values()), ".", color=COLOURS[kind], alpha=0.5, markeredgewidth=0)
        axes.errorbar(
            [place],
            [gain.mean],
            yerr=[[gain.mean - gain.low], [gain.high - gain.mean]],
            capsize=3,
            marker="o",
            color=COLOURS[kind],
            label=None if kind in labelled else LABELS[kind],
        )
        labelled.add(kind)
    if (ceiling := difference(documents, "ceiling", "control")) is not None:
        axes.axhspan(ceiling.low, ceiling.high, color="tab:green", alpha=0.12, linewidth=0)
        axes.axhline(ceiling.mean, color="tab:green", label="ceiling: all songs labelled")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlim(1.5, 1500)
    axes.set_xticks([3, 30, 300], ["3", "30", "300"])
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="x-small", loc="lower left")


def _kind(arm: str) -> str:
    if arm in (*ISOLATED, *ISOLATED.values()):
        return "isolated"
    return "mined-by-track" if arm.startswith("mined-by-track") else "mined"


def _doses(documents: list[Document]) -> list[tuple[str, float, Difference]]:
    """Arm, minutes, and gain over the same training without new music, of the whole library and of its parts.

    None with a single fold, impure excerpts, or other settings than isolated targets.
    """
    minutes: dict[str, list[float]] = {}
    baselines: dict[str, str] = {}
    arms = {document["arm"] for document in documents}
    for document in documents:
        arm, baseline = document["arm"], document.get("baseline")
        isolated = _kind(arm) == "isolated" and ISOLATED.get(arm) not in arms
        if arm.startswith("mined") and not arm.endswith("impure") and (baseline is None or isolated):
            minutes.setdefault(arm, []).append(document["mined_minutes"])
            baselines[arm] = baseline or "control"
    found = [(arm, float(np.mean(each)), difference(documents, arm, baselines[arm])) for arm, each in minutes.items()]
    return sorted((arm, at, gain) for arm, at, gain in found if gain is not None and len(gain.folds) > 1)
