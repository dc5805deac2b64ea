"""Report of the harvest study: a table, a JSON document, and V against P for every source."""

from pathlib import Path
from typing import Any

from remix_miner.atomic import atomic_path, write_json
from remix_miner.figures.style import (
    FAINT,
    INK,
    SOURCE_COLOURS,
    figure,
    legend,
    probability_axis,
    probability_scale,
    save_picture,
    title,
)
from remix_miner.studies.papers.harvest import AFTER_DB, BEFORE_DB, KEPT, LIBRARY_SHARE
from remix_miner.studies.report import SMALL, signed


def harvest_text(result: dict[str, Any]) -> str:
    """Return the tables of the study's document."""
    lines = [f"{result['study']}: {result['question']}", result["paper"], ""]
    lines.append("  source    p_i     precision  kept by 5 s   95th percentile of V, dB   harvest")
    for name, found in result["sources"].items():
        if found["threshold"] is None:
            lines.append(f"  {name:8}  none: {found['reason']}")
            continue
        before, after = _decibels(found["p95_before_db"]), _decibels(found["p95_after_db"])
        harvested = f"{found['seconds']:.0f} of {found['labelled_seconds']:.0f} s"
        lines.append(
            f"  {name:8}{found['threshold']:7.4f}{found['precision']:11.1%}{_share(found['kept']['mean']):>12}"
            f"{before:>16} -> {after:<9}{harvested}"
        )
    lines.append(f"  {'paper':8}{'':7}{'95%':>11}{KEPT:>12.0%}{BEFORE_DB:>16.0f} -> {AFTER_DB:<9.0f}")
    wide = max(len(claim["text"]) for claim in result["claims"]) + 2
    lines += ["", f"  {'claim of the paper':{wide}}{'paper':>8}{'here':>8}   95% interval      verdict"]
    for claim in result["claims"]:
        published = "-" if claim["published"] is None else f"{claim['published']:.2f}"
        here, low, high = (signed(claim[key]) for key in ("mean", "low", "high"))
        lines.append(
            f"  {claim['text']:{wide}}{published:>8}{here:>8}   [{low}, {high}]   {claim['outcome']} "
            f"({claim['where']}; {claim['artists']} artists)"
        )
    library = result["library"]
    if library is not None:
        found = ", ".join(
            f"{name} {mined['hours']:.2f} h ({mined['share']:.0%})" for name, mined in library["sources"].items()
        )
        lines.append(f"\nlibrary of {library['hours']:.2f} h, mined with the calibrated thresholds: {found}; ")
        lines[-1] += f"paper: {LIBRARY_SHARE:.0%}, with overlaps, of 4.5 days"
    seen = " They trained the detector: figures are too good." if result["trained_on"] else ""
    lines.append(
        f"\n{result['songs']} songs by {result['artists']} artists, {result['mute']} muted variants of each, detector "
        f"{result['detector']!r}; {result['left_out']} songs that trained it are left out.{seen} {SMALL}"
    )
    return "\n".join(lines)


def write_harvest(result: dict[str, Any], out: Path) -> None:
    """Write study.json, study.txt and study.png into ``out``."""
    write_json(out / "study.json", result)
    with atomic_path(out / "study.txt") as temporary:
        temporary.write_text(harvest_text(result) + "\n", encoding="utf-8")
    save_picture(draw_harvest(result), out / "study.png")


def draw_harvest(result: dict[str, Any]) -> Any:
    """Return a figure: quantiles of V over P for every source, with the threshold and -20 dB."""
    sources = result["sources"]
    made, axes = figure(3.2 * max(len(sources), 2), 3.6, columns=max(len(sources), 2), sharey=True)
    for axis, (name, found) in zip(axes, sources.items(), strict=False):
        rows = found["volume_against_probability"]
        at = probability_scale([row["probability"] for row in rows])
        colour = SOURCE_COLOURS[name]
        low, high = [row["p25"] for row in rows], [row["p75"] for row in rows]
        axis.fill_between(at, low, high, color=colour, alpha=0.25, linewidth=0, label="middle half")
        axis.plot(at, [row["p50"] for row in rows], "o-", color=colour, markersize=3, label="median")
        axis.plot(at, [row["p95"] for row in rows], color=FAINT, label="95th percentile")
        axis.axhline(BEFORE_DB, color=INK, linewidth=0.8, linestyle=":")
        if found["threshold"] is not None:
            axis.axvline(float(probability_scale(found["threshold"])), color=INK, linewidth=1)
        probability_axis(axis)
        axis.tick_params(axis="x", labelrotation=60)
        axis.set_xlabel("P, probability of silence")
        state = "no threshold" if found["threshold"] is None else f"p = {found['threshold']:.3f}"
        title(axis, f"{name}, {state}")
    axes[0].set_ylabel("V, relative volume (dB)")
    axes[0].set_ylim(-82, 5)
    legend(axes[0], "lower left")
    return made


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _decibels(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
