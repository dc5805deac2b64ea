"""Schema of results and rows: the type and range of every field that is read from a file of unknown origin."""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

Decibels = Annotated[float, Meta(ge=-10_000, le=10_000)] | None
Amount = Annotated[float, Meta(ge=0, le=1e12)]
Count = Annotated[int, Meta(ge=0, le=10**12)]
Name = Annotated[str, Meta(min_length=1, max_length=1000)]
SourceName = Annotated[str, Meta(pattern=r"^[\w][\w .+()-]{0,63}$")]
"""A source names files, so it holds no separators and does not begin with a dot."""


class SourceScores(TypedDict):
    """Scores of one source of one track, see `remix_miner.evaluation.scores.score_track`."""

    silent: bool
    leakage_db: Decibels
    usdr: NotRequired[Decibels]
    si_sdr: NotRequired[Decibels]
    csdr: NotRequired[Decibels]
    csdr_mean: NotRequired[Decibels]
    isr: NotRequired[Decibels]
    sir: NotRequired[Decibels]
    sar: NotRequired[Decibels]
    frames: NotRequired[Count]
    frames_scored: NotRequired[Count]
    infinite: NotRequired[list[str]]
    silent_estimate: NotRequired[bool]


class TrackScores(TypedDict):
    name: Name
    seconds: Amount
    sources: dict[SourceName, SourceScores]


class CorpusDescription(TypedDict):
    name: Name
    tracks: Count
    seconds: Amount
    sample_rates: list[Count]
    fingerprint: Annotated[str, Meta(max_length=64)]


class ModelDescription(TypedDict):
    name: NotRequired[str | None]
    identity: NotRequired[str | None]
    settings: NotRequired[dict[str, Any] | None]


class InferenceDescription(TypedDict):
    segment_seconds: Amount
    overlap: Annotated[float, Meta(ge=0, lt=1)]
    shifts: NotRequired[Count]
    conversions: NotRequired[list[str]]


class CostDescription(TypedDict):
    device: str
    compute_seconds_per_audio_second: Amount
    peak_memory_mib: Amount
    audio_seconds: NotRequired[Amount]
    compute_seconds: NotRequired[Amount]


class Figure(TypedDict):
    """An aggregate of one column: a value, its interval, and the number of scores behind it."""

    value: Decibels
    low: Decibels
    high: Decibels
    tracks: Count


class ResultDocument(TypedDict):
    """A result, see `remix_miner.evaluation.results.Result`."""

    format: Literal["remix-miner/result"]
    format_version: Literal[1]
    name: Name
    sources: Annotated[list[SourceName], Meta(min_length=1)]
    metrics: Annotated[list[Literal["usdr", "csdr", "si_sdr"]], Meta(min_length=1)]
    corpus: CorpusDescription
    tracks: list[TrackScores]
    model: NotRequired[ModelDescription | None]
    inference: NotRequired[InferenceDescription | None]
    cost: NotRequired[CostDescription | None]
    estimates: NotRequired[str | None]
    notes: NotRequired[list[str]]
    versions: NotRequired[dict[str, str]]
    created: NotRequired[str]


class RowDocument(ResultDocument):
    """A result as a row of a leaderboard holds it: with its aggregates."""

    aggregates: dict[str, dict[str, dict[SourceName, Figure]]]


class RowFile(TypedDict):
    added: Annotated[str, Meta(max_length=64)]
    result: RowDocument


class BoardFile(TypedDict):
    title: NotRequired[Annotated[str, Meta(max_length=1000)]]
