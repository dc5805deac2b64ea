"""HTML page of a calibration, in one file: thresholds, their bounds and their harvest."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from remix_miner.atomic import write_text
from remix_miner.calibration.promise.curve import not_trained_on
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.window_table import SourceWindows, windows_of
from remix_miner.detector.calibration import Calibration, FusedSource, SourceCalibration
from remix_miner.figures.calibration_figures import (
    curve_figure,
    density_figure,
    reliability_figure,
    span_figure,
    tradeoff_figure,
)
from remix_miner.figures.style import as_image
from remix_miner.sources import SOURCES


def write_calibration_page(path: str | Path, calibration: Calibration, songs: Sequence[LabelledSong]) -> None:
    """Write the HTML page, whole or not at all. ``songs``: those that the calibration was made from."""
    from jinja2 import Environment

    songs = not_trained_on(songs)
    sections: list[dict[str, Any]] = []
    for name, fitted in calibration.sources.items():
        rate = calibration.settings.get("silence_rates", {}).get(name)
        windows = windows_of(songs, SOURCES.index(name), fitted.volume_db, rate)
        sections.append(
            {
                "heading": name,
                "fitted": fitted,
                "note": "",
                "targets": targets(fitted),
                "images": source_pictures(name, fitted, windows),
            }
        )
    sections += [_fused_section(name, fused) for name, fused in calibration.fused.items()]
    rows = [{"name": name, "cells": [cell(section["fitted"]) for section in sections]} for name, cell in ROWS.items()]
    target = f"{100 * calibration.settings['precision']:g}%"
    for name, share in calibration.settings.get("precisions", {}).items():
        target += f" ({name} {100 * share:g}%)"
    template = Environment(autoescape=True).from_string(PAGE)
    write_text(path, template.render(calibration=calibration, target=target, sections=sections, rows=rows))


def source_pictures(name: str, fitted: SourceCalibration, windows: SourceWindows) -> list[dict[str, str]]:
    """Return the pictures of one source as {'image': html, 'caption': text}."""
    pictures = [
        (density_figure(name, fitted, windows), "Each window's true volume V against the probability P of silence."),
        (tradeoff_figure(name, fitted, windows), "Precision and recall over windows, as the threshold varies."),
        (reliability_figure(name, fitted, windows), "Share of silent windows against P."),
    ]
    if fitted.curve is not None:
        caption = "Purity of the harvest, its lower bound, and the found share of the silent spans."
        pictures.insert(0, (curve_figure(name, fitted), caption))
    if not windows.levels_known.any():
        del pictures[-3]  # the volumes of weakly labelled windows are no levels
    if fitted.spans is not None and fitted.spans.before.p50 is not None:
        pictures.append(
            (
                span_figure(name, fitted),
                f"V of all accepted windows, and of those in spans of {fitted.spans.min_seconds:g} s.",
            )
        )
    return [{"image": as_image(made, f"{name}: {caption}"), "caption": caption} for made, caption in pictures]


def _fused_section(name: str, fused: FusedSource) -> dict[str, Any]:
    """Return the section of a source with joint probabilities."""
    fusion, images = fused.fusion, []
    heading = f"{name} with {fusion.evidence}"
    if fused.calibration.curve is not None:
        caption = "Purity of the harvest, its lower bound and recall, with joint probabilities."
        made = curve_figure(name, fused.calibration, heading)
        images.append({"image": as_image(made, f"{heading}: {caption}"), "caption": caption})
    note = (
        f"{fusion.evidence} {fusion.version} ({fusion.licence}) is used where {fusion.gate:g} <= P < {fusion.sure:g}, "
        f"in runs of {fusion.min_seconds:g} s or more. Joint logit: "
        f"{fusion.intercept:.3g} + {fusion.detector_weight:.3g} logit(P) + {fusion.evidence_weight:.3g} log-odds."
    )
    return {
        "heading": heading,
        "fitted": fused.calibration,
        "note": note,
        "targets": targets(fused.calibration),
        "images": images,
    }


def targets(fitted: SourceCalibration) -> list[list[str]]:
    """Return the cells of a table of what each target gives: on the songs that chose p, and on artists left out."""
    rows = []
    for row in fitted.left_out:
        at = fitted.threshold_for(row.target)
        purity, found = fitted.harvest_at(at)
        on_songs = ["none" if at is None else f"{at:.4g}", _percent(purity), _percent(found, 0)]
        thresholds = "–"
        if row.lowest_threshold is not None and row.highest_threshold is not None:
            thresholds = " to ".join(sorted({f"{row.lowest_threshold:.4g}", f"{row.highest_threshold:.4g}"}))
        rows.append(
            [
                f"{row.target:.0%}",
                *on_songs,
                thresholds,
                _percent(row.purity),
                _percent(row.unweighted_purity),
                _percent(row.found, 0),
                f"{row.without_threshold} of {row.artists}",
                ", ".join(f"{one.artist} ({one.purity:.0%} of {one.seconds:.0f} s)" for one in row.below_floor) or "–",
            ]
        )
    return rows


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{share:.{digits}%}"


def _volumes(fitted: SourceCalibration) -> str:
    if fitted.spans is None or fitted.spans.before.p95 is None or fitted.spans.after.p95 is None:
        return "–"
    return f"{fitted.spans.before.p95:.0f} → {fitted.spans.after.p95:.0f} dB"


def _left_out(fitted: SourceCalibration) -> str:
    row = None if fitted.threshold is None else fitted.left_out_at(fitted.precision_target)
    return "–" if row is None else _percent(row.purity)


def _found_left_out(fitted: SourceCalibration) -> str:
    row = None if fitted.threshold is None else fitted.left_out_at(fitted.precision_target)
    return "–" if row is None else _percent(row.found, 0)


ROWS: dict[str, Callable[[SourceCalibration], str]] = {
    "threshold p": lambda fitted: "none" if fitted.threshold is None else f"{fitted.threshold:.4g}",
    "lower bound of purity": lambda fitted: _percent(fitted.precision_lower_bound),
    "purity of the harvest": lambda fitted: _percent(fitted.spans.precision if fitted.spans else None),
    "– on artists left out": _left_out,
    "silent spans found": lambda fitted: _percent(fitted.span_recall, 0),
    "– found on artists left out": _found_left_out,
    "precision of windows": lambda fitted: _percent(fitted.precision),
    "recall of windows": lambda fitted: _percent(fitted.recall, 0),
    "windows kept by spans": lambda fitted: _percent(fitted.spans.kept if fitted.spans else None, 0),
    "V of 95%, windows → spans": _volumes,
    "silent in the songs": lambda fitted: _percent(fitted.silence_rate, 0),
    "silent, as assumed": lambda fitted: _percent(fitted.assumed_silence_rate, 0),
    "artists": lambda fitted: str(fitted.artists),
}


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
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; vertical-align: bottom; }
@media (max-width: 600px) { table { font-size: .78rem; width: 100%; } th, td { padding: .25rem .3rem; } }
th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; font-size: .85rem; } th[colspan] { text-align: center; }
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
{% if s.bound == "harvest" %}the {{ "%g" | format(100 * s.confidence) }}% lower confidence bound, over artists, of
the share of the harvested seconds that are silent reaches {{ target }}. Harvested are spans
of at least {{ "%g" | format(s.min_seconds) }} s.
{% else %}{% if s.bound == "bootstrap" %}the {{ "%g" | format(100 * s.confidence) }}% lower confidence bound,
over artists, of
{% elif s.bound == "crossval" %}on artists left out of choosing it
{% else %}on these very windows {% endif %}
the share of silent windows among those accepted reaches {{ target }}.{% endif %}
{% if s.bound in ("harvest", "bootstrap") %}An artist not seen here is assumed to reach at least
{{ "%g" | format(100 * s.worst_artist) }}%, or what the worst artist here reaches if that is less.{% endif %}
{% if s.bound == "none" %}This gives no bound for other songs.{% endif %}
{% if s.bound == "crossval" %}This is the mean to expect, without a confidence level.{% endif %}</p>
<p>{{ calibration.data.tracks | length }} songs by {{ calibration.data.artists | length }} artists.
{% if calibration.data.muted_variants %}Beside each song as it is, {{ calibration.data.muted_variants }}
with sources muted at random.{% endif %}
{% if calibration.data.folds %}Songs that trained the detector were measured with detectors trained in the same way
without them: {{ calibration.data.folds | map(attribute="name") | join(", ") }}.{% endif %}</p>
<table>
<tr><th></th>{% for section in sections %}<th>{{ section.heading }}</th>{% endfor %}</tr>
{% for row in rows %}<tr><td>{{ row.name }}</td>
{% for cell in row.cells %}<td{% if cell == "none" %} class="refused"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% if sections | selectattr("targets") | list %}
<p>The songs that chose a threshold show it too favourably. <em>Left out</em>: for each artist in turn p is chosen on
all other artists by the same rule, and applied to this artist; the harvests of all artists are pooled.</p>
{% endif %}
{% for section in sections %}
<h2>{{ section.heading }}</h2>
{% if section.note %}<p><small>{{ section.note }}</small></p>{% endif %}
{% if section.fitted.reason %}<p class="refused">No threshold: {{ section.fitted.reason }}.</p>{% endif %}
<p><small>{{ section.fitted.windows }} windows of {{ section.fitted.tracks }} songs by {{ section.fitted.artists }}
artists; {{ section.fitted.silent_windows }} silent, {{ section.fitted.accepted_windows }} accepted, from
{{ section.fitted.artists_accepted }} artists.</small></p>
{% if section.targets %}
<div class="wide"><table>
<tr><th></th><th colspan="3">on the songs that chose p</th><th colspan="6">on artists left out of the choice</th></tr>
<tr><th>target</th><th>p</th><th>purity</th><th>found</th><th>p</th><th>purity</th>
<th>at their own silence rate</th><th>found</th><th>artists without p</th><th>artists below the floor</th></tr>
{% for cells in section.targets %}<tr>{% for cell in cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table></div>
{% endif %}
<div class="pictures">
{% for picture in section.images %}<figure>{{ picture.image | safe }}<figcaption>{{ picture.caption }}</figcaption>
</figure>
{% endfor %}</div>
{% endfor %}
<p><small>Detector SHA-256 <code>{{ calibration.detector_sha256 }}</code></small></p>
</body>
</html>
"""
