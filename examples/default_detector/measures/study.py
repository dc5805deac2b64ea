"""Study: do measures of the signal rank silence of bass or drums better, together with the network's logit?

    python examples/default_detector/measures/study.py default --corpus recorded=STEMS --corpus modules=TRACKERS \\
        --artists examples/default_detector/artists.csv --mute 3 --source bass

NAME=FOLDER names a kind of songs with stems, none of which may have trained the detector. In each kind, artists are
ordered by the SHA-256 of their name, and every third one is kept back. *compared*: the other artists, each by a model
of the rest of them. *kept back*: by a model of all compared ones. *all*: every artist by a model of all others.

AUC: over all windows, and its mean over artists with the difference to the network alone and a 95% bootstrap interval
over artists. *as they are*: AUC without the muted variants. *pure*, *found*: of the harvest of artists left out of the
choice of the threshold, at the promise of 95% and 50% confidence. For bass a second table divides its silence by the
level of the stem `other` at 30 to 130 Hz. Results on the background page of the detector.
"""

import argparse
import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.special import expit, logit
from signal_measures import low_level_of, measures
from sklearn.metrics import roc_auc_score
from small_models import BOOSTED, SETS, Row, fitted, inputs_of

from remix_miner.calibration.intervals import BootstrapSettings, estimate, resampled
from remix_miner.calibration.promise.curve import measure_harvests
from remix_miner.calibration.promise.left_out import left_out
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.artists import read_artists
from remix_miner.calibration.songs.labelled import LabelledSong, label_songs, mono_stems
from remix_miner.calibration.songs.muting import muted
from remix_miner.calibration.window_table import MUSDB_SILENCE_RATES
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.tracks import StemTrack
from remix_miner.detector.evidence import DETECTOR_EDGE
from remix_miner.detector.loading import load_detector
from remix_miner.detector.windows import SAMPLE_RATE
from remix_miner.progress import track as progress
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB

SETTINGS = CalibrationSettings(silence_rates=MUSDB_SILENCE_RATES, confidence=0.5, worst_artist=0.75)
CONTEXT_WINDOWS = 63
OTHER_LEVELS_DB = (-np.inf, -25, -15, -10, -5, np.inf)
DRAWS = 2000


def row_of(song: LabelledSong, kind: str, source: str, stems: np.ndarray) -> Row:
    """Return ``song`` with its inputs; ``stems`` are its sources at 16 kHz."""
    mono = stems.sum(axis=0)
    clipped = np.clip(song.probabilities.astype(np.float64), DETECTOR_EDGE, 1 - DETECTOR_EDGE)
    logits = {f"logit_{name}": values for name, values in zip(SOURCES, logit(clipped), strict=True)}
    own = logits[f"logit_{source}"]
    context = {
        "mean": uniform_filter1d(own, CONTEXT_WINDOWS, mode="nearest"),
        "least": minimum_filter1d(own, CONTEXT_WINDOWS, mode="nearest"),
    }
    other = {"other_low": low_level_of(stems[SOURCES.index("other")], mono)}
    return Row(song, kind, measures(mono) | logits | context | other)


def rows_of(tracks: Sequence[StemTrack], songs: Sequence[LabelledSong], kind: str, source: str) -> list[Row]:
    """Return the rows of ``songs``: of each track as it is, and of its muted variants in the order of `label_songs`."""
    rows, variants = [], len(songs) // len(tracks)
    for number, song in enumerate(progress(songs, f"measures of {kind}")):
        stems, variant = mono_stems(tracks[number // variants]), number % variants
        if variant:
            stems = muted(stems, SAMPLE_RATE, np.random.default_rng([0, variant, *song.name.encode()]))
        rows.append(row_of(song, kind, source, stems))
    return rows


def kept_back(rows: Sequence[Row]) -> set[str]:
    """Return every third artist of each kind."""
    back: set[str] = set()
    for kind in {row.kind for row in rows}:
        artists = {row.song.artist for row in rows if row.kind == kind}
        back |= set(sorted(artists, key=lambda artist: hashlib.sha256(artist.encode()).hexdigest())[::3])
    return back


def predicted(rows: Sequence[Row], fitting: Callable[[str], list[Row]], source: str, chosen: str) -> list[LabelledSong]:
    """Return the songs of ``rows`` with the probabilities of a model of the ``fitting`` rows for their artist."""
    songs = {}
    models: dict[tuple[int, ...], Any] = {}
    for artist in sorted({row.song.artist for row in rows}):
        others = fitting(artist)
        key = tuple(map(id, others))
        if key not in models:
            models[key] = fitted(others, source, chosen)
        model = models[key]
        for row in rows:
            if row.song.artist == artist:
                probabilities = row.song.probabilities.copy()
                values = model.decision_function(row.stacked(inputs_of(source, chosen)))
                probabilities[SOURCES.index(source)] = expit(values)
                songs[id(row)] = dataclasses.replace(row.song, probabilities=probabilities)
    return [songs[id(row)] for row in rows]


def auc(songs: Sequence[LabelledSong], source: int) -> float:
    """Return the area under the ROC curve over all windows; nan where only one class is there."""
    silent = np.concatenate([song.volumes[source][song.known(source)] <= SILENT_MINING_DB for song in songs])
    values = np.concatenate([song.probabilities[source][song.known(source)] for song in songs])
    return float(roc_auc_score(silent, values)) if 0 < silent.sum() < len(silent) else float("nan")


def cells(songs: Sequence[LabelledSong], alone: Sequence[LabelledSong], natural: Sequence[bool], source: str) -> str:
    """Return the figures of ``songs`` against ``alone``, the network's, as cells of a table."""
    number = SOURCES.index(source)
    names = sorted({song.artist for song in songs})
    after, before = (
        np.array([auc([song for song in each if song.artist == name], number) for name in names])
        for each in (songs, alone)
    )
    change = (after - before)[np.isfinite(after)]
    bootstrap = BootstrapSettings()
    times = resampled(len(change), bootstrap)
    found = estimate(times @ change / len(change), len(change), bootstrap)
    counts = measure_harvests(songs, number, SETTINGS).counts()
    targets = (SETTINGS.precision,)
    row = left_out(counts, SETTINGS, MUSDB_SILENCE_RATES[source], targets, DRAWS)[0]
    shares = " | ".join("-" if share is None else f"{share:.1%}" for share in (row.purity, row.found))
    as_they_are = auc([song for song, keep in zip(songs, natural, strict=True) if keep], number)
    interval = "-" if found.low is None else f"{change.mean():+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
    area = f"{auc(songs, number):.4f} | {np.nanmean(after):.4f}"
    return f"{area} | {'-' if songs is alone else interval} | {as_they_are:.4f} | {shares}"


def report(rows: Sequence[Row], source: str, variants: int, boost: bool) -> None:
    """Print a table for the compared artists, those kept back, and all."""
    back = kept_back(rows)
    compared = [row for row in rows if row.song.artist not in back]
    natural = {id(row): number % variants == 0 for number, row in enumerate(rows)}
    parts: dict[str, tuple[list[Row], Callable[[str], list[Row]]]] = {
        "compared": (compared, lambda artist: [row for row in compared if row.song.artist != artist]),
        "kept back": ([row for row in rows if row.song.artist in back], lambda _: compared),
        "all": (list(rows), lambda artist: [row for row in rows if row.song.artist != artist]),
    }
    print(f"| {source} | AUC | mean | difference | as they are | pure | found |\n" + "|---" * 7 + "|")
    for part, (some, fitting) in parts.items():
        alone = [row.song for row in some]
        flags = [natural[id(row)] for row in some]
        print(f"| {part}: network alone | {cells(alone, alone, flags, source)} |", flush=True)
        for chosen in SETS[source]:
            if chosen != BOOSTED or boost:
                songs = predicted(some, fitting, source, chosen)
                print(f"| {part}: {chosen} | {cells(songs, alone, flags, source)} |", flush=True)


def report_other(rows: Sequence[Row]) -> None:
    """Print the AUC of the network for parts of the silence of bass, each against all windows in which bass sounds."""
    source = SOURCES.index("bass")
    known = [row.song.known(source) for row in rows]
    values, volumes, level = (
        np.concatenate([of(row)[mask] for row, mask in zip(rows, known, strict=True)])
        for of in (
            lambda row: row.song.probabilities[source],
            lambda row: row.song.volumes[source],
            lambda row: row.inputs["other_low"],
        )
    )
    silent = volumes <= SILENT_MINING_DB
    print("\n| `other` at 30 to 130 Hz, dB | share of the silence of bass | AUC |\n|---|---|---|")
    for least, below in itertools.pairwise(OTHER_LEVELS_DB):
        part = silent & (level >= least) & (level < below)
        if part.any() and not silent.all():
            area = roc_auc_score(part[part | ~silent], values[part | ~silent])
            print(f"| {least:g} to {below:g} | {part.sum() / silent.sum():.1%} | {area:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector")
    parser.add_argument("--corpus", action="append", required=True, metavar="NAME=FOLDER", help="repeatable")
    parser.add_argument("--artists", type=Path, required=True, metavar="CSV")
    parser.add_argument("--mute", type=int, default=3, help="variants of each song with sources muted at random")
    parser.add_argument("--source", choices=list(SETS), default="bass")
    parser.add_argument("--boost", action="store_true", help="also fit the boosted model")
    options = parser.parse_args()
    artists, model = read_artists(options.artists), load_detector(options.detector).model
    rows = []
    for corpus in options.corpus:
        kind, _, folder = corpus.partition("=")
        tracks = load_stem_tracks([Path(folder)])
        songs = label_songs(model, tracks, muted_variants=options.mute, artists=artists)
        rows += rows_of(tracks, songs, kind, options.source)
    report(rows, options.source, options.mute + 1, options.boost)
    if options.source == "bass":
        report_other(rows)


if __name__ == "__main__":
    main()
