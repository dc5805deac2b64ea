"""Measurements of each instrument of the tracker modules, from which ``tracker_instruments.csv`` was labelled.

    python instrument_features.py UNPACKED features.csv [--sheets FOLDER] [--only SONG ...]

Each instrument is rendered alone, as the song plays it. The sheets are spectrograms of the twelve fullest seconds of
each instrument (40 Hz to 8 kHz, 45 dB), one image a song.
"""

import argparse
import csv
import sys
from itertools import pairwise
from pathlib import Path

import librosa
import numpy as np
from openmpt import opened, rendered
from tracker_modules import Song, instruments, songs

SAMPLE_RATE = 16000
BLOCK = 160  # 10 ms
FFT, HOP = 2048, 2048
LOUD_DB = -20.0  # below the loudest frame
SOUNDING_DB = -30.0
EDGES_HZ = (28, 60, 120, 250, 500, 2000, 8000)
SHEET_SECONDS = 12
TABLE_FIELDS = ("song", "number", "text", "label")
FIELDS = (*TABLE_FIELDS, "notes", "level_db", "sounding", "strokes", "decay", "lowest_hz", "flatness")


def strokes(audio: np.ndarray) -> tuple[int, float]:
    """Return the number of strokes and the median seconds from a stroke's peak until it has lost 20 dB.

    A stroke is a block of 10 ms within 12 dB of the loudest, twice as strong as 30 ms before. One that the next
    stroke cuts off ends there. Without strokes the seconds are nan.
    """
    envelope = np.sqrt(np.square(audio[: len(audio) // BLOCK * BLOCK]).reshape(-1, BLOCK).mean(axis=1))
    strong = (envelope[3:-1] > envelope.max() / 4) & (envelope[3:-1] > 2 * envelope[:-4])
    peaks = np.flatnonzero(strong & (envelope[3:-1] >= envelope[4:])) + 3
    starts = [int(p) for i, p in enumerate(peaks) if i == 0 or p - peaks[i - 1] > 5]
    ends = [*starts[1:], len(envelope)]
    lengths = []
    for start, end in zip(starts, ends, strict=False):
        quiet = np.flatnonzero(envelope[start:end] < 0.1 * envelope[start])
        lengths.append((quiet[0] if len(quiet) else end - start) * BLOCK / SAMPLE_RATE)
    return len(starts), float(np.median(lengths)) if lengths else float("nan")


def features(audio: np.ndarray, mixture_power: float) -> dict[str, float]:
    """Return what is measured of one instrument, (T) at `SAMPLE_RATE`.

    ``lowest_hz`` is the lowest frequency with a tenth of the energy below it, ``flatness`` the spectral flatness
    (0 tone, 1 white noise) of the loud frames, both medians.
    """
    hertz = librosa.fft_frequencies(sr=SAMPLE_RATE, n_fft=FFT)
    power = np.square(np.abs(librosa.stft(audio, n_fft=FFT, hop_length=HOP, center=False)))[hertz >= EDGES_HZ[0]]
    hertz = hertz[hertz >= EDGES_HZ[0]]
    energy = power.sum(axis=0)
    loud = power[:, energy > energy.max() * 10 ** (LOUD_DB / 10)]
    reached = np.cumsum(loud, axis=0) >= 0.1 * loud.sum(axis=0)
    count, decay = strokes(audio)
    shares = {
        f"to_{high}": float(power[(hertz >= low) & (hertz < high)].sum() / power.sum())
        for low, high in pairwise(EDGES_HZ)
    }
    return {
        "level_db": float(10 * np.log10(np.square(audio).mean() / mixture_power)),
        "sounding": float((energy > energy.max() * 10 ** (SOUNDING_DB / 10)).mean()),
        "strokes": count,
        "decay": decay,
        "lowest_hz": float(np.median(hertz[reached.argmax(axis=0)])),
        "flatness": float(np.median(np.exp(np.log(loud + 1e-12).mean(axis=0)) / loud.mean(axis=0))),
        **shares,
    }


def fullest(audio: np.ndarray) -> np.ndarray:
    """Return the `SHEET_SECONDS` of most energy as a spectrogram in dB, 48 bands by frames."""
    mel = librosa.feature.melspectrogram(y=audio, sr=SAMPLE_RATE, n_fft=FFT, hop_length=HOP // 2, n_mels=48, fmin=40)
    width = min(SHEET_SECONDS * SAMPLE_RATE // (HOP // 2), mel.shape[1])
    start = int(np.convolve(mel.sum(axis=0), np.ones(width), "valid").argmax())
    return librosa.power_to_db(mel[:, start : start + width], ref=np.max, top_db=45)


def sheet(path: Path, pictures: dict[str, np.ndarray], columns: int = 6) -> None:
    from matplotlib.figure import Figure

    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(3.2 * columns, 1.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis, (title, picture) in zip(axes, pictures.items(), strict=False):
        axis.imshow(picture, origin="lower", aspect="auto", cmap="magma")
        axis.set_title(title, fontsize=8)
        axis.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def measured(song: Song, path: Path, sheets: Path | None) -> list[dict[str, object]]:
    mixture_power = float(np.square(rendered(path, None, song.seconds, SAMPLE_RATE).mean(axis=1)).mean())
    with opened(path.read_bytes()) as module:
        notes = {number: len(set(played)) for number, played in module.notes().items()}
    out, pictures = [], {}
    for row in (row for row in instruments() if row["song"] == song.name):
        number = int(row["number"])
        audio = rendered(path, {number}, song.seconds, SAMPLE_RATE).mean(axis=1)
        if not np.any(np.abs(audio) > 1e-4):
            continue
        values = {key: float(f"{value:.3g}") for key, value in features(audio, mixture_power).items()}
        row = {key: row[key] for key in TABLE_FIELDS}
        out.append({**row, "notes": notes.get(number, 0), **values})
        if sheets is not None:
            pictures[f"{number} {row['text'][:16]} {row['label']}"] = fullest(audio)
    if sheets is not None:
        sheet(sheets / f"{song.name}.png", pictures)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", type=Path, metavar="UNPACKED")
    parser.add_argument("out", type=Path, metavar="features.csv")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--only", nargs="+", metavar="SONG")
    options = parser.parse_args()
    with options.out.open("w", encoding="utf-8", newline="") as file:
        fields = [*FIELDS, *(f"to_{high}" for high in EDGES_HZ[1:])]
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        for song in songs():
            if not options.only or song.name in options.only:
                writer.writerows(measured(song, options.modules / song.file, options.sheets))
                print(song.name, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
