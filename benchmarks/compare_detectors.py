"""Comparison of detectors on the same labelled songs, in corpora: ranking and harvest per source.

    python benchmarks/compare_detectors.py default runs/other --corpus rock=STEMS --corpus sung=PAIRS --mute 3

NAME=FOLDER names a corpus of songs with four stems or of vocals/accompaniment pairs. A last row is over all corpora.
AUC: area under the ROC curve of P for V <= -20 dB, all windows. *by artist*: the mean over artists with both silent
and sounding windows. *found*: share of the truly silent audio, in spans of 5 s or more, that is harvested at the
lowest threshold with 95% of the harvest silent on these songs (an oracle: it shows what ranking allows, not what a
calibration supports); silence is as rare as in MUSDB18. Use songs that trained no detector.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from remix_miner.calibration.promise.curve import curve_of, measure_harvests
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.artists import read_artists
from remix_miner.calibration.songs.labelled import LabelledSong, label_songs
from remix_miner.calibration.window_table import MUSDB_SILENCE_RATES, windows_of
from remix_miner.datasets.corpora import load_pair_tracks, load_stem_tracks
from remix_miner.datasets.tracks import PairTrack, StemTrack
from remix_miner.detector.loading import load_detector
from remix_miner.detector.purity_curve import PurityCurve
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES

PURITY = 0.95


@dataclasses.dataclass(frozen=True)
class Row:
    """Figures of one source on one corpus; None where they are undefined."""

    artists: int
    auc: float | None
    auc_by_artist: float | None
    worst_artist: str | None
    worst_auc: float | None
    found: float | None
    threshold: float | None


def row_of(songs: Sequence[LabelledSong], source: int, settings: CalibrationSettings) -> Row:
    """Return the figures of one source."""
    windows = windows_of(songs, source, settings.volume_db)
    artists = sorted({song.artist for song in windows.songs})
    areas = {}
    for number, artist in enumerate(artists):
        area = _auc(windows.silent[windows.artists == number], windows.probabilities[windows.artists == number])
        if area is not None:
            areas[artist] = area
    worst = min(areas, key=lambda artist: areas[artist], default=None)
    threshold, found = _oracle(songs, source, settings) if windows.silent.any() else (None, None)
    return Row(
        artists=len(artists),
        auc=_auc(windows.silent, windows.probabilities),
        auc_by_artist=float(np.mean(list(areas.values()))) if areas else None,
        worst_artist=worst,
        worst_auc=None if worst is None else areas[worst],
        found=found,
        threshold=threshold,
    )


def _oracle(songs: Sequence[LabelledSong], source: int, settings: CalibrationSettings) -> tuple[float | None, float]:
    songs = [song for song in songs if song.known(source).any()]
    curve: PurityCurve = curve_of(measure_harvests(songs, source, settings), settings)
    for threshold, purity, recall in zip(curve.threshold, curve.purity, curve.recall, strict=True):
        if purity is not None and purity >= PURITY:
            return threshold, recall
    return None, 0.0


def _auc(silent: np.ndarray, probabilities: np.ndarray) -> float | None:
    return float(roc_auc_score(silent, probabilities)) if 0 < silent.sum() < len(silent) else None


def tracks_of(folder: Path) -> list[StemTrack | PairTrack]:
    """Return the songs of a folder of stems or of pairs."""
    try:
        return list(load_stem_tracks([folder]))
    except DataError:
        return list(load_pair_tracks([folder]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+", metavar="DETECTOR")
    parser.add_argument("--corpus", action="append", required=True, metavar="NAME=FOLDER", help="repeatable")
    parser.add_argument("--artists", type=Path, nargs="*", default=[], metavar="CSV")
    parser.add_argument("--mute", type=int, default=0, help="variants of each song with sources muted at random")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    artists = {track: artist for table in options.artists for track, artist in read_artists(table).items()}
    rates = dict(MUSDB_SILENCE_RATES) if options.mute else {}
    settings = CalibrationSettings(silence_rates=rates, confidence=0.8, worst_artist=0.75)
    found: dict[str, dict[str, dict[str, Row]]] = {}
    for name in options.detectors:
        loaded = load_detector(name)
        corpora: dict[str, list[LabelledSong]] = {}
        for corpus in options.corpus:
            label, _, folder = corpus.partition("=")
            corpora.setdefault(label, []).extend(
                label_songs(loaded.model, tracks_of(Path(folder)), muted_variants=options.mute, artists=artists)
            )
        if len(corpora) > 1:
            corpora["all"] = [song for songs in list(corpora.values()) for song in songs]
        found[name] = {
            label: {
                source: row_of(songs, number, settings)
                for number, source in enumerate(SOURCES)
                if any(song.known(number).any() for song in songs)
            }
            for label, songs in corpora.items()
        }
    if options.json:
        json.dump(found, sys.stdout, default=dataclasses.asdict, indent=1)
        return
    print("| corpus | source | artists | detector | AUC | by artist | worst | found | at p |\n|" + "---|" * 9)
    for label in next(iter(found.values())):
        for source in SOURCES:
            for name in options.detectors:
                row = found[name][label].get(source)
                if row is not None:
                    print(f"| {label} | {source} | {row.artists} | {name} | {_cells(row)} |")


def _cells(row: Row) -> str:
    worst = "-" if row.worst_auc is None else f"{row.worst_auc:.3f} {row.worst_artist}"
    shown = [_text(row.auc, ".3f"), _text(row.auc_by_artist, ".3f"), worst, _text(row.found, ".0%")]
    return " | ".join([*shown, _text(row.threshold, ".3f")])


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


if __name__ == "__main__":
    main()
