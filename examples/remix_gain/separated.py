"""Example separations of two test songs, with spectrograms: python examples/remix_gain/separated.py small.toml RUNS

takes the fold with the median gain of a target and writes RUNS/<target>/separated/<song>/: the mixture, the reference,
the estimates without and with mined music, a picture of the four, and their scores.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from differences import GENRES, Document, difference, read_results, scores_of
from matplotlib import mlab, pyplot
from scale import Scale, load_scale
from songs import Song, middle

from remix_miner.atomic import atomic_path, write_json
from remix_miner.audio import Audio, write_audio
from remix_miner.separators.loading import load_separator
from remix_miner.separators.overlap_add import separate

ARMS = ("control", "mined-by-track")
LOWEST_DB = -80.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--target", default="vocals")
    parser.add_argument("--arms", nargs=2, default=ARMS, help="the one without and the one with mined music")
    options = parser.parse_args()
    scale, runs = load_scale(options.scale), options.runs / options.target
    documents = read_results(runs)
    fold = median_fold(documents, *options.arms)
    first = next(each for each in documents if (each["arm"], each["fold"]) == (options.arms[1], fold))
    rows = first["scores"]["ema"]
    genres = [genre for genre in GENRES if any(values["genre"] == genre for values in rows.values())]
    for genre in genres[:2]:
        song = min(name for name, values in rows.items() if values["genre"] == genre)
        names = {arm: f"{arm}-{fold}-seed{first['seed']}" for arm in options.arms}
        models = {arm: runs / "runs" / name / "ema" for arm, name in names.items()}
        found = Song(song, "", genre, None, runs / "songs" / song, options.target)
        signals = separate_song(found, models, scale)
        folder = runs / "separated" / song
        for name, signal in signals.items():
            write_audio(folder / f"{name}.wav", signal, scale.sample_rate)
        scores = {arm: scores_of(documents, arm, fold, first["seed"], first["half"])[song] for arm in options.arms}
        write_json(folder / "scores.json", {"fold": fold, "seed": first["seed"], "usdr": scores})
        draw(signals, scores, scale.sample_rate, folder / "spectrograms.png")
        print(folder, fold, {arm: round(value, 2) for arm, value in scores.items()})


def median_fold(documents: list[Document], without: str, mined: str) -> str:
    """Return the fold with the median gain, the lower one of two."""
    gain = difference(documents, mined, without)
    if gain is None:
        raise SystemExit(f"no fold has both {without} and {mined} yet")
    ordered = sorted(gain.folds, key=lambda fold: gain.folds[fold])
    return ordered[(len(ordered) - 1) // 2]


def separate_song(song: Song, models: dict[str, Path], scale: Scale) -> dict[str, Audio]:
    """Mixture, reference, and the estimate of each model."""
    references = middle(song.read(), round(scale.test_seconds * scale.sample_rate))
    signals = {"mixture": references.sum(axis=0), song.target: references[0]}
    for arm, folder in models.items():
        model = load_separator(folder)
        signals[arm] = separate(model, signals["mixture"])[model.sources.index(song.target)].numpy()
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
