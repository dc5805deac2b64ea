"""One page about a calibration, readable on a phone and without a network: what each threshold means and gives."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.atomic import write_text
from remix_miner.calibration.bounds import count_accepted, lower_bound
from remix_miner.calibration.labelled_songs import LabelledSong
from remix_miner.calibration.window_table import SourceWindows, windows_of
from remix_miner.detector.calibration import Calibration, SourceCalibration
from remix_miner.figures.style import (
    FAINT,
    INK,
    SOURCE_COLOURS,
    WARNING,
    as_image,
    figure,
    legend,
    probability_axis,
    probability_scale,
    title,
)
from remix_miner.sources import SOURCES

WIDTH, HEIGHT = 4.4, 3.3
LOWEST_DB, HIGHEST_DB = -60.0, 6.0
RELIABILITY_BINS = 15


def write_calibration_page(path: str | Path, calibration: Calibration, songs: Sequence[LabelledSong]) -> None:
    """Write the HTML page, whole or not at all. ``songs``: those that the calibration was made from."""
    from jinja2 import Environment

    sections = []
    for name, one in calibration.sources.items():
        rate = calibration.settings.get("silence_rates", {}).get(name)
        windows = windows_of(songs, SOURCES.index(name), one.volume_db, rate)
        sections.append({"name": name, "one": one, "images": source_pictures(name, one, windows, calibration.settings)})
    template = Environment(autoescape=True).from_string(PAGE)
    write_text(path, template.render(calibration=calibration, sections=sections))


def source_pictures(
    name: str, one: SourceCalibration, windows: SourceWindows, settings: dict[str, Any]
) -> list[dict[str, str]]:
    """The pictures of one source as {'image': html, 'caption': text}."""
    pictures = [
        (density_figure(name, one, windows), "Each window's true volume V against the probability P of silence."),
        (tradeoff_figure(name, one, windows, settings), "Precision and recall over windows, as the threshold varies."),
        (reliability_figure(name, one, windows), "How often windows with a given P are silent."),
    ]
    if one.spans is not None:
        pictures.append(
            (span_figure(name, one), f"How quiet: before and after keeping spans of {one.spans.min_seconds:g} s only.")
        )
    return [{"image": as_image(made, f"{name}: {caption}"), "caption": caption} for made, caption in pictures]


def density_figure(name: str, one: SourceCalibration, windows: SourceWindows) -> Any:
    """Two-dimensional density of V against P; what is accepted although it sounds lies upper right."""
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
    axis.axhline(one.volume_db, color=INK, linewidth=0.8)
    axis.text(limits[0] + 0.2, one.volume_db + 1, f"silent below {one.volume_db:g} dB", fontsize=8, va="bottom")
    if one.threshold is not None:
        at = float(probability_scale(one.threshold))
        axis.axvline(at, color=SOURCE_COLOURS[name], linewidth=1.6)
        axis.fill_between([at, limits[1]], one.volume_db, HIGHEST_DB, color=WARNING, alpha=0.12, linewidth=0)
        title(axis, f"{name}: {1 - (one.precision or 0):.1%} of what is accepted sounds")
    else:
        title(axis, f"{name}: no threshold")
    axis.set_xlabel("P, probability of silence")
    axis.set_ylabel("V, relative volume (dB)")
    axis.set_yticks([-60, -50, -40, -30, -20, -10, 0], ["≤ -60", "-50", "-40", "-30", "-20", "-10", "0"])
    probability_axis(axis)
    return made


def tradeoff_figure(name: str, one: SourceCalibration, windows: SourceWindows, settings: dict[str, Any]) -> Any:
    """Precision, its lower bound where one is used, and recall against p."""
    made, (axis,) = figure(WIDTH, HEIGHT)
    table = count_accepted(windows.probabilities, windows.silent, windows.artists, weights=windows.weights)
    at = probability_scale(table.thresholds)
    recall = table.silent.sum(0) / max(table.silent[:, 0].sum(), 1e-12)
    axis.plot(at, recall, color=FAINT, linewidth=2, label="recall")
    axis.plot(at, table.share, color=SOURCE_COLOURS[name], linewidth=2, label="precision")
    if settings.get("bound") == "bootstrap":
        bound = lower_bound(
            table, one.precision_target, settings["confidence"], settings["worst_artist"], settings["seed"]
        )
        label = f"{settings['confidence']:.0%} lower bound"
        axis.plot(at, bound, color=SOURCE_COLOURS[name], linewidth=1.2, linestyle="--", label=label)
    axis.axhline(one.precision_target, color=INK, linewidth=0.8, linestyle=":")
    if one.threshold is not None:
        axis.axvline(float(probability_scale(one.threshold)), color=INK, linewidth=1)
    axis.set_ylim(0, 1.03)
    axis.set_yticks(np.linspace(0, 1, 5), ["0", "25%", "50%", "75%", "100%"])
    axis.set_xlabel("threshold p")
    title(axis, f"{name}: what a threshold gives")
    legend(axis, "lower left")
    probability_axis(axis)
    return made


def reliability_figure(name: str, one: SourceCalibration, windows: SourceWindows) -> Any:
    """Observed share of silent windows in bins of P, and the isotonic table that the calibration stores."""
    made, (axis,) = figure(WIDTH, HEIGHT)
    edges = np.unique(np.quantile(windows.probabilities, np.linspace(0, 1, RELIABILITY_BINS + 1)))
    bins = np.clip(np.searchsorted(edges, windows.probabilities, side="right") - 1, 0, max(len(edges) - 2, 0))
    weight = np.bincount(bins, windows.weights)
    share = np.bincount(bins, windows.weights * windows.silent) / np.maximum(weight, 1e-12)
    mean = np.bincount(bins, windows.weights * windows.probabilities) / np.maximum(weight, 1e-12)
    line = np.linspace(0, 1, 400)
    axis.plot(probability_scale(line), line, color=FAINT, linewidth=1, label="P as it stands")
    axis.plot(
        probability_scale(one.probability), one.expected_silent, color=INK, linewidth=1.2, label="stored (isotonic)"
    )
    axis.plot(
        probability_scale(mean[weight > 0]),
        share[weight > 0],
        "o",
        color=SOURCE_COLOURS[name],
        markersize=5,
        label=f"windows with V ≤ {one.volume_db:g} dB",
    )
    axis.set_ylim(-0.03, 1.03)
    axis.set_yticks(np.linspace(0, 1, 5), ["0", "25%", "50%", "75%", "100%"])
    axis.set_xlabel("P, probability of silence")
    title(axis, f"{name}: is P right?")
    legend(axis, "upper left")
    probability_axis(axis)
    return made


def span_figure(name: str, one: SourceCalibration) -> Any:
    """Percentiles of V among accepted windows and among those that the span rule keeps."""
    made, (axis,) = figure(WIDTH, HEIGHT)
    assert one.spans is not None
    rows = ["half", "90%", "95%"]
    before, after = (dataclasses.astuple(values) for values in (one.spans.before, one.spans.after))
    for row, (first, second) in enumerate(zip(before, after, strict=True)):
        if first is None:
            continue
        first = max(first, LOWEST_DB)
        axis.plot(first, row, "o", color=FAINT, markersize=9, label="all accepted windows" if row == 0 else None)
        if second is None:
            continue
        second = max(second, LOWEST_DB)
        axis.annotate(
            "", (second, row), (first, row), arrowprops={"arrowstyle": "-", "color": FAINT, "shrinkA": 6, "shrinkB": 6}
        )
        label = f"in spans of {one.spans.min_seconds:g} s or more" if row == 0 else None
        axis.plot(second, row, "o", color=SOURCE_COLOURS[name], markersize=9, label=label)
        axis.text(second, row + 0.16, _at_most(second), ha="center", va="bottom", fontsize=8)
    axis.axvline(one.volume_db, color=INK, linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(rows)), [f"{share} of the\nwindows below" for share in rows])
    axis.set_ylim(-1.5, 2.6)
    axis.set_xlim(LOWEST_DB - 3, 3)
    axis.set_xlabel("V, relative volume (dB)")
    title(axis, f"{name}: spans keep {one.spans.kept:.0%} of the windows")
    legend(axis, "lower right")
    return made


def _at_most(volume_db: float) -> str:
    return f"≤ {LOWEST_DB:g}" if volume_db <= LOWEST_DB else f"{volume_db:.0f}"


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Calibration of {{ calibration.detector }}</title>
<style>
:root { color-scheme: light; }
body { font: 16px/1.45 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto; max-width: 960px;
       padding: 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 1.8rem 0 .3rem; }
p { margin: .4rem 0; max-width: 46rem; } small, figcaption { color: #555; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 1rem 2rem; }
figure { margin: 0; } img { width: 100%; height: auto; } figcaption { font-size: .85rem; }
.refused { color: #B00020; } code { font-size: .9em; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>Calibration of {{ calibration.detector }}</h1>
{% set s = calibration.settings %}
<p>A source is silent in a window when its volume V, relative to the mixture, is at most
{{ "%g" | format(s.volume_db) }} dB.
Each threshold is the lowest at which
{% if s.bound == "bootstrap" %}the {{ "%g" | format(100 * s.confidence) }}% lower confidence bound, over artists, of
{% elif s.bound == "crossval" %}on artists left out of choosing it
{% else %}on these very windows {% endif %}
the share of silent windows among those accepted reaches {{ "%g" | format(100 * s.precision) }}%.
{% if s.bound == "bootstrap" %}An artist not seen here is assumed to reach at least
{{ "%g" | format(100 * s.worst_artist) }}%, or what the worst artist here reaches if that is less.{% endif %}
{% if s.bound == "none" %}Nothing is promised of other songs.{% endif %}
{% if s.bound == "crossval" %}This is what to expect on average, without a confidence level.{% endif %}</p>
<p>{{ calibration.data.tracks | length }} songs by {{ calibration.data.artists | length }} artists.
{% if calibration.data.muted_variants %}Beside each song as it is, {{ calibration.data.muted_variants }}
with sources muted at random.{% endif %}
{% if calibration.data.folds %}Songs that the detector learned from were heard by ones trained likewise without
them: {{ calibration.data.folds | map(attribute="name") | join(", ") }}.{% endif %}</p>
<div class="scroll"><table>
<tr><th>source</th><th>threshold</th><th>precision</th><th>lower bound</th><th>recall</th><th>silent, data</th>
<th>silent, assumed</th><th>spans keep</th><th>V of 95%, windows</th><th>V of 95%, spans</th></tr>
{% for section in sections %}{% set one = section.one %}
<tr><td>{{ section.name }}</td>
{% if one.threshold is not none %}
<td>{{ "%.4g" | format(one.threshold) }}</td><td>{{ "%.1f%%" | format(100 * one.precision) }}</td>
<td>{{ "%.1f%%" | format(100 * one.precision_lower_bound) if one.precision_lower_bound is not none else "–" }}</td>
<td>{{ "%.0f%%" | format(100 * one.recall) }}</td>
<td>{{ "%.1f%%" | format(100 * one.silence_rate) }}</td>
<td>{{ "%.1f%%" | format(100 * one.assumed_silence_rate) }}</td>
<td>{{ "%.0f%%" | format(100 * one.spans.kept) }}</td>
<td>{{ "%.0f dB" | format(one.spans.before.p95) if one.spans.before.p95 is not none else "–" }}</td>
<td>{{ "%.0f dB" | format(one.spans.after.p95) if one.spans.after.p95 is not none else "–" }}</td>
{% else %}<td class="refused">none</td><td colspan="3">refused, see below</td>
<td>{{ "%.1f%%" | format(100 * one.silence_rate) }}</td>
<td>{{ "%.1f%%" | format(100 * one.assumed_silence_rate) }}</td><td colspan="3"></td>{% endif %}
</tr>{% endfor %}
</table></div>
{% for section in sections %}
<h2>{{ section.name }}</h2>
{% if section.one.reason %}<p class="refused">No threshold: {{ section.one.reason }}.</p>{% endif %}
<p><small>{{ section.one.windows }} windows of {{ section.one.tracks }} songs by {{ section.one.artists }} artists;
{{ section.one.silent_windows }} silent, {{ section.one.accepted_windows }} accepted, from
{{ section.one.artists_accepted }} artists.</small></p>
<div class="pictures">
{% for picture in section.images %}<figure>{{ picture.image | safe }}<figcaption>{{ picture.caption }}</figcaption>
</figure>
{% endfor %}</div>
{% endfor %}
<p><small>Detector SHA-256 <code>{{ calibration.detector_sha256 }}</code></small></p>
</body>
</html>
"""
