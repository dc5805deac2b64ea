"""The harvest study (Défossez et al. 2019, sections 4.1 and 4.2): V against P, thresholds, the five-second rule, hours.

On labelled songs with the detector's probabilities: the threshold p_i of the paper's rule (at least 95% of the windows
with P_i >= p_i have V_i <= -20 dB, without a confidence bound), what spans of at least 5 s keep, and the 95th
percentile of V before and after. Hours come from a mined folder. Intervals are over artists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from remix_miner.calibration.fit import calibrate_source
from remix_miner.calibration.harvest import HarvestRule, harvest
from remix_miner.calibration.promise.curve import not_trained_on
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.window_table import SourceWindows, weighted_quantile, windows_of
from remix_miner.mined.inspection import inspect_folder
from remix_miner.sources import SOURCES

NAME = "harvest"
PAPER = "Défossez et al. 2019, sections 4.1, 4.2 and 5.1"
QUESTION = "Does the span rule purify what a threshold accepts, and how much of a library is harvested?"
KEPT, BEFORE_DB, AFTER_DB = 0.5, -20.0, -30.0
"""Section 4.2: 5 s reduce the data by about half, and the 95th percentile of V from -20 to -30 dB."""
LIBRARY_SHARE = 1.5 / 4.5
"""Section 5.1: 1.5 of 4.5 days without drums, bass or vocals, with overlaps."""
DRAWS, CONFIDENCE = 1000, 0.95
BINS = 12


def measure(songs: Sequence[LabelledSong], mined: Path | None = None) -> dict[str, Any]:
    """Return the study's document: per source what was measured, and the verdict on each claim."""
    settings = CalibrationSettings(bound="none")
    judged = not_trained_on(songs)
    sources = {
        name: _source(judged, row, settings)
        for row, name in enumerate(SOURCES)
        if any(song.known(row).any() for song in judged)
    }
    hours = None if mined is None else _hours(mined)
    claims = [claim for name, found in sources.items() for claim in _claims(name, found)]
    return {
        "study": NAME,
        "paper": PAPER,
        "question": QUESTION,
        "settings": asdict(settings),
        "songs": len({song.name for song in judged}),
        "artists": len({song.artist for song in judged}),
        "left_out": len({song.name for song in songs}) - len({song.name for song in judged}),
        "trained_on": sum(song.trained_on for song in judged) > 0,
        "sources": sources,
        "library": hours,
        "claims": claims,
    }


def _source(songs: Sequence[LabelledSong], row: int, settings: CalibrationSettings) -> dict[str, Any]:
    fitted = calibrate_source(songs, row, settings)
    windows = windows_of([song for song in songs if song.known(row).any()], row, settings.volume_db)
    found: dict[str, Any] = {
        "threshold": fitted.threshold,
        "reason": fitted.reason,
        "precision": fitted.precision,
        "recall": fitted.recall,
        "silence_rate": windows.silence_rate,
        "correlation": _interval(windows, _correlation, np.ones(len(windows), dtype=bool)),
        "volume_against_probability": _bins(windows),
    }
    if fitted.threshold is None or fitted.spans is None:
        return found
    accepted = windows.probabilities >= fitted.threshold
    kept = harvest(windows, HarvestRule(fitted.threshold, settings.min_seconds)).kept

    def share(weights: Float[np.ndarray, " N"]) -> float:
        return float(weights[kept].sum() / weights[accepted].sum()) if weights[accepted].sum() else float("nan")

    def fall(weights: Float[np.ndarray, " N"]) -> float:
        after, before = (weighted_quantile(windows.volumes[mask], weights[mask], 0.95) for mask in (kept, accepted))
        return float("nan") if after is None or before is None else after - before

    return found | {
        "kept": _interval(windows, lambda _, weights: share(weights), accepted),
        "p95_before_db": fitted.spans.before.p95,
        "p95_after_db": fitted.spans.after.p95,
        "fall_db": _interval(windows, lambda _, weights: fall(weights), kept),
        "seconds": fitted.spans.seconds,
        "labelled_seconds": fitted.spans.labelled_seconds,
    }


def _interval(windows: SourceWindows, statistic: Any, needed: Bool[np.ndarray, " N"]) -> dict[str, float | None]:
    """Return a statistic of windows and weights, with its 95% bootstrap interval over the artists that have windows."""
    artists = np.unique(windows.artists[needed])
    rng, values = np.random.default_rng(0), []
    for _ in range(DRAWS if len(artists) > 1 else 0):
        counts = np.bincount(rng.choice(artists, len(artists)), minlength=int(windows.artists.max()) + 1)
        values.append(statistic(windows, windows.weights * counts[windows.artists]))
    known = [value for value in values if np.isfinite(value)]
    mean = statistic(windows, windows.weights)
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]) if known else (np.nan, np.nan)
    figures = {"mean": mean, "low": low, "high": high}
    return {name: float(value) if np.isfinite(value) else None for name, value in figures.items()} | {
        "artists": len(artists)
    }


def _correlation(windows: SourceWindows, weights: Float[np.ndarray, " N"]) -> float:
    """Return Spearman's rank correlation of P and V, weighted."""
    ranks = [_ranks(values) for values in (windows.probabilities, windows.volumes)]
    if not weights.sum():
        return float("nan")
    first, second = (values - np.average(values, weights=weights) for values in ranks)
    scale = np.sqrt(np.average(first**2, weights=weights) * np.average(second**2, weights=weights))
    return float(np.average(first * second, weights=weights) / scale) if scale else float("nan")


def _ranks(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return the mean rank of each value; ties share it."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Float[np.ndarray, " N"] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _bins(windows: SourceWindows) -> list[dict[str, float]]:
    """Return the median, quartiles and 95th percentile of V over bins of P with equally many windows."""
    edges = np.unique(np.quantile(windows.probabilities, np.linspace(0, 1, BINS + 1)))
    rows = []
    for low, high in pairwise(edges):
        inside = (windows.probabilities >= low) & (windows.probabilities <= high)
        volumes = windows.volumes[inside]
        quantiles = dict(zip(("p25", "p50", "p75", "p95"), np.quantile(volumes, [0.25, 0.5, 0.75, 0.95]), strict=True))
        rows.append(
            {"probability": float(np.median(windows.probabilities[inside]))}
            | {name: float(value) for name, value in quantiles.items()}
        )
    return rows


def _hours(mined: Path) -> dict[str, Any]:
    found = inspect_folder(mined)
    total = found.seconds_scanned / 3600
    return {
        "hours": total,
        "sources": {
            name: {"hours": totals["seconds"] / 3600, "share": totals["seconds"] / 3600 / total if total else None}
            for name, totals in found.sources.items()
        },
    }


def _claims(name: str, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the verdicts on a source's claims: an interval on the stated side of its limit agrees."""
    claims = [
        _judged(f"{name}: V falls as P rises (rank correlation)", "section 4.1", found["correlation"], None, below=0.0)
    ]
    if "kept" in found:
        claims += [
            _judged(f"{name}: spans of 5 s keep less than all", "section 4.2", found["kept"], KEPT, below=1.0),
            _judged(f"{name}: spans of 5 s lower the 95th percentile of V, dB", "section 4.2", found["fall_db"],
                    AFTER_DB - BEFORE_DB, below=0.0),
        ]  # fmt: skip
    return claims


def _judged(
    text: str, where: str, value: Mapping[str, Any], published: float | None, *, below: float
) -> dict[str, Any]:
    outcome = "undecided"
    if value["high"] is not None and value["high"] < below:
        outcome = "agrees"
    elif value["low"] is not None and value["low"] > below:
        outcome = "disagrees"
    return {"text": text, "where": where, "published": published, **value, "outcome": outcome}
