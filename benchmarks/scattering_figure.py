"""Figure of the scattering transform for docs/background/scattering.md: filters, groups and sampling.

    python benchmarks/scattering_figure.py docs/pictures/scattering.svg

Everything is read from `remix_miner.detector.scattering.filters`; no audio is needed.
"""

import argparse
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from remix_miner.detector.scattering.filters import (
    ENVELOPE_J,
    PIECE_FRAMES,
    FirstOrderGroup,
    filter_bank,
    filter_parameters,
    paths,
    sampling_octaves,
)
from remix_miner.detector.windows import SAMPLE_RATE
from remix_miner.figures.style import FAINT, INK, figure, legend, save_picture, title

PIECES, MIXED, BLOCKS = "#0072B2", "#009E73", "#D55E00"
BLOCK_FRAMES = 1 << 17
LOWEST_HZ = 8.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="PNG, SVG or PDF")
    options = parser.parse_args()
    made, (filters, sampling, grid) = figure(7.4, 9.6, rows=3, heights=(1.0, 1.0, 0.9))
    draw_filters(filters)
    draw_sampling(sampling)
    draw_paths(grid)
    save_picture(made, options.out)


def group_colours() -> list[tuple[FirstOrderGroup, str]]:
    """Return the groups of order 1, each with its colour: one for pieces, one for whole blocks."""
    bank = filter_bank(BLOCK_FRAMES, "sparse")
    return [(group, PIECES) for group in bank.fast] + [(group, BLOCKS) for group in bank.slow]


def draw_filters(axis: Any) -> None:
    """Draw the frequency responses of order 1 by group, and of order 2 and the low-pass below them."""
    first, second, lowpass = filter_parameters()
    hertz = np.geomspace(LOWEST_HZ, SAMPLE_RATE / 2, 4000)
    for group, colour in group_colours():
        for xi, sigma, _ in first[group.rows]:
            axis.plot(hertz, 1.1 + morlet(hertz, xi, sigma), color=colour, linewidth=0.7)
        low, high = (first[n][0] * SAMPLE_RATE for n in (group.rows.stop - 1, group.rows.start))
        axis.text(np.sqrt(low * high), 2.16, f"{SAMPLE_RATE >> group.k}", color=colour, ha="center", fontsize=8)
    for xi, sigma, _ in second:
        axis.plot(hertz, morlet(hertz, xi, sigma), color=INK, linewidth=0.7)
    axis.plot(hertz, np.exp(-((hertz / SAMPLE_RATE) ** 2) / (2 * lowpass**2)), color=FAINT, linewidth=1.6)
    axis.set_xscale("log")
    axis.set_xlim(LOWEST_HZ, SAMPLE_RATE / 2)
    axis.set_ylim(0, 2.4)
    axis.set_yticks([0.5, 1.6], ["order 2", "order 1"])
    axis.set_xlabel("frequency, Hz")
    title(axis, "Filters. Above: samples per second of each group's envelopes (sparse). Grey: the low-pass")


def morlet(hertz: np.ndarray, xi: float, sigma: float) -> np.ndarray:
    """Return the response of a Morlet filter: a Gaussian minus a second one at 0 Hz that makes the mean zero."""
    frequency = hertz / SAMPLE_RATE
    at_centre, at_zero = (np.exp(-((frequency - centre) ** 2) / (2 * sigma**2)) for centre in (xi, 0.0))
    response: np.ndarray = at_centre - at_zero * np.exp(-(xi**2) / (2 * sigma**2))
    return response


def draw_sampling(axis: Any) -> None:
    """Draw the sampling rates of the envelopes of order 1, as kymatio has them and as a scan takes them."""
    first, _, _ = filter_parameters()
    numbers = np.arange(len(first))
    for name, style in (("kymatio", ":"), ("sparse", "-")):
        rates = [SAMPLE_RATE / 2**k for k in sampling_octaves(name)[0]]
        axis.step(numbers, rates, where="mid", color=INK, linestyle=style, label=f"samples per second, {name}")
    deviations = [sigma * SAMPLE_RATE for _, sigma, _ in first]
    axis.plot(numbers, deviations, color=FAINT, linewidth=1.6, label="standard deviation of the filter, Hz")
    for group, colour in group_colours():
        axis.axvspan(group.rows.start - 0.5, group.rows.stop - 0.5, color=colour, alpha=0.06 + 0.08 * (group.k % 2))
        label = f"k = {group.k}"
        axis.text((group.rows.start + group.rows.stop - 1) / 2, 3.2, label, ha="center", fontsize=8, color=colour)
    axis.set_yscale("log", base=2)
    axis.set_ylim(2, 1 << 15)
    axis.set_yticks([4, 16, 62.5, 250, 1000, 4000, 16000], ["4", "16", "62", "250", "1000", "4000", "16000"])
    axis.set_xlim(-0.5, len(first) - 0.5)
    axis.set_xlabel("filter n1 of order 1 (0: the highest frequency)")
    title(axis, f"Sampling. Blue groups: pieces of {PIECE_FRAMES} samples; orange groups: whole blocks")
    legend(axis, "upper right")


def draw_paths(axis: Any) -> None:
    """Draw the coefficients by channel and filter n1, coloured by where their two filters are applied."""
    _, second, _ = filter_parameters()
    pieces = filter_bank(BLOCK_FRAMES, "sparse").all_fast.rows.stop
    for channel, n1, n2 in paths():
        if n1 >= pieces:
            colour = BLOCKS
        else:
            colour = MIXED if n2 < 0 or second[n2][2] > ENVELOPE_J else PIECES
        axis.add_patch(_cell(n1, channel, colour))
    channels = {channel: n2 for channel, _, n2 in paths()}
    labels = ["0: order 1"] + [f"{c}: {second[n2][0] * SAMPLE_RATE:.0f} Hz" for c, n2 in channels.items() if c]
    axis.set_yticks(range(len(channels)), labels)
    axis.set_ylim(len(channels) - 0.5, -0.5)
    axis.set_xlim(-0.5, 53.5)
    axis.set_xlabel("filter n1 of order 1")
    axis.set_ylabel("channel")
    title(axis, "Coefficients of a frame, (7, 54). White cells have no path (j2 <= j1) and are zero")
    names = ((PIECES, "pieces"), (MIXED, "envelope in pieces, rest in blocks"), (BLOCKS, "whole blocks"))
    handles = [Patch(color=colour, label=label) for colour, label in names]
    axis.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.24), ncol=3, frameon=False, fontsize=8)


def _cell(n1: int, channel: int, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((n1 - 0.45, channel - 0.4), 0.9, 0.8, color=colour, linewidth=0)


if __name__ == "__main__":
    main()
