"""Answers of listeners to random samples of a mined folder, as labelled windows.

An audit draws excerpts of the harvest in proportion to their seconds. A sample around a threshold draws stretches of
tracks on both sides of it, each with the seconds that it stands for. Windows of an accepted draw are silent. In a
rejected one the windows that touch the marked span sound, or all windows where none is marked. Unsure counts as
sounding.

A window is placed at the highest threshold at which it is harvested (`harvest.harvest_probabilities`), so that the
share above a threshold is that of the seconds that a scan there would store. Audits cover only windows above the
threshold of the scan: alone, they can raise it but not lower it.
"""

import dataclasses
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from remix_miner.calibration.harvest import harvest_probabilities
from remix_miner.detector.windows import HOP_SECONDS, WINDOW_SECONDS
from remix_miner.errors import DataError
from remix_miner.mined.probabilities import ProbabilityStore
from remix_miner.mined.reviews.decisions import has_reviews
from remix_miner.mined.samples.audits import answered_draws, draws_of, has_audits
from remix_miner.sources import SOURCES


@dataclass(frozen=True)
class ReviewedDraw:
    """An answered draw: its track, and for the windows that lie wholly in it, thresholds and labels.

    ``thresholds``: the highest at which each window is harvested. ``weight``: seconds that the draw stands for.
    ``draws``: number of times that it was drawn.
    """

    track: str
    thresholds: Float[np.ndarray, " N"]
    silent: Bool[np.ndarray, " N"]
    weight: float = 1.0
    draws: int = 1


def reviewed_draws(database: sqlite3.Connection, store: ProbabilityStore, source: str) -> list[ReviewedDraw]:
    """Return the answered draws of ``source``: of audits whose excerpts are still there, and around the threshold.

    Where there are both, those above the threshold of the scan share its weight in proportion to their number.
    """
    settings = json.loads(database.execute("SELECT value FROM meta WHERE key = 'settings_json'").fetchone()[0])
    labels = WindowLabels(store, source, float(settings.get("min_seconds", 5.0)))
    audits, around = _audited(database, labels, source), _around(database, labels, source)
    threshold = settings.get("thresholds", {}).get(source)
    if not audits or not around or threshold is None:
        return audits + around
    halves = [half for draw in around for half in _halves(draw, float(threshold))]
    above = [draw for draw in halves if draw.thresholds[0] >= threshold]
    below = [draw for draw in halves if draw.thresholds[0] < threshold]
    answered = sum(draw.draws for draw in audits)
    share = len(above) / (len(above) + answered)
    seconds = sum(draw.weight for draw in above) or sum(draw.weight for draw in audits)
    for_audits = (1 - share) * seconds / sum(draw.weight for draw in audits)
    return below + _scaled(above, share) + _scaled(audits, for_audits)


def _audited(database: sqlite3.Connection, labels: "WindowLabels", source: str) -> list[ReviewedDraw]:
    """Return the answered draws of all audits. Each stands for an equal part of the harvest."""
    if not has_audits(database):
        return []
    counts: Counter[int] = Counter()
    seconds = 0.0
    for audit_id, settings, population in database.execute(
        "SELECT id, settings_json, population_json FROM audits WHERE source = ?", (source,)
    ):
        answered = answered_draws(draws_of(database, audit_id), int(json.loads(settings)["answers"]))
        counts.update(draw.excerpt_id for draw in answered if draw.excerpt_id is not None)
        seconds = float(json.loads(population)["seconds"])
    found = []
    for excerpt_id, draws in sorted(counts.items()):
        row = database.execute(
            "SELECT path, excerpts.start_seconds, excerpts.seconds, decision, wrong_start_seconds, wrong_end_seconds "
            "FROM reviews JOIN excerpts ON excerpts.id = excerpt_id JOIN tracks ON tracks.id = excerpts.track_id "
            "WHERE excerpt_id = ? AND purpose = 'audit' ORDER BY reviews.id DESC LIMIT 1",
            (excerpt_id,),
        ).fetchone()
        if row is not None:
            weight = seconds * draws / counts.total()
            found.append(dataclasses.replace(labels.of(*row), weight=weight, draws=draws))
    return found


def _around(database: sqlite3.Connection, labels: "WindowLabels", source: str) -> list[ReviewedDraw]:
    """Return the answers to samples around the threshold."""
    if not has_reviews(database):
        return []
    rows = database.execute(
        "SELECT weight, path, start_seconds, reviews.seconds, decision, wrong_start_seconds, wrong_end_seconds "
        "FROM reviews JOIN tracks ON tracks.id = track_id AND tracks.sha256 IS track_sha256 "
        "WHERE source = ? AND purpose = 'threshold' AND NOT undone AND weight > 0 ORDER BY reviews.id",
        (source,),
    ).fetchall()
    return [dataclasses.replace(labels.of(*row), weight=weight) for weight, *row in rows]


def _halves(draw: ReviewedDraw, threshold: float) -> list[ReviewedDraw]:
    """Return the parts of a draw above and below a threshold, each with its share of the weight."""
    parts = []
    for mask in (draw.thresholds >= threshold, draw.thresholds < threshold):
        if mask.any():
            weight = draw.weight * float(mask.mean())
            part = dataclasses.replace(
                draw, thresholds=draw.thresholds[mask], silent=draw.silent[mask], weight=weight, draws=0
            )
            parts.append(part)
    return [dataclasses.replace(part, draws=int(number == 0)) for number, part in enumerate(parts)]


def _scaled(draws: Sequence[ReviewedDraw], factor: float) -> list[ReviewedDraw]:
    return [dataclasses.replace(draw, weight=draw.weight * factor) for draw in draws]


class WindowLabels:
    """Labels of windows by answers of one source, with the harvest thresholds of the latest track."""

    def __init__(self, store: ProbabilityStore, source: str, min_seconds: float) -> None:
        self.store = store
        self.source = source
        self.min_seconds = min_seconds
        self._track: str | None = None
        self._thresholds = np.zeros(0, dtype=np.float32)

    def of(self, track: str, start: float, seconds: float, decision: str, *wrong: float | None) -> ReviewedDraw:
        """Return the windows that lie wholly in a stretch, labelled by the answer to it."""
        thresholds = self._thresholds_of(track)
        centres = np.arange(len(thresholds)) * HOP_SECONDS
        first, last = centres - WINDOW_SECONDS / 2, centres + WINDOW_SECONDS / 2
        inside = (first >= start - 1e-9) & (last <= start + seconds + 1e-9) & ~np.isnan(thresholds)
        silent = np.full(len(thresholds), decision == "accepted")
        if decision == "rejected" and wrong[0] is not None and wrong[1] is not None:
            silent = (last <= wrong[0]) | (first >= wrong[1])
        return ReviewedDraw(track, thresholds[inside].astype(np.float64), silent[inside])

    def _thresholds_of(self, track: str) -> Float32[np.ndarray, " W"]:
        if track != self._track:
            stored = self.store.stored(track)
            if stored is None:
                raise DataError(f"{track!r} was reviewed and has no stored probabilities; scan it again")
            row, seconds = stored.probabilities[SOURCES.index(self.source)], stored.frames / stored.sample_rate
            self._track, self._thresholds = track, harvest_probabilities(row, seconds, self.min_seconds)
        return self._thresholds
