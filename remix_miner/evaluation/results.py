"""Results as JSON: every score, what was scored, how, and at which cost (docs/guide/evaluation.md)."""

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from remix_miner.atomic import write_json
from remix_miner.audio import display_name
from remix_miner.errors import DataError
from remix_miner.evaluation.metrics.aggregates import aggregate_tracks
from remix_miner.evaluation.result_schema import ResultDocument
from remix_miner.schema import checked, load_json

FORMAT = "remix-miner/result"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Result:
    """``tracks`` is a list of ``{"name", "seconds", "sources": {source: scores}}``; scores as `score_track` gives them.

    ``corpus``: name, tracks, seconds, sample_rate, and a fingerprint of names and lengths (equal fingerprints: the
    same songs). ``model``: what separated (None for finished estimates). ``inference`` and ``cost``: settings and
    compute of the separation. ``estimates``: the folder in which the scored audio was kept, if it was.
    """

    name: str
    sources: Sequence[str]
    metrics: Sequence[str]
    corpus: dict[str, Any]
    tracks: list[dict[str, Any]]
    model: dict[str, Any] | None = None
    inference: dict[str, Any] | None = None
    cost: dict[str, Any] | None = None
    estimates: str | None = None
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""

    def document(self) -> dict[str, Any]:
        """Return the JSON document, aggregates included (computed from the tracks, never edited by hand)."""
        created = self.created or datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        head = {"format": FORMAT, "format_version": FORMAT_VERSION}
        body = {**asdict(self), "sources": list(self.sources), "metrics": list(self.metrics), "created": created}
        return {**head, **body, "aggregates": aggregate_tracks(self.tracks, self.sources)}

    def save(self, path: str | Path) -> None:
        write_json(path, self.document())

    @classmethod
    def load(cls, path: str | Path) -> "Result":
        """Read a result; raises `DataError` for anything else, with the field that is wrong."""
        return cls.from_document(load_json(path, "a result"), display_name(path))

    @classmethod
    def from_document(cls, document: Any, where: str = "result") -> "Result":
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise DataError(
                f"{where} is no result (format {FORMAT!r}); make one with: remix-miner evaluate ... --out RESULT.json"
            )
        if document.get("format_version") != FORMAT_VERSION:
            raise DataError(
                f"{where}: version {document.get('format_version')!r} of the format, this program reads "
                f"{FORMAT_VERSION}"
            )
        checked(document, ResultDocument, f"{where} is damaged")
        return cls(**{name: document[name] for name in cls.__dataclass_fields__ if name in document})


def corpus_fingerprint(tracks: Sequence[tuple[str, int]]) -> str:
    """Return 16 hexadecimal digits that are equal for equal names and lengths (in frames) of tracks."""
    text = "\n".join(f"{name}\t{frames}" for name, frames in sorted(tracks))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
