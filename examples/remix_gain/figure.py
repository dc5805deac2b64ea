"""Figure of the gain: by the minutes mined, for each target, with the ceiling; one panel a target."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from differences import Difference, Document, difference
from matplotlib import pyplot

from remix_miner.atomic import atomic_path

COLOURS = {"mined": "tab:orange", "mined-by-track": "tab:blue"}
LABELS = {"mined": "mined, drawn by seconds", "mined-by-track": "mined, drawn by track"}


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
    panels[0][0].set_ylabel("uSDR minus control (dB)")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _panel(axes: Any, documents: list[Document]) -> None:
    """Each dose with its interval, the folds as dots, the ceiling as a band."""
    labelled: set[str] = set()
    for number, (arm, minutes, gain) in enumerate(_doses(documents)):
        kind = "mined-by-track" if arm.startswith("mined-by-track") else "mined"
        place = minutes * (1.2 if kind == "mined-by-track" else 1.0)  # apart, where both have the same minutes
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


def _doses(documents: list[Document]) -> list[tuple[str, float, Difference]]:
    """Arm, minutes and gain of the whole library and of its parts; none with a single fold, impure excerpts
    or other settings."""
    minutes: dict[str, list[float]] = {}
    for document in documents:
        arm = document["arm"]
        if arm.startswith("mined") and not arm.endswith("impure") and document.get("baseline") is None:
            minutes.setdefault(arm, []).append(document["mined_minutes"])
    found = [(arm, float(np.mean(each)), difference(documents, arm, "control")) for arm, each in minutes.items()]
    return sorted((arm, at, gain) for arm, at, gain in found if gain is not None and len(gain.folds) > 1)
