"""Spans to export: live excerpts of one source, or overlaps of the excerpts of several sources in a track."""

import dataclasses
import hashlib
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from remix_miner.mined.live_excerpts import LiveExcerpt, live_excerpts

SMALL = 1e-6


@dataclass(frozen=True)
class Span:
    """A stretch of a track in which all of ``without`` are silent, and the place of its audio.

    ``shard``, ``shard_start`` and ``frames`` give the place in `/audio`. ``probability_mean`` and ``probability_min``
    are the minimum over the whole excerpts that overlap here. ``review`` is 'accepted' if all of these were accepted.
    """

    track: str
    track_sha256: str
    without: tuple[str, ...]
    start_seconds: float
    seconds: float
    probability_mean: float
    probability_min: float
    review: str | None
    shard: str
    shard_start: int
    frames: int

    @property
    def end_seconds(self) -> float:
        return self.start_seconds + self.seconds

    @property
    def name(self) -> str:
        """A unique file name: title, a hash of the whole track name, start in milliseconds, silent sources."""
        title = re.sub(r"[^A-Za-z0-9]+", "_", Path(self.track).stem).strip("_")[:60] or "track"
        digest = hashlib.sha256(self.track.encode("utf-8", "surrogateescape")).hexdigest()[:10]
        return f"{title}-{digest}-{round(1000 * self.start_seconds):08d}-{'_'.join(self.without)}"


def find_spans(
    database: sqlite3.Connection, without: Sequence[str], *, min_seconds: float = 5.0, accepted_only: bool = False
) -> list[Span]:
    """Return all spans of at least ``min_seconds`` without any of the sources, by track and start."""
    names = dict(database.execute("SELECT id, path FROM tracks"))
    hashes = dict(database.execute("SELECT id, sha256 FROM tracks"))
    by_track: dict[int, dict[str, list[LiveExcerpt]]] = defaultdict(lambda: defaultdict(list))
    for excerpt in live_excerpts(database, list(without), accepted_only=accepted_only):
        by_track[excerpt.track_id][excerpt.source].append(excerpt)
    found = []
    for track_id, excerpts in by_track.items():
        if set(excerpts) != set(without):
            continue
        first, *others = (sorted(excerpts[source], key=lambda excerpt: excerpt.start_seconds) for source in without)
        pieces = [(excerpt, [excerpt]) for excerpt in first]
        for other in others:
            pieces = list(_overlaps(pieces, other))
        for piece, parts in pieces:
            if piece.seconds >= min_seconds - SMALL:
                found.append(_span(names[track_id], hashes[track_id] or "", tuple(without), piece, parts))
    return sorted(found, key=lambda span: (span.track, span.start_seconds))


def _overlaps(
    pieces: Sequence[tuple[LiveExcerpt, list[LiveExcerpt]]], other: Sequence[LiveExcerpt]
) -> Iterator[tuple[LiveExcerpt, list[LiveExcerpt]]]:
    """Yield the overlaps of pieces with excerpts of another source. The audio is that of the piece."""
    for piece, parts in pieces:
        for excerpt in other:
            start = max(piece.start_seconds, excerpt.start_seconds)
            end = min(piece.end_seconds, excerpt.end_seconds)
            if end > start:
                yield _cut(piece, start, end), [*parts, excerpt]


def _cut(piece: LiveExcerpt, start_seconds: float, end_seconds: float) -> LiveExcerpt:
    rate = piece.frames / piece.seconds
    first = round((start_seconds - piece.start_seconds) * rate)
    frames = min(round((end_seconds - start_seconds) * rate), piece.frames - first)
    return dataclasses.replace(
        piece,
        shard_start=piece.shard_start + first,
        frames=frames,
        start_seconds=piece.start_seconds + first / rate,
        seconds=frames / rate,
    )


def _span(track: str, sha256: str, without: tuple[str, ...], piece: LiveExcerpt, parts: list[LiveExcerpt]) -> Span:
    return Span(
        track,
        sha256,
        without,
        piece.start_seconds,
        piece.seconds,
        min(excerpt.probability_mean for excerpt in parts),
        min(excerpt.probability_min for excerpt in parts),
        "accepted" if all(excerpt.review == "accepted" for excerpt in parts) else None,
        piece.shard,
        piece.shard_start,
        piece.frames,
    )
