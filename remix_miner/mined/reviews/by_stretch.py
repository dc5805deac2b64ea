"""Reviews applied by stretch: decisions about stretches of a track that are now cut as other excerpts.

A decision refers to a stretch of a recording (the SHA-256 of its file) and a source. Where the excerpt that it was
made about is not in the catalogue (another threshold, `remine`, a repaired shard, a sample around a threshold), it is
applied to the excerpts that share audio with the stretch. Applied decisions are rows of `reviews` with the purpose
'applied', which are derived anew each time.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from remix_miner.mined.reviews.decisions import apply_latest, has_reviews

SMALL_SECONDS = 0.05
"""Overlaps shorter than this are no overlap."""

ANSWERS = (
    "SELECT tracks.id, reviews.id, source, start_seconds, start_seconds + reviews.seconds, decision, "
    "wrong_start_seconds, wrong_end_seconds, reviewer, reviewed_at FROM reviews "
    "JOIN tracks ON tracks.sha256 = track_sha256 "
    "WHERE NOT undone AND excerpt_id IS NULL AND purpose NOT IN ('control', 'applied')"
)


@dataclass(frozen=True)
class Answer:
    """A decision about a stretch (seconds of the track) whose excerpt is not in the catalogue."""

    track_id: int
    review_id: int
    source: str
    start_seconds: float
    end_seconds: float
    decision: str
    wrong_start_seconds: float | None
    wrong_end_seconds: float | None
    reviewer: str
    reviewed_at: str

    @property
    def wrong(self) -> tuple[float, float]:
        """The stretch that a rejection marks, or all that was judged."""
        if self.wrong_start_seconds is None or self.wrong_end_seconds is None:
            return self.start_seconds, self.end_seconds
        return self.wrong_start_seconds, self.wrong_end_seconds

    def covers(self, start_seconds: float, end_seconds: float) -> bool:
        """Return whether the stretch contains another one, but for `SMALL_SECONDS`."""
        begins = self.start_seconds <= start_seconds + SMALL_SECONDS
        return begins and end_seconds <= self.end_seconds + SMALL_SECONDS


@dataclass(frozen=True)
class Verdict:
    """Decision about an excerpt by answers, its wrong stretch (None: all of it), and the latest of these answers."""

    decision: str
    stretch: tuple[float, float] | None
    answer: Answer


def apply_by_stretch(database: sqlite3.Connection, track_id: int | None = None) -> None:
    """Apply decisions to the excerpts that share audio with them, within a transaction; of one track, or of all.

    An excerpt is rejected where it overlaps a rejected stretch, and the rest beside it stays as for any rejection; it
    is accepted or unsure if it lies wholly in such a stretch. A later acceptance of a stretch cancels an earlier
    rejection inside it. An excerpt's own later review counts more. A superseded excerpt stays so.
    """
    if not has_reviews(database):
        return
    chosen = "" if track_id is None else " AND track_id = ?"
    arguments = [] if track_id is None else [track_id]
    database.execute(
        "UPDATE excerpts SET review = NULL WHERE review IS NOT 'superseded' AND id IN "
        f"(SELECT excerpt_id FROM reviews WHERE purpose = 'applied'{chosen})",
        arguments,
    )
    database.execute(f"DELETE FROM reviews WHERE purpose = 'applied'{chosen}", arguments)
    answers: dict[tuple[int, str], list[Answer]] = defaultdict(list)
    only = "" if track_id is None else " AND tracks.id = ?"
    for row in database.execute(f"{ANSWERS}{only} ORDER BY reviewed_at DESC, reviews.id DESC", arguments):
        answer = Answer(*row)
        answers[answer.track_id, answer.source].append(answer)
    for (track, source), found in answers.items():
        for excerpt_id, start_seconds, seconds in database.execute(
            "SELECT id, start_seconds, seconds FROM excerpts WHERE track_id = ? AND source = ? "
            "AND review IS NOT 'superseded'",
            (track, source),
        ).fetchall():
            verdict = verdict_on(start_seconds, start_seconds + seconds, found)
            if verdict is not None:
                _record(database, excerpt_id, verdict)
    apply_latest(database)


def verdict_on(start_seconds: float, end_seconds: float, answers: Sequence[Answer]) -> Verdict | None:
    """Return the decision about an excerpt by ``answers`` of its track and source, the latest first, or None."""
    accepted: list[Answer] = []
    rejected: list[tuple[Answer, float, float]] = []
    doubt = None
    for answer in answers:
        if answer.decision == "accepted":
            accepted.append(answer)
        elif answer.decision == "unsure":
            doubt = doubt or (answer if answer.covers(start_seconds, end_seconds) else None)
        else:
            first, last = max(start_seconds, answer.wrong[0]), min(end_seconds, answer.wrong[1])
            if last - first > SMALL_SECONDS and not any(later.covers(first, last) for later in accepted):
                rejected.append((answer, first, last))
    if rejected:
        first, last = min(start for _, start, _ in rejected), max(end for _, _, end in rejected)
        whole = first <= start_seconds + SMALL_SECONDS and last >= end_seconds - SMALL_SECONDS
        return Verdict("rejected", None if whole else (first, last), rejected[0][0])
    covering = next((answer for answer in accepted if answer.covers(start_seconds, end_seconds)), None)
    if covering is not None and (doubt is None or covering.reviewed_at >= doubt.reviewed_at):
        return Verdict("accepted", None, covering)
    return None if doubt is None else Verdict("unsure", None, doubt)


def applied_counts(database: sqlite3.Connection) -> dict[str, int]:
    """Return the number of ``answers`` without an excerpt of their own, and of excerpts by applied decision."""
    if not has_reviews(database):
        return {}
    (answers,) = database.execute(f"SELECT count(DISTINCT review_id) FROM ({_NAMED})").fetchone()
    rows = database.execute("SELECT decision, count(*) FROM reviews WHERE purpose = 'applied' GROUP BY decision")
    counts = dict(rows.fetchall())
    return {"answers": answers, **{name: counts.get(name, 0) for name in ("accepted", "rejected", "unsure")}}


_NAMED = ANSWERS.replace("reviews.id,", "reviews.id AS review_id,", 1)


def wrong_stretches(database: sqlite3.Connection, track: str) -> list[tuple[str, float, float]]:
    """Return (source, start, end) in seconds of each rejected stretch of a track.

    It is the stretch that was marked, else all that was judged. An excerpt that was rejected by hand, without a row in
    `reviews`, counts as a whole.
    """
    reviewed = has_reviews(database)
    without = "AND excerpts.id NOT IN (SELECT excerpt_id FROM reviews WHERE excerpt_id IS NOT NULL)"
    found: list[tuple[str, float, float]] = database.execute(
        "SELECT source, start_seconds, start_seconds + excerpts.seconds FROM excerpts "
        f"JOIN tracks ON tracks.id = track_id WHERE path = ? AND review = 'rejected' {without if reviewed else ''}",
        (track,),
    ).fetchall()
    if reviewed:
        found += database.execute(
            "SELECT reviews.source, coalesce(wrong_start_seconds, reviews.start_seconds), "
            "coalesce(wrong_end_seconds, reviews.start_seconds + reviews.seconds) FROM reviews "
            "JOIN tracks ON tracks.id = reviews.track_id AND tracks.sha256 IS track_sha256 "
            "LEFT JOIN excerpts ON excerpts.id = excerpt_id "
            "WHERE path = ? AND decision = 'rejected' AND NOT undone AND purpose NOT IN ('control', 'applied') "
            "AND (excerpt_id IS NULL OR review = 'rejected')",
            (track,),
        ).fetchall()
    return found


def _record(database: sqlite3.Connection, excerpt_id: int, verdict: Verdict) -> None:
    first, last = verdict.stretch or (None, None)
    database.execute(
        "INSERT INTO reviews (excerpt_id, track_id, track_sha256, source, start_seconds, seconds, decision, "
        "wrong_start_seconds, wrong_end_seconds, reviewer, reviewed_at, purpose) "
        "SELECT excerpts.id, track_id, sha256, source, start_seconds, excerpts.seconds, ?, ?, ?, ?, ?, 'applied' "
        "FROM excerpts JOIN tracks ON tracks.id = track_id WHERE excerpts.id = ?",
        (verdict.decision, first, last, verdict.answer.reviewer, verdict.answer.reviewed_at, excerpt_id),
    )
