"""Pictures of one source's calibration: windows, thresholds, probabilities and spans."""

import dataclasses
from typing import Any

import numpy as np

from remix_miner.calibration.bounds import count_accepted
from remix_miner.calibration.window_table import SourceWindows
from remix_miner.detector.calibration import SourceCalibration
from remix_miner.figures.style import (
    FAINT,
    INK,
    SOURCE_COLOURS,
    WARNING,
    figure,
    legend_below,
    probability_axis,
    probability_scale,
    title,
)

WIDTH, HEIGHT = 4.4, 3.5
LOWEST_DB, HIGHEST_DB = -60.0, 6.0
RELIABILITY_BINS = 15


def density_figure(name: str, fitted: SourceCalibration, windows: SourceWindows) -> Any:
    """Draw the density of windows over P and V; accepted windows that sound lie at the upper right."""
    from matplotlib.colors import LogNorm

    made, (axis,) = figure(WIDTH, HEIGHT)
    limits = probability_scale([0, 1])
    counts, x_edges, y_edges = np.histogram2d(
        probability_scale(windows.probabilities),
        np.clip(windows.volumes, LOWEST_DB + 1e-6, HIGHEST_DB - 1e-6),
        bins=(56, 44),
        range=((limits[0], limits[1]), (LOWEST_DB, HIGHEST_DB)),
        weights=windows.weights,
    )
    shown = np.ma.masked_equal(counts.T, 0)
    axis.pcolormesh(
        x_edges, y_edges, shown, cmap="magma_r", norm=LogNorm(vmin=max(counts.max() / 3000, 0.3)), rasterized=True
    )
    axis.axhline(fitted.volume_db, color=INK, linewidth=0.8)
    axis.text(
        limits[1] - 0.1,
        fitted.volume_db - 1,
        f"silent: at most {fitted.volume_db:g} dB",
        fontsize=8,
        ha="right",
        va="top",
    )
    if fitted.threshold is not None:
        at = float(probability_scale(fitted.threshold))
        axis.axvline(at, color=SOURCE_COLOURS[name], linewidth=1.6)
        axis.fill_between([at, limits[1]], fitted.volume_db, HIGHEST_DB, color=WARNING, alpha=0.12, linewidth=0)
        title(axis, f"{name}: {1 - (fitted.precision or 0):.1%} of the accepted windows sound")
    else:
        title(axis, f"{name}: no threshold")
    axis.set_xlabel("P, probability of silence")
    axis.set_ylabel("V, relative volume (dB)")
    axis.set_yticks([-60, -50, -40, -30, -20, -10, 0], ["≤ -60", "-50", "-40", "-30", "-20", "-10", "0"])
    probability_axis(axis)
    return made


def tradeoff_figure(name: str, fitted: SourceCalibration, windows: SourceWindows) -> Any:
    """Draw precision and recall over windows against p."""
    table = count_accepted(windows.probabilities, windows.silent, windows.artists, weights=windows.weights)
    recall = table.silent.sum(0) / max(table.silent[:, 0].sum(), 1e-12)
    made, axis = _threshold_axis(name, fitted, f"{name}: single windows")
    at = probability_scale(table.thresholds)
    axis.plot(at, recall, color=FAINT, linewidth=2, label="recall")
    axis.plot(at, table.share, color=SOURCE_COLOURS[name], linewidth=2, label="precision")
    if fitted.threshold is not None and fitted.precision is not None and fitted.recall is not None:
        _mark(axis, fitted.threshold, {SOURCE_COLOURS[name]: fitted.precision, INK: fitted.recall})
    legend_below(axis)
    return made


def curve_figure(name: str, fitted: SourceCalibration, heading: str | None = None) -> Any:
    """Draw the purity of the harvest, its lower bound and the found share of the silent spans against p."""
    assert fitted.curve is not None
    curve = fitted.curve
    made, axis = _threshold_axis(name, fitted, heading or f"{name}: harvested seconds")
    at = probability_scale(curve.threshold)
    purity = np.array([np.nan if share is None else share for share in curve.purity])
    axis.plot(at, curve.recall, color=FAINT, linewidth=2, label="silent spans found")
    axis.plot(at, purity, color=SOURCE_COLOURS[name], linewidth=2, label="purity")
    bound = np.where(np.array(curve.artists) > 0, curve.lower_bound, np.nan)
    axis.plot(at, bound, color=SOURCE_COLOURS[name], linewidth=1.2, linestyle="--", label="its lower bound")
    if fitted.threshold in curve.threshold:
        row = curve.threshold.index(fitted.threshold)
        _mark(axis, fitted.threshold, {SOURCE_COLOURS[name]: curve.lower_bound[row], INK: curve.recall[row]})
    legend_below(axis)
    return made


def _threshold_axis(name: str, fitted: SourceCalibration, heading: str) -> tuple[Any, Any]:
    """Return (figure, panel) with thresholds on the x axis, shares on the y axis, and a line at the target."""
    made, (axis,) = figure(WIDTH, HEIGHT)
    axis.axhline(fitted.precision_target, color=INK, linewidth=0.8, linestyle=":")
    axis.set_ylim(0, 1.03)
    axis.set_yticks(np.linspace(0, 1, 5), ["0", "25%", "50%", "75%", "100%"])
    axis.set_xlabel("threshold p")
    title(axis, heading)
    probability_axis(axis)
    return made, axis


def _mark(axis: Any, threshold: float, shares: dict[str, float]) -> None:
    """Draw a line at the operating point, and a dot with its value on each curve."""
    at = float(probability_scale(threshold))
    axis.axvline(at, color=INK, linewidth=0.8)
    for colour, share in shares.items():
        axis.plot(at, share, "o", color=colour, markersize=5, zorder=3)
        below = share > 0.9
        axis.annotate(
            f"{share:.1%}",
            (at, share),
            xytext=(5, -4 if below else 4),
            textcoords="offset points",
            va="top" if below else "bottom",
            fontsize=8,
            color=colour,
        )
    axis.text(at, 0.02, f" p = {threshold:.3g}", fontsize=8, va="bottom")


def reliability_figure(name: str, fitted: SourceCalibration, windows: SourceWindows) -> Any:
    """Draw the share of silent windows in bins of P, and the isotonic table of the calibration."""
    made, (axis,) = figure(WIDTH, HEIGHT)
    edges = np.unique(np.quantile(windows.probabilities, np.linspace(0, 1, RELIABILITY_BINS + 1)))
    bins = np.clip(np.searchsorted(edges, windows.probabilities, side="right") - 1, 0, max(len(edges) - 2, 0))
    weight = np.bincount(bins, windows.weights)
    share = np.bincount(bins, windows.weights * windows.silent) / np.maximum(weight, 1e-12)
    mean = np.bincount(bins, windows.weights * windows.probabilities) / np.maximum(weight, 1e-12)
    line = np.linspace(0, 1, 400)
    axis.plot(probability_scale(line), line, color=FAINT, linewidth=1, label="P without calibration")
    axis.plot(
        probability_scale(fitted.probability),
        fitted.expected_silent,
        color=INK,
        linewidth=1.2,
        label="stored (isotonic)",
    )
    axis.plot(
        probability_scale(mean[weight > 0]),
        share[weight > 0],
        "o",
        color=SOURCE_COLOURS[name],
        markersize=5,
        label=f"windows with V ≤ {fitted.volume_db:g} dB",
    )
    axis.set_ylim(-0.03, 1.03)
    axis.set_yticks(np.linspace(0, 1, 5), ["0", "25%", "50%", "75%", "100%"])
    axis.set_xlabel("P, probability of silence")
    title(axis, f"{name}: reliability of P")
    legend_below(axis)
    probability_axis(axis)
    return made


def span_figure(name: str, fitted: SourceCalibration) -> Any:
    """Draw percentiles of V over the accepted windows, and over those in kept spans."""
    made, (axis,) = figure(WIDTH, HEIGHT)
    assert fitted.spans is not None
    rows = ["half", "90%", "95%"]
    before, after = (dataclasses.astuple(values) for values in (fitted.spans.before, fitted.spans.after))
    for row, (first, second) in enumerate(zip(before, after, strict=True)):
        if first is None:
            continue
        first = max(first, LOWEST_DB)
        axis.plot(first, row, "o", color=FAINT, markersize=9, label="all accepted windows" if row == 0 else None)
        if second is None:
            continue
        second = max(second, LOWEST_DB)
        axis.annotate(
            "", (second, row), (first, row), arrowprops={"arrowstyle": "->", "color": FAINT, "shrinkA": 6, "shrinkB": 6}
        )
        label = f"in spans of {fitted.spans.min_seconds:g} s or more" if row == 0 else None
        axis.plot(second, row, "o", color=SOURCE_COLOURS[name], markersize=9, label=label)
        axis.text(second, row + 0.16, _at_most(second), ha="center", va="bottom", fontsize=8)
    axis.axvline(fitted.volume_db, color=INK, linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(rows)), [f"{share} of the\nwindows below" for share in rows])
    axis.set_ylim(-0.5, 2.6)
    axis.set_xlim(LOWEST_DB - 6, 3)
    axis.set_xlabel("V, relative volume (dB)")
    title(axis, f"{name}: spans keep {fitted.spans.kept:.0%} of the windows")
    legend_below(axis)
    return made


def _at_most(volume_db: float) -> str:
    return f"≤ {LOWEST_DB:g}" if volume_db <= LOWEST_DB else f"{volume_db:.0f}"
