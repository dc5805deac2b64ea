"""Example separations of two test songs, with spectrograms: python examples/remix_gain/separated.py small.toml RUNS

takes the fold with the median gain and writes RUNS/separated/<song>/{mixture,vocals,supervised,mined}.wav, a picture of
the four, and their scores.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from differences import GENRES, difference, read_results, scores_of
from matplotlib import mlab, pyplot
from scale import Scale, load_scale
from songs import middle

from remix_miner.atomic import atomic_path, write_json
from remix_miner.audio import Audio, write_audio
from remix_miner.datasets.corpora import load_pair_tracks
from remix_miner.separators.loading import load_separator
from remix_miner.separators.overlap_add import separate

ARMS = ("supervised", "mined")
LOWEST_DB = -80.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", type=Path)
    parser.add_argument("runs", type=Path)
    options = parser.parse_args()
    scale, documents = load_scale(options.scale), read_results(options.runs)
    fold = median_fold(documents)
    seed = scale.seeds[0]
    first = next(each for each in documents if (each["arm"], each["fold"], each["seed"]) == ("mined", fold, seed))
    genres = {values["genre"] for values in first["scores"]["ema"].values()}
    for genre in [genre for genre in GENRES if genre in genres][:2]:
        song = min(name for name, values in first["scores"]["ema"].items() if values["genre"] == genre)
        signals = separate_song(options.runs, fold, seed, song, scale)
        folder = options.runs / "separated" / song
        for name, signal in signals.items():
            write_audio(folder / f"{name}.wav", signal, scale.sample_rate)
        scores = {arm: scores_of(documents, arm, fold, seed, first["half"], "ema")[song] for arm in ARMS}
        write_json(folder / "scores.json", {"fold": fold, "seed": seed, "usdr": scores})
        draw(signals, scores, scale.sample_rate, folder / "spectrograms.png")
        print(folder, fold, {arm: round(value, 2) for arm, value in scores.items()})


def median_fold(documents: list[dict[str, Any]]) -> str:
    """Return the fold with the median gain, the lower one of two."""
    gain = difference(documents, "mined", "supervised")
    if gain is None:
        raise SystemExit("no fold has both arms yet")
    ordered = sorted(gain.folds, key=lambda fold: gain.folds[fold])
    return ordered[(len(ordered) - 1) // 2]


def separate_song(runs: Path, fold: str, seed: int, song: str, scale: Scale) -> dict[str, Audio]:
    """Mixture, reference, and the estimate of each arm's averaged model."""
    (track,) = load_pair_tracks(runs / "songs" / song)
    references = middle(track.read(), round(scale.test_seconds * scale.sample_rate))
    signals = {"mixture": references.sum(axis=0), scale.target: references[0]}
    for arm in ARMS:
        model = load_separator(runs / "runs" / f"{arm}-{fold}-seed{seed}" / "ema")
        signals[arm] = separate(model, signals["mixture"])[model.sources.index(scale.target)].numpy()
    return signals


def draw(signals: dict[str, Audio], scores: dict[str, float], sample_rate: int, path: Path) -> None:
    """Spectrograms, one below the other, on one scale of levels."""
    matplotlib.use("Agg")
    figure, rows = pyplot.subplots(len(signals), 1, figsize=(10, 9), sharex=True, layout="constrained")
    for axes, (name, signal) in zip(rows, signals.items(), strict=True):
        power, frequencies, times = mlab.specgram(signal.mean(axis=0), NFFT=512, Fs=sample_rate, noverlap=384)
        levels = 10 * np.log10(np.maximum(power, 10 ** (LOWEST_DB / 10)))
        axes.pcolormesh(times, frequencies / 1000, levels, vmin=LOWEST_DB, vmax=-20, shading="auto", rasterized=True)
        axes.set_title(f"{name}, uSDR {scores[name]:.2f} dB" if name in scores else name, fontsize="medium")
        axes.set_ylabel("kHz")
    rows[-1].set_xlabel("seconds")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
