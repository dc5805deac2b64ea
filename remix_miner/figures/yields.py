"""Share of the audio harvested against purity: a row a source; left the shortest span varies, right the rule."""

from collections.abc import Mapping, Sequence
from typing import Any

from remix_miner.calibration.yields import OperatingPoint
from remix_miner.figures.style import FAINT, INK, figure, legend, title

PANEL_WIDTH, PANEL_HEIGHT = 4.6, 3.0
LENGTH_COLOURS = "viridis"
RULE_COLOURS = ("#222222", "#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#CC79A7", "#009E73")
LOWEST_PURITY = 0.5


def yield_figure(
    points: Mapping[str, Sequence[OperatingPoint]], scanned_seconds: Mapping[str, float], purity: float
) -> Any:
    """``points`` per source, harvested from ``scanned_seconds`` of audio; ``purity``: where to draw a line."""
    plain = {source: [point for point in one if _is_plain(point)] for source, one in points.items()}
    base = min(
        (point.rule.min_seconds for one in points.values() for point in one if not _is_plain(point)), default=None
    )
    columns = 1 if base is None else 2
    made, axes = figure(PANEL_WIDTH * columns, PANEL_HEIGHT * len(points), rows=len(points), columns=columns)
    for row, (source, of_source) in enumerate(points.items()):
        lengths = sorted({point.rule.min_seconds for point in plain[source]})
        import matplotlib

        colours = matplotlib.colormaps[LENGTH_COLOURS]
        panel = axes[row * columns]
        for index, seconds in enumerate(lengths):
            line = [point for point in plain[source] if point.rule.min_seconds == seconds]
            _line(panel, line, scanned_seconds[source], colours(index / max(len(lengths), 1)), f"{seconds:g} s")
        _finish(panel, f"{source}: shortest span", purity)
        if base is None:
            continue
        panel = axes[row * columns + 1]
        families = dict.fromkeys(point.rule.family for point in of_source if point.rule.min_seconds == base)
        for index, family in enumerate(families):
            line = [point for point in of_source if point.rule.family == family]
            label = family.removeprefix(f"{base:g} s, ") if "," in family else "plain"
            _line(panel, line, scanned_seconds[source], RULE_COLOURS[index % len(RULE_COLOURS)], label)
        _finish(panel, f"{source}: rule, spans of {base:g} s", purity)
    return made


def _is_plain(point: OperatingPoint) -> bool:
    return point.rule.stay == 0 and point.rule.smoothing == 1


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
    axis.axhline(purity, color=INK, linewidth=0.8, linestyle=":")
    lowest, _ = axis.get_ylim()
    axis.set_ylim(min(max(lowest, LOWEST_PURITY), purity - 0.05) if lowest < 1 else LOWEST_PURITY, 1.005)
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axis.grid(color=FAINT, alpha=0.4, linewidth=0.5)
    axis.set_xlabel("harvested, share of the audio")
    axis.set_ylabel("purity")
    title(axis, heading)
    legend(axis, "lower left")
