"""Differences between arms, paired by fold and seed, with bootstrap intervals over folds and test artists."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

DRAWS = 10_000
GENRES = ("karaoke", "rock", "demo")

Table = Float64[np.ndarray, "folds units"]
Document = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """Mean over folds of the mean over test songs, in dB, its 95% interval, and the folds' own means."""

    mean: float
    low: float
    high: float
    folds: dict[str, float]

    def text(self) -> str:
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def read_results(folder: Path) -> list[Document]:
    """Return the results of one target, below ``folder``/results."""
    return [json.loads(path.read_text()) for path in sorted((folder / "results").glob("*.json"))]


def scores_of(documents: list[Document], arm: str, fold: str, seed: int, half: int) -> dict[str, float]:
    """Return the uSDR by test song of one run, empty if it does not exist. A ceiling is its half's longest run."""
    value = "usdr"
    if arm == "mixture":
        arm, value = _every_fold(documents), "mixture_usdr"
    if arm == "ceiling":
        found = [each for each in documents if each["arm"] == "ceiling" and each["half"] == half]
        found = sorted(found, key=lambda each: each["epochs"])[-1:]
    else:
        found = [each for each in documents if (each["arm"], each["fold"], each["seed"]) == (arm, fold, seed)]
    if not found:
        return {}
    return {song: values[value] for song, values in found[0]["scores"]["ema"].items()}


def _every_fold(documents: list[Document]) -> str:
    """Return the arm that every fold has: the control, or supervised training where there is none."""
    return "control" if any(each["arm"] == "control" for each in documents) else "supervised"


def units_of(documents: list[Document]) -> dict[str, tuple[str, str]]:
    """Test song -> genre and the unit that the bootstrap draws: the singer, or the song outside karaoke."""
    units = {}
    for document in documents:
        for song, values in document["scores"]["ema"].items():
            units[song] = (values["genre"], values["artist"] if values["genre"] == "karaoke" else song)
    return units


def folds_of(documents: list[Document], arm: str) -> list[tuple[str, int, int]]:
    """Fold, seed and half of each run of an arm; a ceiling serves every fold of its half."""
    if arm == "mixture":
        arm = _every_fold(documents)
    if arm == "ceiling":
        halves = {each["half"] for each in documents if each["arm"] == "ceiling"}
        return [each for each in folds_of(documents, _every_fold(documents)) if each[2] in halves]
    return sorted({(each["fold"], each["seed"], each["half"]) for each in documents if each["arm"] == arm})


def table_of(documents: list[Document], arm: str, baseline: str | None, genre: str | None) -> tuple[list[str], Table]:
    """Folds, and per fold and unit the mean score, or difference to ``baseline``; nan where a fold did not test it.

    Only runs that both arms made count; seeds of a fold are averaged.
    """
    units = units_of(documents)
    wanted = sorted({unit for its_genre, unit in units.values() if genre in (None, its_genre)})
    runs = folds_of(documents, arm)
    if baseline is not None:
        runs = [each for each in runs if each in folds_of(documents, baseline)]
    folds = sorted({fold for fold, _, _ in runs})
    values: list[list[list[float]]] = [[[] for _ in wanted] for _ in folds]
    for fold, seed, half in runs:
        scores = scores_of(documents, arm, fold, seed, half)
        base = scores_of(documents, baseline, fold, seed, half) if baseline is not None else {}
        for song, score in scores.items():
            if units[song][1] in wanted:
                values[folds.index(fold)][wanted.index(units[song][1])].append(score - base.get(song, 0.0))
    table = [[float(np.mean(cell)) if cell else float("nan") for cell in row] for row in values]
    return folds, np.array(table, dtype=np.float64).reshape(len(folds), len(wanted))


def difference(
    documents: list[Document], arm: str, baseline: str | None = None, genre: str | None = None
) -> Difference | None:
    """Return ``arm`` minus ``baseline`` on the songs of a genre, or on all; None if no fold has both."""
    folds, table = table_of(documents, arm, baseline, genre)
    known = ~np.isnan(table)
    kept = known.any(axis=1) if table.size else np.zeros(0, dtype=bool)
    if not kept.any():
        return None
    table, known = table[kept], known[kept]
    names = [fold for fold, keep in zip(folds, kept, strict=True) if keep]
    means = np.nanmean(table, axis=1)
    units = units_of(documents)
    low, high = interval(table, [units[fold][1] if fold in units else fold for fold in names])
    by_fold = dict(zip(names, map(float, means), strict=True))
    return Difference(float(means.mean()), low, high, by_fold)


def interval(table: Table, row_units: Sequence[str] | None = None, seed: int = 0) -> tuple[float, float]:
    """95% percentile interval of the mean over rows of the mean over known columns; both are drawn anew.

    Rows of one unit are drawn together; without ``row_units`` every row is its own.
    """
    generator = np.random.default_rng(seed)
    rows, columns = table.shape
    known = ~np.isnan(table)
    filled = np.where(known, table, 0.0)
    names = row_units or [str(row) for row in range(rows)]
    units = list(dict.fromkeys(names))
    unit_of = [units.index(name) for name in names]
    row_counts = generator.multinomial(len(units), np.full(len(units), 1 / len(units)), DRAWS)[:, unit_of]
    column_counts = generator.multinomial(columns, np.full(columns, 1 / columns), DRAWS)
    sums, counts = column_counts @ filled.T, column_counts @ known.T
    weights = row_counts * (counts > 0)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), 0.0)
    totals = weights.sum(axis=1)
    drawn = totals > 0  # in the others no drawn row was tested on a drawn column
    low, high = np.percentile((weights * means).sum(axis=1)[drawn] / totals[drawn], [2.5, 97.5])
    return float(low), float(high)
