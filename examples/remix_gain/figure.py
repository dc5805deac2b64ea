"""Figure of the gain: each arm over supervised training by fold, and the gain by the minutes mined."""

from pathlib import Path
from typing import Any

import matplotlib
from differences import Difference, difference
from matplotlib import pyplot

from remix_miner.atomic import atomic_path

ARMS = ("control", "mined", "true", "ceiling")


def draw(documents: list[dict[str, Any]], path: Path) -> None:
    """Write the figure as svg; arms without runs are left out."""
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "gain"
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
    gains = {arm: gain for arm in ARMS if (gain := difference(documents, arm, "supervised")) is not None}
    for place, gain in enumerate(gains.values()):
        folds = list(gain.folds.values())
        left.plot(
            [place - 0.15 + 0.3 * at / max(len(folds) - 1, 1) for at in range(len(folds))], folds, ".", color="0.7"
        )
        _point(left, place, gain)
    left.set_xticks(range(len(gains)), list(gains))
    left.set_xlim(-0.5, len(gains) - 0.5)
    left.set_ylabel("uSDR of vocals minus supervised (dB)")
    left.set_title("One dot a fold; mean with 95% interval", fontsize="medium")
    if (none := gains.get("control")) is not None:
        _point(right, 0.3, none, marker="s", label="no new music (control)")
    for number, (minutes, gain) in enumerate(_doses(documents)):
        _point(right, minutes, gain, marker="o", label="mined" if number == 0 else None)
    if (ceiling := gains.get("ceiling")) is not None:
        right.axhspan(ceiling.low, ceiling.high, color="tab:green", alpha=0.15)
        right.axhline(ceiling.mean, color="tab:green", label="ceiling: all songs labelled")
    right.set_xscale("log")
    right.set_xlabel("minutes mined")
    right.legend(frameon=False, fontsize="small")
    for axes in (left, right):
        axes.axhline(0, color="black", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _doses(documents: list[dict[str, Any]]) -> list[tuple[float, Difference]]:
    """Minutes and gain of the whole library and of its parts."""
    minutes = {document["arm"]: document["mined_minutes"] for document in documents if document["mined_minutes"]}
    names = [arm for arm in minutes if arm == "mined" or arm.endswith("min")]
    found = [(minutes[arm], difference(documents, arm, "supervised")) for arm in names]
    return sorted((at, gain) for at, gain in found if gain is not None)


def _point(axes: Any, place: float, gain: Difference, **style: Any) -> None:
    spread = [[gain.mean - gain.low], [gain.high - gain.mean]]
    axes.errorbar([place], [gain.mean], yerr=spread, capsize=3, **{"marker": "o", "color": "tab:blue", **style})
