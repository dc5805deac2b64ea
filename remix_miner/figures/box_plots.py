"""Box plots of evaluation results: every metric and source, one box for each system (Défossez et al. 2019, appendix B).

A box holds the middle half of the tracks around their median; whiskers reach to the last track within 1.5 times the
box's length, and dots are the tracks beyond. A track whose reference is silent has no score.
"""

from collections.abc import Sequence
from typing import Any

from remix_miner.figures.style import INK, SOURCE_COLOURS, figure, title

FAINT_BOX = "#999999"
NAMES = {"usdr": "uSDR", "csdr": "cSDR", "si_sdr": "SI-SDR", "csdr_mean": "cSDR, mean of frames", "isr": "ISR",
         "sir": "SIR", "sar": "SAR"}  # fmt: skip


def track_scores(result: dict[str, Any], metric: str, source: str) -> list[float]:
    """Return the scores of a result's document in one metric, for the tracks that have one."""
    found = (track["sources"].get(source, {}).get(metric) for track in result["tracks"])
    return [float(value) for value in found if value is not None and abs(value) < float("inf")]


def plotted_metrics(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return the metrics of which some track of some result has a score, in the order of NAMES."""
    return [
        metric
        for metric in NAMES
        if any(track_scores(result, metric, source) for result in results for source in result["sources"])
    ]


def box_plots(results: Sequence[dict[str, Any]]) -> Any:
    """Return a figure with a row for each metric and a column for each source, from documents of `evaluate`."""
    metrics = plotted_metrics(results)
    sources = list(dict.fromkeys(source for result in results for source in result["sources"]))
    width = max(1.2 + 0.5 * len(results), 2.2) * len(sources) + 1
    made, panels = figure(width, 2.4 * max(len(metrics), 1) + 0.6, rows=max(len(metrics), 1), columns=len(sources))
    for number, axis in enumerate(panels):
        if not metrics:
            continue
        metric, source = metrics[number // len(sources)], sources[number % len(sources)]
        boxes = axis.boxplot(
            [track_scores(result, metric, source) for result in results],
            widths=0.6,
            patch_artist=True,
            medianprops={"color": INK},
            flierprops={"marker": ".", "markersize": 3},
        )
        for box in boxes["boxes"]:
            box.set(facecolor=SOURCE_COLOURS.get(source, FAINT_BOX), alpha=0.55)
        last = number // len(sources) == len(metrics) - 1
        labels = [str(result["name"]) for result in results] if last else [""] * len(results)
        axis.set_xticks(range(1, len(results) + 1), labels, rotation=30, ha="right")
        axis.grid(axis="y", alpha=0.3)
        if number % len(sources) == 0:
            axis.set_ylabel(f"{NAMES[metric]}, dB")
        if number < len(sources):
            title(axis, source)
    return made
