"""Picture of a flagged stem: its spectrogram, the activity of each source over time, and what was found."""

from typing import Any

import numpy as np

from remix_miner.calibration.stem_check import StemActivity, StemCheck, StemCheckSettings, findings
from remix_miner.detector.windows import HOP_SECONDS
from remix_miner.figures.song import spectrogram, time_axis
from remix_miner.figures.style import FAINT, SOURCE_COLOURS, WARNING, figure, title
from remix_miner.sources import SOURCES

WIDTH, SPECTROGRAM_HEIGHT, ACTIVITY_HEIGHT = 9.0, 1.9, 0.8


def checked_stem_figure(check: StemCheck, stem: StemActivity, settings: StemCheckSettings) -> Any:
    """Draw one stem. Lines are 1 - P, dashed the limit for bleed, shaded what was found; grey: too quiet to judge."""
    heights = [SPECTROGRAM_HEIGHT, *[ACTIVITY_HEIGHT] * len(SOURCES)]
    made, axes = figure(WIDTH, sum(heights) + 0.6, rows=len(heights), heights=heights, sharex=True)
    spectrogram(axes[0], stem.mono)
    title(axes[0], f"{check.song}, {check.stem}: " + "; ".join(findings(check)[:2]))
    times = np.arange(stem.active.shape[1]) * HOP_SECONDS
    for source, row, axis in zip(SOURCES, stem.active, axes[1:], strict=True):
        colour = SOURCE_COLOURS[source]
        axis.fill_between(times, 0, 1, where=~stem.judged, color=FAINT, alpha=0.4, linewidth=0, step="mid")
        axis.plot(times, row, color=colour, linewidth=0.9)
        axis.axhline(settings.active_probability, color=FAINT, linewidth=0.8, linestyle="--")
        axis.set_ylim(-0.04, 1.04)
        axis.set_yticks([0, 1])
        axis.set_ylabel(source, color=colour, rotation=0, ha="right", va="center")
        if source == check.sounds_like:
            axis.axvspan(0, check.seconds, color=WARNING, alpha=0.12, linewidth=0)
        for bleed in check.bleed:
            if bleed.source == source:
                axis.axvspan(bleed.start_seconds, bleed.end_seconds, color=WARNING, alpha=0.25, linewidth=0)
        mean = f"mean {check.activity[source]:.2f}" + (", its name" if source == check.stem else "")
        axis.text(1.0, 1.02, mean, transform=axis.transAxes, ha="right", va="bottom", fontsize=8, color=colour)
    time_axis(axes[-1], check.seconds)
    axes[-1].set_xlabel("time (min:s). Probability that the source is active; red: found")
    return made
