"""Picture of harvest against purity: a panel for each source, a line for each shortest span."""

from collections.abc import Mapping, Sequence
from typing import Any

from remix_miner.calibration.yields import OperatingPoint
from remix_miner.figures.style import FAINT, INK, figure, legend_below, title

PANEL_WIDTH, PANEL_HEIGHT = 6.4, 3.0
LENGTH_COLOURS = "viridis"
LOWEST_PURITY = 0.5


def yield_figure(
    points: Mapping[str, Sequence[OperatingPoint]], scanned_seconds: Mapping[str, float], purity: float
) -> Any:
    """Draw a panel for each source and a line for each shortest span.

    ``points``: per source, harvested from ``scanned_seconds`` of audio. ``purity``: position of the target line.
    """
    import matplotlib

    made, axes = figure(PANEL_WIDTH, PANEL_HEIGHT * len(points), rows=len(points))
    for axis, (source, of_source) in zip(axes, points.items(), strict=True):
        lengths = sorted({point.rule.min_seconds for point in of_source})
        colours = matplotlib.colormaps[LENGTH_COLOURS]
        for index, seconds in enumerate(lengths):
            line = [point for point in of_source if point.rule.min_seconds == seconds]
            _line(axis, line, scanned_seconds[source], colours(index / max(len(lengths), 1)), f"{seconds:g} s")
        _finish(axis, f"{source}: shortest span", purity)
    return made


def _line(axis: Any, points: Sequence[OperatingPoint], scanned: float, colour: Any, label: str) -> None:
    shown = sorted((point for point in points if point.purity is not None), key=lambda point: point.rule.threshold)
    axis.plot(
        [point.seconds / max(scanned, 1e-9) for point in shown],
        [point.purity for point in shown],
        marker="o",
        markersize=2.5,
        linewidth=1.2,
        color=colour,
        label=label,
    )


def _finish(axis: Any, heading: str, purity: float) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.axhline(purity, color=INK, linewidth=0.8, linestyle=":")
    lowest, _ = axis.get_ylim()
    axis.set_ylim(min(max(lowest, LOWEST_PURITY), purity - 0.05) if lowest < 1 else LOWEST_PURITY, 1.005)
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter(PercentFormatter(1.0))  # as many digits as the ticks need
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    axis.grid(color=FAINT, alpha=0.4, linewidth=0.5)
    axis.set_xlabel("harvested, share of the audio")
    axis.set_ylabel("purity")
    title(axis, heading)
    legend_below(axis)
