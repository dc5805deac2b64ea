"""Purity audit of one source: randomly drawn excerpts, hidden controls among them, and the purity measured so far."""

import json
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from remix_miner.config import SHARE, Bounds, Seed, Settings
from remix_miner.detector.spans import spans_of_windows
from remix_miner.detector.windows import HOP_SECONDS
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue_db import LIVE
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.reviews.decisions import record, review_transaction
from remix_miner.mined.samples.audits import (
    Draw,
    answer_draw,
    answered_draws,
    create_audit,
    draws_of,
    latest_audit,
    place_control,
    store_result,
    write_audits,
)
from remix_miner.review.items import Item, item_of_excerpt
from remix_miner.review.samples.purity_bounds import (
    clopper_pearson,
    draws_needed,
    further_clean_needed,
    lower_limit,
    lower_limit_any_time,
    seconds_bound,
)
from remix_miner.review.track_probabilities import TrackProbabilities
from remix_miner.sources import SOURCES, parse_sources

SPARE = 10
"""Draws stored for each planned one, so that an audit can be continued after its planned end."""

CONTROL_PROBABILITY = 0.05
CONTROL_SECONDS = 5.0
CONTROL_ATTEMPTS = 200
SEARCHED_SECONDS = 40.0
"""Length of the stretch, at a random place of a track, that is searched for a control."""


@dataclass(frozen=True)
class AuditSettings(Settings):
    """Settings of an audit.

    ``promise``: the purity to be shown. ``planned``: number of answers after which it is decided (None: the fewest
    that can show it). ``controls``: their share of the played items.
    """

    source: str
    promise: Annotated[float, SHARE] = 0.95
    confidence: Annotated[float, SHARE] = 0.95
    planned: Annotated[int, Bounds(1, 1_000_000)] | None = None
    controls: Annotated[float, Bounds(0, 0.5)] = 0.1
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_sources([self.source])

    @property
    def answers(self) -> int:
        return self.planned or draws_needed(self.promise, self.confidence)


class Audit:
    """A reviewer's audit of a source: the one in the catalogue that has these settings, or a new one.

    Every answer is on the disk before `answer` returns. Controls are found by ``probabilities``; None means no
    controls.
    """

    kind = "audit"

    def __init__(
        self, folder: Path, settings: AuditSettings, reviewer: str, probabilities: TrackProbabilities | None = None
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.reviewer = reviewer
        self._lock = threading.RLock()
        with review_transaction(folder) as database:
            found = latest_audit(database, settings.source, reviewer)
            if found is not None and found[1] == _stored(settings):
                self.id = found[0]
            else:
                self.id = _begin(database, settings, reviewer)
            (population,) = database.execute("SELECT population_json FROM audits WHERE id = ?", (self.id,)).fetchone()

        self.population: dict[str, Any] = json.loads(population)
        self._draws = self._read()
        self._result: dict[str, Any] | None = None
        self._stopping = threading.Event()
        self._finder = threading.Thread(target=self._find_controls, args=(probabilities,), daemon=True)
        self._finder.start()

    def state(self) -> dict[str, Any]:
        """Return settings, population, the position to answer next, and the result so far."""
        with self._lock:
            upcoming = self._next()
            return {
                "kind": self.kind,
                "settings": _stored(self.settings),
                "population": self.population,
                "position": None if upcoming is None else upcoming.position,
                "result": self.result(),
            }

    def item(self, position: int) -> Item:
        """Return the item at a position. Raises `DataError` for a position that is not reached yet."""
        with self._lock:
            upcoming = self._next()
            if not 0 <= position < len(self._draws) or (upcoming is not None and position > upcoming.position):
                raise DataError(f"position {position} of the audit is not reached")
            draw = self._draws[position]
        with CatalogueView.read(self.folder) as catalogue:
            if draw.excerpt_id is not None:
                return item_of_excerpt(catalogue.database, draw.excerpt_id)
            row = catalogue.database.execute(
                "SELECT path, seconds FROM tracks WHERE id = ?", (draw.track_id,)
            ).fetchone()
        if row is None or draw.track_id is None or draw.start_seconds is None or draw.seconds is None:
            raise DataError(f"position {position} of the audit holds no control")
        track, seconds = row
        stretch = (draw.start_seconds, draw.start_seconds + draw.seconds)
        return Item.of_stretch(draw.track_id, track, seconds, self.settings.source, stretch)

    def answer(self, position: int, decision: str, stretch: tuple[float, float] | None) -> dict[str, Any]:
        """Record the answer at the next position and return the new `state`; `UsageError` for any other position."""
        with self._lock:
            upcoming = self._next()
            if upcoming is None or position != upcoming.position:
                raise UsageError(f"position {position} of the audit is not the one to answer")
            draw, item = upcoming, self.item(position)
            clean = 1.0 if decision == "accepted" else 0.0
            if decision == "rejected" and stretch is not None:
                clean = 1 - (stretch[1] - stretch[0]) / item.seconds
            review = replace(
                item.review_by(self.reviewer, decision, stretch),
                purpose="control" if draw.is_control else "audit",
                weight=None if draw.is_control else self.population["seconds"] / self.settings.answers,
            )
            with review_transaction(self.folder) as database:
                record(database, review)
                answer_draw(database, self.id, draw, decision, clean)
                self._draws, self._result = draws_of(database, self.id), None
                store_result(database, self.id, self.result())
                write_audits(self.folder, database)
            return self.state()

    def result(self) -> dict[str, Any]:
        """Return the purity so far, as in `audits` of report.json. Unsure counts as wrong."""
        with self._lock:
            if self._result is None:
                self._result = self._compute()
            return self._result

    def _compute(self) -> dict[str, Any]:
        settings = self.settings
        answered = self._answered()
        drawn = [draw for draw in answered if not draw.is_control]
        controls = [draw for draw in answered if draw.is_control]
        clean = sum(draw.decision == "accepted" for draw in drawn)
        draws, confidence = len(drawn), settings.confidence
        shares = [draw.clean_share or 0.0 for draw in drawn]
        tracks = [self._tracks[draw.excerpt_id] for draw in drawn if draw.excerpt_id is not None]
        low, high = clopper_pearson(clean, draws, confidence) if draws else (0.0, 1.0)
        lower = lower_limit(clean, draws, confidence) if draws else 0.0
        noticed = sum(draw.decision == "rejected" for draw in controls)
        return {
            "source": settings.source,
            "reviewer": self.reviewer,
            "promise": settings.promise,
            "confidence": confidence,
            "planned": settings.answers,
            "draws": draws,
            "excerpts": len({draw.excerpt_id for draw in drawn}),
            "tracks": len(set(tracks)),
            "clean": clean,
            "wrong": sum(draw.decision == "rejected" for draw in drawn),
            "unsure": sum(draw.decision == "unsure" for draw in drawn),
            "purity": clean / draws if draws else None,
            "interval": [low, high],
            "lower_bound": lower,
            "lower_bound_any_time": lower_limit_any_time(clean, draws, confidence) if draws else 0.0,
            "purity_seconds": float(np.mean(shares)) if shares else None,
            "purity_seconds_lower_bound": seconds_bound(tracks, shares, confidence),
            "further_clean_needed": further_clean_needed(clean, draws - clean, settings.promise, confidence),
            "controls": len(controls),
            "controls_noticed": noticed,
            "complete": draws >= settings.answers,
            "promise_kept": lower >= settings.promise if draws >= settings.answers else None,
            "listener_reliable": None if not controls else noticed == len(controls),
            "population": self.population,
        }

    def close(self) -> None:
        """Stop the search for controls."""
        self._stopping.set()
        self._finder.join()

    def _answered(self) -> list[Draw]:
        return answered_draws(self._draws, self.settings.answers)

    def _next(self) -> Draw | None:
        """Return the first unanswered draw, without the places of controls that were not found."""
        for draw in self._draws:
            if draw.decision is None and not (draw.is_control and draw.track_id is None):
                return draw
        return None

    def _read(self) -> list[Draw]:
        with CatalogueView.read(self.folder) as catalogue:
            draws = draws_of(catalogue.database, self.id)
            self._tracks = dict(
                catalogue.database.execute(
                    "SELECT id, track_id FROM excerpts WHERE id IN "
                    "(SELECT excerpt_id FROM audit_draws WHERE audit_id = ?)",
                    (self.id,),
                ).fetchall()
            )
        return draws

    def _find_controls(self, probabilities: TrackProbabilities | None) -> None:
        """Fill the places of later controls with stretches in which the source sounds, as far as there are any."""
        if probabilities is None:
            return
        generator = np.random.default_rng([self.settings.seed, self.id])
        with CatalogueView.read(self.folder) as catalogue:
            lengths = [
                row[0]
                for row in catalogue.database.execute(
                    "SELECT seconds FROM excerpts WHERE id IN (SELECT excerpt_id FROM audit_draws WHERE audit_id = ?)",
                    (self.id,),
                )
            ]
            tracks = catalogue.database.execute(
                "SELECT id, path, seconds FROM tracks WHERE status = 'done' AND seconds >= ? ORDER BY id",
                (2 * CONTROL_SECONDS,),
            ).fetchall()
        order = iter(generator.permutation(len(tracks))[:CONTROL_ATTEMPTS])
        soon = [
            draw.position
            for draw in self._draws[: 2 * self.settings.answers]
            if draw.is_control and draw.track_id is None
        ]
        for position in soon:
            for at in order:
                if self._stopping.is_set():
                    return
                track_id, track, seconds = tracks[at]
                begin = float(generator.uniform(0, max(seconds - SEARCHED_SECONDS, 0)))
                found = probabilities.around(track, begin, min(begin + SEARCHED_SECONDS, seconds))
                if found is None:
                    continue
                row = found[1][SOURCES.index(self.settings.source)]
                stretch = sounding_stretch(row, float(generator.choice(lengths)), generator)
                if stretch is not None:
                    offset = found[0] * HOP_SECONDS
                    self._place(position, track_id, (offset + stretch[0], offset + stretch[1]))
                    break

    def _place(self, position: int, track_id: int, stretch: tuple[float, float]) -> None:
        with self._lock:
            upcoming = self._next()
            if upcoming is None or position <= upcoming.position:
                return  # passed already: a control never appears behind the listener
            with review_transaction(self.folder) as database:
                place_control(database, self.id, position, track_id, stretch[0], stretch[1] - stretch[0])
                self._draws = draws_of(database, self.id)


def sounding_stretch(
    probabilities: np.ndarray, seconds: float, generator: np.random.Generator
) -> tuple[float, float] | None:
    """Return a stretch of up to ``seconds`` in which every window has a low probability of silence, or None.

    Start and end are in seconds from the first window's centre.
    """
    whole = len(probabilities) * HOP_SECONDS
    spans = spans_of_windows(probabilities <= CONTROL_PROBABILITY, probabilities, whole, CONTROL_SECONDS)
    if not spans:
        return None
    span = spans[int(generator.integers(len(spans)))]
    length = min(span.seconds, seconds)
    start = span.start_seconds + float(generator.uniform(0, span.seconds - length))
    return start, start + length


def _stored(settings: AuditSettings) -> dict[str, Any]:
    return {**asdict(settings), "answers": settings.answers}


def _begin(database: Any, settings: AuditSettings, reviewer: str) -> int:
    """Draw the excerpts, in proportion to their seconds and with replacement, and store the draw."""
    rows = np.array(
        database.execute(
            f"SELECT id, seconds, track_id FROM excerpts WHERE source = ? AND {LIVE} ORDER BY id", (settings.source,)
        ).fetchall(),
        dtype=[("id", "<i8"), ("seconds", "<f8"), ("track", "<i8")],
    )
    if not len(rows):
        raise DataError(f"the folder holds no excerpts without {settings.source}: there is nothing to audit")
    generator = np.random.default_rng([settings.seed, SOURCES.index(settings.source)])
    weights = np.cumsum(rows["seconds"])
    places = np.searchsorted(weights, generator.uniform(0, weights[-1], SPARE * settings.answers), side="right")
    draw: list[int | None] = []
    for place in np.minimum(places, len(rows) - 1):
        if draw and generator.random() < settings.controls / (1 - settings.controls):
            draw.append(None)
        draw.append(int(rows["id"][place]))
    population = {
        "excerpts": len(rows),
        "tracks": len(np.unique(rows["track"])),
        "seconds": float(weights[-1]),
    }
    return create_audit(database, settings.source, reviewer, _stored(settings), population, draw)
