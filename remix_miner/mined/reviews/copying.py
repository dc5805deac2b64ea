"""Copy of the reviews of another catalogue: of a part that is merged, or of a folder that is mined again."""

import sqlite3

from remix_miner.mined.reviews.decisions import apply_latest, create_reviews, has_reviews


def take_reviews(database: sqlite3.Connection) -> None:
    """Copy the reviews of the attached catalogue ``part`` within a transaction, each once. The latest one counts.

    A review is copied if both catalogues have the same version of its track. Without an excerpt of the same place it
    has none, and `by_stretch.apply_by_stretch` applies it.
    """
    if not has_reviews(database, "part"):
        return
    create_reviews(database)
    same = (
        "main_judged.track_id = main_tracks.id AND main_judged.source = judged.source "
        "AND main_judged.reviewer = judged.reviewer "
        "AND main_judged.reviewed_at = judged.reviewed_at AND main_judged.start_seconds = judged.start_seconds"
    )
    tracks = (
        "part.reviews AS judged JOIN part.tracks AS part_tracks ON part_tracks.id = judged.track_id "
        "JOIN main.tracks AS main_tracks ON main_tracks.path = part_tracks.path "
        "AND main_tracks.sha256 IS judged.track_sha256"
    )
    database.execute(
        "INSERT INTO main.reviews (excerpt_id, track_id, track_sha256, source, start_seconds, seconds, decision, "
        "wrong_start_seconds, wrong_end_seconds, reviewer, reviewed_at, purpose, weight, undone) "
        "SELECT (SELECT id FROM main.excerpts WHERE track_id = main_tracks.id AND source = judged.source "
        "AND abs(start_seconds - judged.start_seconds) < 1e-6 AND abs(seconds - judged.seconds) < 1e-3 "
        "AND review IS NOT 'superseded' AND judged.excerpt_id IS NOT NULL LIMIT 1), "
        "main_tracks.id, judged.track_sha256, judged.source, judged.start_seconds, judged.seconds, judged.decision, "
        "judged.wrong_start_seconds, judged.wrong_end_seconds, judged.reviewer, judged.reviewed_at, judged.purpose, "
        f"judged.weight, judged.undone FROM {tracks} "
        f"WHERE judged.purpose != 'applied' AND NOT EXISTS (SELECT 1 FROM main.reviews AS main_judged WHERE {same}) "
        "ORDER BY judged.id"
    )
    database.execute(
        "UPDATE main.reviews AS main_judged SET undone = 1 WHERE NOT undone AND EXISTS "
        f"(SELECT 1 FROM {tracks} WHERE judged.undone AND {same})"
    )
    apply_latest(database)
