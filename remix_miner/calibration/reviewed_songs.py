"""Thresholds from the answers to an audit of a mined folder.

An audit draws excerpts in proportion to their seconds. Each draw therefore has the same weight, which its windows
share. Windows of an accepted excerpt are silent. In a rejected excerpt the windows that touch the marked span sound,
or all windows where none is marked. Unsure counts as sounding. Audits cover only windows above the threshold of the
scan, so answers can raise a threshold but not lower it. A scan at a low purity leaves a free choice.
"""

import dataclasses
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.thresholds import Threshold, choose_threshold
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.windows import HOP_SECONDS, WINDOW_SECONDS
from remix_miner.errors import DataError
from remix_miner.mined.audits import draws_of, has_audits, heard_draws
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.probabilities import ProbabilityStore
from remix_miner.sources import SOURCES


@dataclass(frozen=True)
class ReviewedDraw:
    """An answered draw: its track, and P and label of the windows that lie wholly in it.

    ``draws``: number of times that the excerpt was drawn.
    """

    track: str
    probabilities: Float[np.ndarray, " N"]
    silent: Bool[np.ndarray, " N"]
    draws: int = 1


def recalibrate(folder: Path, calibration: Calibration, settings: CalibrationSettings) -> Calibration:
    """Return ``calibration`` with new thresholds for the sources with audits in ``folder``.

    A source whose answers do not reach the target gets no threshold but a ``reason``. Rule 'harvest' needs whole songs;
    'bootstrap', the bound over tracks, replaces it. Raises `DataError` where nothing was audited, the
    folder has no stored probabilities, or it was mined with another detector.
    """
    with CatalogueView.read(folder) as catalogue, ProbabilityStore(folder, to_read=True) as store:
        calibration.check_detector(catalogue.settings.get("detector_sha256") or "unknown")
        reviewed = {
            source: found
            for source in calibration.sources
            if (found := reviewed_draws(catalogue.database, store, source))
        }
    if not reviewed:
        raise DataError(f"{folder} holds no answers to an audit: make some with remix-miner review --audit SOURCE")
    sources = dict(calibration.sources)
    for source, draws in reviewed.items():
        chosen = threshold_from_draws(draws, settings)
        sources[source] = dataclasses.replace(
            calibration.sources[source],
            threshold=chosen.value,
            reason=chosen.reason,
            precision_target=settings.precision,
            precision=chosen.precision,
            precision_lower_bound=chosen.lower_bound,
            held_out_precision=chosen.held_out,
            artists_accepted=chosen.artists,
        )
    answers = {source: sum(one.draws for one in draws) for source, draws in reviewed.items()}
    return dataclasses.replace(calibration, data={**calibration.data, "reviewed_draws": answers}, sources=sources)


def threshold_from_draws(draws: Sequence[ReviewedDraw], settings: CalibrationSettings) -> Threshold:
    """Return the lowest threshold at which enough of the audited seconds are silent; tracks are the units."""
    probabilities = np.concatenate([one.probabilities for one in draws]).astype(np.float64)
    silent = np.concatenate([one.silent for one in draws])
    tracks = np.concatenate([np.full(len(one.silent), one.track) for one in draws])
    weights = np.concatenate([np.full(len(one.silent), one.draws / max(len(one.silent), 1)) for one in draws])
    if not len(probabilities):
        return Threshold(None, "no window lies wholly in an audited excerpt")
    rule = "bootstrap" if settings.bound == "harvest" else settings.bound
    return choose_threshold(
        probabilities,
        silent,
        tracks,
        target=settings.precision,
        rule=rule,
        confidence=settings.confidence,
        worst_artist=settings.worst_artist,
        weights=weights,
        seed=settings.seed,
    )


def reviewed_draws(database: sqlite3.Connection, store: ProbabilityStore, source: str) -> list[ReviewedDraw]:
    """Return the answered draws of the audits of ``source`` whose excerpts are still in the catalogue."""
    if not has_audits(database):
        return []
    counts: Counter[int] = Counter()
    for audit_id, settings in database.execute("SELECT id, settings_json FROM audits WHERE source = ?", (source,)):
        heard = heard_draws(draws_of(database, audit_id), int(json.loads(settings)["answers"]))
        counts.update(draw.excerpt_id for draw in heard if draw.excerpt_id is not None)
    found = []
    for excerpt_id, draws in sorted(counts.items()):
        row = database.execute(
            "SELECT path, excerpts.start_seconds, excerpts.seconds, decision, wrong_start_seconds, wrong_end_seconds "
            "FROM reviews JOIN excerpts ON excerpts.id = excerpt_id JOIN tracks ON tracks.id = excerpts.track_id "
            "WHERE excerpt_id = ? AND purpose = 'audit' ORDER BY reviews.id DESC LIMIT 1",
            (excerpt_id,),
        ).fetchone()
        if row is not None:
            found.append(_labelled(store, source, draws, *row))
    return found


def _labelled(
    store: ProbabilityStore,
    source: str,
    draws: int,
    track: str,
    start: float,
    seconds: float,
    decision: str,
    *wrong: float | None,
) -> ReviewedDraw:
    """Return the windows that lie wholly in an excerpt, labelled by the answer to it."""
    probabilities = store.read(track)
    if probabilities is None:
        raise DataError(f"{track!r} was reviewed and has no stored probabilities; scan it again")
    row = probabilities[SOURCES.index(source)]
    centres = np.arange(len(row)) * HOP_SECONDS
    first, last = np.maximum(centres - WINDOW_SECONDS / 2, 0.0), centres + WINDOW_SECONDS / 2
    last[-1:] = centres[-1:]  # the last window ends with the track
    inside = (first >= start - 1e-9) & (last <= start + seconds + 1e-9) & ~np.isnan(row)
    silent = np.full(len(row), decision == "accepted")
    if decision == "rejected" and wrong[0] is not None and wrong[1] is not None:
        silent = (last <= wrong[0]) | (first >= wrong[1])
    return ReviewedDraw(track, row[inside].astype(np.float64), silent[inside], draws)
