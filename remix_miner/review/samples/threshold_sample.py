"""Sample around the threshold of one source: stretches to answer, so that a calibration fits this library."""

import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from remix_miner.config import SHARE, Bounds, Seed, Settings
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.probabilities import ProbabilityStore
from remix_miner.mined.reviews.by_stretch import apply_by_stretch
from remix_miner.mined.reviews.decisions import record, review_transaction
from remix_miner.mined.samples.threshold_draws import (
    STRATA,
    ThresholdDraw,
    answer_position,
    create_sample,
    latest_sample,
    sample_draws,
)
from remix_miner.review.items import Item
from remix_miner.review.samples.threshold_draw import (
    TrackScores,
    draw_stretches,
    lowest_score,
    strata_of,
    stretches,
    track_scores,
)
from remix_miner.sources import SOURCES, parse_sources

MOST_TRACKS = 5000
"""Tracks of a larger library that are drawn from, chosen at random."""


@dataclass(frozen=True)
class ThresholdSettings(Settings):
    """Settings of a sample around a threshold.

    ``threshold``: None takes that of the scan. ``planned``: number of answers.
    """

    source: str
    threshold: Annotated[float, SHARE] | None = None
    planned: Annotated[int, Bounds(most=1_000_000)] = 60
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_sources([self.source])
        if self.planned < len(STRATA):
            raise UsageError(f"a sample around a threshold has {len(STRATA)} answers or more, got {self.planned}")


class ThresholdSample:
    """A reviewer's sample around the threshold of a source: the one in the catalogue with these settings, or a new one.

    Every answer is on the disk before `answer` returns.
    """

    kind = "threshold"

    def __init__(self, folder: Path, settings: ThresholdSettings, reviewer: str) -> None:
        self.folder = folder
        self.settings = settings
        self.reviewer = reviewer
        self._lock = threading.RLock()
        with CatalogueView.read(folder) as catalogue:
            found = latest_sample(catalogue.database, settings.source, reviewer)
            threshold = settings.threshold or catalogue.settings.get("thresholds", {}).get(settings.source)
        if threshold is None:
            raise UsageError(
                f"the folder was not mined without {settings.source}, so there is no threshold to draw around: "
                "name one with --at"
            )
        stored = {**asdict(settings), "threshold": threshold}
        if found is None or found[1] != stored:
            found = self._begin(float(threshold), stored)
        self.id, self.stored, self.population = found
        self._read()

    def state(self) -> dict[str, Any]:
        """Return settings, population, the position to answer next, and the answers so far."""
        with self._lock:
            return {
                "kind": self.kind,
                "settings": {**self.stored, "answers": len(self._draws)},
                "population": self.population,
                "position": self._next(),
                "result": self.result(),
            }

    def item(self, position: int) -> Item:
        """Return the item at a position. Raises `DataError` for a position that is not reached yet."""
        with self._lock:
            upcoming = self._next()
            if not 0 <= position < len(self._draws) or (upcoming is not None and position > upcoming):
                raise DataError(f"position {position} of the sample is not reached")
            draw = self._draws[position]
        with CatalogueView.read(self.folder) as catalogue:
            track, seconds = catalogue.database.execute(
                "SELECT path, seconds FROM tracks WHERE id = ?", (draw.track_id,)
            ).fetchone()
        return Item.of_stretch(
            draw.track_id, track, seconds, self.settings.source, (draw.start_seconds, draw.start_seconds + draw.seconds)
        )

    def answer(self, position: int, decision: str, stretch: tuple[float, float] | None) -> dict[str, Any]:
        """Record the answer at the next position and return the new `state`; `UsageError` for any other position."""
        with self._lock:
            if position != self._next():
                raise UsageError(f"position {position} of the sample is not the one to answer")
            draw, item = self._draws[position], self.item(position)
            review = item.review_by(self.reviewer, decision, stretch)
            with review_transaction(self.folder) as database:
                record(database, replace(review, purpose="threshold", weight=draw.weight))
                answer_position(database, self.id, position, decision)
                apply_by_stretch(database, draw.track_id)
            self._draws[position] = replace(draw, decision=decision)
            return self.state()

    def result(self) -> dict[str, Any]:
        """Return the number of answers, and of silent ones among them, in total and by stratum."""
        answered = [draw for draw in self._draws if draw.decision is not None]
        return {
            "source": self.settings.source,
            "reviewer": self.reviewer,
            "threshold": self.stored["threshold"],
            "planned": len(self._draws),
            "draws": len(answered),
            "tracks": len({draw.track_id for draw in answered}),
            "clean": sum(draw.decision == "accepted" for draw in answered),
            "unsure": sum(draw.decision == "unsure" for draw in answered),
            "strata": {name: _counts(answered, name) for name in STRATA},
            "complete": len(answered) == len(self._draws),
        }

    def close(self) -> None:
        """Do nothing: the sample holds no files open."""

    def _next(self) -> int | None:
        return next((place for place, draw in enumerate(self._draws) if draw.decision is None), None)

    def _read(self) -> None:
        with CatalogueView.read(self.folder) as catalogue:
            self._draws: list[ThresholdDraw] = sample_draws(catalogue.database, self.id)

    def _begin(self, threshold: float, stored: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, Any]]:
        """Draw the stretches and store them."""
        settings = self.settings
        generator = np.random.default_rng([settings.seed, SOURCES.index(settings.source)])
        with CatalogueView.read(self.folder) as catalogue:
            min_seconds = float(catalogue.settings.get("min_seconds", 5.0))
            rows = catalogue.database.execute(
                "SELECT id, path FROM tracks WHERE status = 'done' ORDER BY id"
            ).fetchall()
        chosen = np.sort(generator.permutation(len(rows))[:MOST_TRACKS])
        tracks: list[TrackScores] = []
        with ProbabilityStore(self.folder, to_read=True) as store:
            for track_id, name in (rows[place] for place in chosen):
                if (known := store.stored(name)) is not None:
                    tracks.append(track_scores(track_id, known, SOURCES.index(settings.source), min_seconds))
        lowest = lowest_score(tracks, threshold, settings.planned)
        strata = strata_of(stretches(tracks, lowest, min_seconds), threshold)
        draws = draw_stretches(strata, settings.planned, generator)
        if not draws:
            raise DataError(f"no track has {min_seconds:g} s in which {settings.source} may be silent: nothing to draw")
        population = {
            "tracks": len(tracks),
            "lowest": lowest,
            "seconds": {name: sum(draw.seconds for draw in some) for name, some in strata.items()},
        }
        with review_transaction(self.folder) as database:
            sample_id = create_sample(database, settings.source, self.reviewer, stored, population, draws)
        return sample_id, stored, population


def _counts(answered: list[ThresholdDraw], stratum: str) -> dict[str, int]:
    of_stratum = [draw for draw in answered if draw.stratum == stratum]
    return {"draws": len(of_stratum), "clean": sum(draw.decision == "accepted" for draw in of_stratum)}
