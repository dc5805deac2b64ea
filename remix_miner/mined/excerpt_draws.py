"""Draws of excerpts for training: in proportion to their lengths, every track alike, or by their probabilities."""

from pathlib import Path
from typing import Literal

import numpy as np

from remix_miner.errors import DataError
from remix_miner.sources import SOURCES

DrawBy = Literal["seconds", "tracks"]
"""What `MinedExcerpts.draw` makes equally likely: every second of audio, or every track."""


class ExcerptDraws:
    """Draws of the excerpts of an index (`excerpt_index.INDEX_DTYPE`) by source. ``folder``: for messages."""

    def __init__(self, folder: Path, index: np.ndarray) -> None:
        self.folder = folder
        self._index = index
        self.rows = {source: np.flatnonzero(index["source"] == at) for at, source in enumerate(SOURCES)}
        """Of each source, the places of its excerpts in the index."""
        self._ends = {source: np.cumsum(index["frames"][rows], dtype=np.int64) for source, rows in self.rows.items()}
        self._tracks: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._weights: dict[tuple[str, DrawBy, float], tuple[np.ndarray, np.ndarray]] = {}

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources that have excerpts here."""
        return tuple(source for source in SOURCES if len(self.rows[source]))

    def draw(self, source: str, generator: np.random.Generator, by: DrawBy, probability_weight: float) -> int:
        """Return the index of an excerpt; see `MinedExcerpts.draw`."""
        rows = self.rows.get(source, ())
        if not len(rows):
            raise DataError(f"{self.folder} holds no excerpts without {source!r}, only {', '.join(self.sources)}")
        if probability_weight:
            rows, ends = self._weighted(source, by, probability_weight)
            return int(rows[np.searchsorted(ends[:-1], ends[-1] * generator.random(), side="right")])
        if by == "tracks":
            rows, ends, bounds = self._by_track(source)
            track = int(generator.integers(len(bounds) - 1))
            frame = generator.integers(bounds[track], bounds[track + 1])
        else:
            ends = self._ends[source]
            frame = generator.integers(ends[-1])
        return int(rows[np.searchsorted(ends, frame, side="right")])

    def mean_probability(self, source: str, by: DrawBy, probability_weight: float) -> float:
        """Return the mean over draws of the drawn excerpt's probability of silence."""
        rows, ends = self._weighted(source, by, probability_weight)
        return float(np.diff(ends, prepend=0) @ self._index["probability_mean"][rows] / ends[-1])

    def _by_track(self, source: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows of a source ordered by track, the frame at which each ends, and the bounds of the tracks."""
        if source not in self._tracks:
            rows = self.rows[source]
            rows = rows[np.argsort(self._index["track"][rows], kind="stable")]
            ends = np.cumsum(self._index["frames"][rows], dtype=np.int64)
            last = np.flatnonzero(np.diff(self._index["track"][rows], append=-1))
            self._tracks[source] = rows, ends, np.concatenate([[0], ends[last]])
        return self._tracks[source]

    def _weighted(self, source: str, by: DrawBy, exponent: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of a source ordered by track, and the cumulative weights with which they are drawn.

        An excerpt of n frames and probability p has the weight n p^k; by 'tracks' it is divided by the frames of all
        excerpts of its track.
        """
        key = source, by, exponent
        if key not in self._weights:
            rows, ends, bounds = self._by_track(source)
            probabilities = self._index["probability_mean"][rows].astype(np.float64)
            if not np.all((probabilities > 0) & (probabilities < 1.001)):
                raise DataError(
                    f"{self.folder} holds excerpts without {source} whose probability is not above 0 and at most 1; "
                    "they cannot be drawn by it"
                )
            weights = np.diff(ends, prepend=0) * (probabilities / probabilities.max()) ** exponent
            if by == "tracks":
                weights /= np.diff(bounds)[np.searchsorted(bounds, ends) - 1]
            self._weights[key] = rows, np.cumsum(weights)
        return self._weights[key]
