"""Picture of one song: spectrogram, the four P_i over time, harvested spans, and true volumes."""

from typing import Any

import numpy as np

from remix_miner.detector.windows import HOP_SECONDS, SAMPLE_RATE
from remix_miner.figures.predicted_song import PredictedSong
from remix_miner.figures.style import FAINT, INK, SOURCE_COLOURS, figure, title
from remix_miner.sources import SOURCES

WIDTH = 9.0
SPECTROGRAM_HEIGHT, PROBABILITY_HEIGHT, VOLUME_HEIGHT = 1.9, 0.95, 0.75
FFT_FRAMES = 1024
MEL_BANDS = 96
MOST_COLUMNS = 1200
LOWEST_DB = -50.0


def song_figure(song: PredictedSong, *, volume_db: float = -20.0) -> Any:
    """Draw one song; the spans of sources with a threshold are shaded."""
    volumes, probabilities = song.volumes, song.probabilities
    known = [volumes is not None and not np.isnan(volumes[source]).all() for source in range(len(SOURCES))]
    heights = [SPECTROGRAM_HEIGHT]
    for has_truth in known:
        heights += [PROBABILITY_HEIGHT, VOLUME_HEIGHT] if has_truth else [PROBABILITY_HEIGHT]
    made, axes = figure(WIDTH, sum(heights) + 0.6, rows=len(heights), heights=heights, sharex=True)
    spectrogram(axes[0], song.mono)
    title(axes[0], song.name)
    panels = iter(axes[1:])
    times = np.arange(probabilities.shape[1]) * HOP_SECONDS
    for source, source_name in enumerate(SOURCES):
        axis, colour, threshold = next(panels), SOURCE_COLOURS[source_name], song.thresholds.get(source_name)
        spans = song.spans.get(source_name, ())
        if threshold is not None:
            axis.axhline(threshold, color=INK, linewidth=0.8, linestyle="--")
        axis.plot(times, probabilities[source], color=colour, linewidth=0.9)
        axis.set_ylim(-0.04, 1.04)
        axis.set_yticks([0, 1])
        axis.set_ylabel(source_name, color=colour, rotation=0, ha="right", va="center")
        if known[source]:
            assert volumes is not None
            truth = next(panels)
            _volume(truth, times, volumes[source], colour, volume_db)
            for span in spans:  # edges only: a shade could be taken for the volume
                for edge in (span.start_seconds, span.end_seconds):
                    truth.axvline(edge, color=INK, linewidth=0.8, linestyle=":")
        for span in spans:
            axis.axvspan(span.start_seconds, span.end_seconds, color=colour, alpha=0.2, linewidth=0)
        harvested = sum(span.seconds for span in spans)
        note = f"harvested {harvested:.0f} s" if threshold is not None else "not harvested: no threshold"
        axis.text(1.0, 1.02, note, transform=axis.transAxes, ha="right", va="bottom", fontsize=8, color=colour)
    time_axis(axes[-1], song.seconds)
    truth_legend = "; V: true volume relative to the mixture" if any(known) else ""
    axes[-1].set_xlabel(f"time (min:s). Lines: probability of silence, dashed its threshold{truth_legend}")
    return made


def time_axis(axis: Any, seconds: float) -> None:
    """Set the limits and ticks of a horizontal axis in seconds, shown as min:s."""
    axis.set_xlim(0, max(seconds, HOP_SECONDS))
    axis.xaxis.set_major_locator(_time_ticks(seconds))
    axis.xaxis.set_major_formatter(lambda value, _: f"{int(value) // 60}:{int(value) % 60:02d}")


def _time_ticks(seconds: float) -> Any:
    """Return a locator of at most ten ticks, in steps of 1 s to 1 h."""
    from matplotlib.ticker import MultipleLocator

    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    return MultipleLocator(next((step for step in steps if seconds / step <= 10), 3600))


def spectrogram(axis: Any, mono: np.ndarray) -> None:
    """Draw the mel spectrogram of mono audio at 16 kHz."""
    import librosa

    if len(mono) >= FFT_FRAMES:
        hop = max(FFT_FRAMES // 4, -(-len(mono) // MOST_COLUMNS))
        power = librosa.feature.melspectrogram(
            y=mono, sr=SAMPLE_RATE, n_fft=max(FFT_FRAMES, hop), hop_length=hop, n_mels=MEL_BANDS
        )
        level = librosa.power_to_db(power, ref=max(float(power.max()), 1e-10), top_db=70)
        times = np.arange(power.shape[1]) * hop / SAMPLE_RATE
        axis.pcolormesh(times, np.arange(MEL_BANDS), level, cmap="magma", shading="nearest", rasterized=True)
    frequencies = librosa.mel_frequencies(n_mels=MEL_BANDS, fmax=SAMPLE_RATE / 2)
    wanted = (100, 500, 2000, 8000)
    axis.set_yticks(np.interp(wanted, frequencies, np.arange(MEL_BANDS)), ["100", "500", "2k", "8k Hz"])


def _volume(axis: Any, times: np.ndarray, volumes: np.ndarray, colour: str, volume_db: float) -> None:
    shown = np.where(np.isnan(volumes), np.nan, np.clip(volumes, LOWEST_DB, 5))
    axis.fill_between(times, LOWEST_DB, shown, color=colour, alpha=0.35, linewidth=0)
    axis.axhline(volume_db, color=FAINT, linewidth=0.8)
    axis.set_ylim(LOWEST_DB, 5)
    axis.set_yticks([volume_db, 0], [f"V {volume_db:g}", "0 dB"], fontsize=7)
