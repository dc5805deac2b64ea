"""Rows of a catalogue: a scanned track, and its excerpts with or without audio."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remix_miner.mined.shards.files import ClosedShard

ADD_EXCERPT = (
    "INSERT INTO excerpts (track_id, source, start_seconds, seconds, probability_mean, probability_min, "
    "expected_volume_db, shard, shard_start, frames) VALUES (?,?,?,?,?,?,?,?,?,?)"
)


@dataclass(frozen=True)
class UnstoredExcerpt:
    """An excerpt without audio. ``start_frame`` and ``frames`` are at the sample rate of the track's file."""

    source: str
    start_seconds: float
    seconds: float
    probability_mean: float
    probability_min: float
    expected_volume_db: float
    start_frame: int
    frames: int


@dataclass(frozen=True)
class ScannedTrack:
    """Properties of a scanned file. ``problem``: why only a part of it was scanned, or None."""

    name: str
    sha256: str
    seconds: float
    sample_rate: int
    channels: int
    problem: str | None = None
    spans: Sequence[UnstoredExcerpt] = ()
    """Excerpts whose audio is not stored."""


def unstored_row(track_id: int, span: UnstoredExcerpt) -> tuple[Any, ...]:
    """Return the values of `ADD_EXCERPT` for an excerpt without audio."""
    return (
        track_id,
        span.source,
        span.start_seconds,
        span.seconds,
        span.probability_mean,
        span.probability_min,
        None if math.isnan(span.expected_volume_db) else span.expected_volume_db,
        None,
        span.start_frame,
        span.frames,
    )


def excerpt_row(track_id: int, shard: ClosedShard, excerpt: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values of `ADD_EXCERPT` for an excerpt of a shard's table."""
    expected = excerpt.get("expected_volume_db")
    return (
        track_id,
        shard.source,
        excerpt["start_seconds"],
        excerpt["frames"] / shard.sample_rate,
        excerpt["probability_mean"],
        excerpt["probability_min"],
        None if expected is None or expected != expected else expected,
        shard.path.name,
        excerpt["start_frame"],
        excerpt["frames"],
    )
