"""Sheets of pictures from which a source can be judged by eye: one row of three pictures per piece."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from remix_miner.detector.windows import SAMPLE_RATE

matplotlib.use("Agg")

RANGE_DB = 75
"""The quietest level shown, below the loudest of the picture."""

ZOOM_SECONDS = 2.0
BANDS = {
    "drums": (20, 150, 500, 2000, 8000),
    "bass": (20, 60, 120, 250, 8000),
    "vocals": (80, 300, 1000, 3000, 8000),
}
"""Edges in Hz of the bands whose energies are drawn."""

Mono = Float[np.ndarray, " T"]


def draw_sheet(path: Path, pieces: Sequence[tuple[int, Mono]], source: str) -> None:
    """Draw numbered pieces. Audio is mono at 16 kHz."""
    figure = Figure(figsize=(24, 3.9 * len(pieces)), layout="constrained")
    rows = figure.subplots(len(pieces), 3, squeeze=False)
    for row, (number, audio) in zip(rows, pieces, strict=True):
        ROWS[source](row, audio)
        row[0].set_ylabel(f"{number}", fontsize=26, rotation=0, labelpad=24)
    figure.savefig(path, dpi=66)


def _drums(row: Sequence[Axes], audio: Mono) -> None:
    """Whole piece; energies in bands every 10 ms; two seconds with the most onsets, in windows of 20 ms."""
    _spectrogram(row[0], audio, 640, 80, 40, 8000)
    _energies(row[1], audio, BANDS["drums"], 320)
    start, part = _zoom(audio, 2000, 8000)
    _spectrogram(row[2], part, 320, 32, 40, 8000, start)


def _bass(row: Sequence[Axes], audio: Mono) -> None:
    """Whole piece; 20 to 320 Hz in windows of 256 ms; energies in bands every 10 ms."""
    _spectrogram(row[0], audio, 1024, 128, 40, 8000)
    _spectrogram(row[1], audio, 4096, 160, 20, 320)
    _energies(row[2], audio, BANDS["bass"], 2048)


def _vocals(row: Sequence[Axes], audio: Mono) -> None:
    """Whole piece; harmonics from 80 to 3000 Hz; two seconds with the most changes from 300 to 3000 Hz."""
    _spectrogram(row[0], audio, 1024, 128, 80, 8000)
    _spectrogram(row[1], audio, 1024, 96, 80, 3000, linear=True)
    start, part = _zoom(audio, 300, 3000)
    _spectrogram(row[2], part, 1024, 32, 80, 4500, start, linear=True)


ROWS = {"drums": _drums, "bass": _bass, "vocals": _vocals}


def _spectrogram(
    axes: Axes,
    audio: Mono,
    window: int,
    hop: int,
    low_hz: float,
    high_hz: float,
    start_seconds: float = 0.0,
    *,
    linear: bool = False,
) -> None:
    """Draw levels over time and frequency (logarithmic unless ``linear``); frames of ``window`` samples, padded 4x."""
    power = _power(audio, window, hop, 4 * window)
    edges = np.linspace(low_hz, high_hz, 321) if linear else np.geomspace(low_hz, high_hz, 321)
    bins = edges / SAMPLE_RATE * 4 * window
    # Mean of the bins in each row of the picture, the nearest bin where there is none.
    rows = [power[:, int(lo) : max(int(hi), int(lo) + 1)].mean(1) for lo, hi in itertools.pairwise(bins)]
    level = 10 * np.log10(np.stack(rows) + 1e-12)
    end = start_seconds + len(audio) / SAMPLE_RATE
    axes.imshow(
        level,
        origin="lower",
        aspect="auto",
        extent=(start_seconds, end, 0, len(rows)),
        vmin=level.max() - RANGE_DB,
        vmax=level.max(),
        cmap="magma",
        interpolation="nearest",
    )
    marks = [hertz for hertz in MARKS if low_hz <= hertz <= high_hz and not (linear and hertz % 500)]
    axes.set_yticks(np.interp(marks, edges, np.arange(321)), [f"{hertz:g}" for hertz in marks], fontsize=9)


MARKS = (20, 30, 40, 60, 80, 120, 160, 240, 320, 500, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 8000)


def _energies(axes: Axes, audio: Mono, edges: Sequence[float], window: int) -> None:
    """Draw the level of each band every 10 ms, in dB below the loudest sum of all bands."""
    power = _power(audio, window, 160, window)
    hertz = np.arange(power.shape[1]) * SAMPLE_RATE / window
    bands = [power[:, (hertz >= low) & (hertz < high)].sum(1) for low, high in itertools.pairwise(edges)]
    top = 10 * np.log10(np.sum(bands, axis=0).max() + 1e-12)
    times = np.arange(len(power)) * 0.01
    for band, (low, high) in zip(bands, itertools.pairwise(edges), strict=True):
        axes.plot(times, 10 * np.log10(band + 1e-12) - top, lw=1, label=f"{low:g} to {high:g} Hz")
    axes.set_xlim(0, len(audio) / SAMPLE_RATE)
    axes.set_ylim(-70, 2)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8, ncols=2)


def _zoom(audio: Mono, low_hz: float, high_hz: float) -> tuple[float, Mono]:
    """Return start and audio of the `ZOOM_SECONDS` in which the levels from ``low_hz`` to ``high_hz`` rise most."""
    power = _power(audio, 320, 160, 320)
    hertz = np.arange(power.shape[1]) * SAMPLE_RATE / 320
    level = np.log10(power[:, (hertz >= low_hz) & (hertz < high_hz)] + power.max() * 1e-7 + 1e-12)
    rise = np.maximum(np.diff(level, axis=0), 0).sum(1)
    steps = int(ZOOM_SECONDS * 100)
    if len(rise) <= steps:
        return 0.0, audio
    total = np.concatenate(([0.0], np.cumsum(rise)))
    at = int(np.argmax(total[steps:] - total[:-steps]))
    return at / 100, audio[at * 160 : (at + steps) * 160]


def _power(audio: Mono, window: int, hop: int, padded: int) -> Float[np.ndarray, "N F"]:
    """Return the power spectrum of frames centred at every ``hop`` samples, each padded with zeros to ``padded``."""
    audio = np.pad(audio, (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(audio, window)[: len(audio) - window - window // 2 + 1 : hop]
    spectrum: np.ndarray = np.abs(np.fft.rfft(frames * np.hanning(window), padded)) ** 2
    return spectrum
