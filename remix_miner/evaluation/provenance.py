"""Training songs of a model, from its description. Scores on these songs do not measure generalisation."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from remix_miner.atomic import write_json
from remix_miner.errors import DataError
from remix_miner.schema import load_json

RECORD = "estimates.json"

FIELDS = ("songs", "validation_songs", "train", "valid", "train_songs", "valid_songs", "training_songs")
"""Fields of a description, at its top or in a section, that list names of songs."""


def songs_in_training(provenance: Mapping[str, Any] | None, names: Iterable[str]) -> list[str]:
    """Return those of ``names`` that trained or chose a model, sorted."""
    return sorted(set(names) & training_songs(provenance))


def training_songs(provenance: Mapping[str, Any] | None) -> set[str]:
    """Return the names of songs that a description lists as training or validation songs."""
    found: set[str] = set()
    for name, value in (provenance or {}).items():
        if name in FIELDS and isinstance(value, list):
            found |= {each for each in value if isinstance(each, str)}
        elif isinstance(value, Mapping):
            found |= training_songs(value)
    return found


def write_estimates_record(folder: Path, model: str, provenance: Mapping[str, Any] | None) -> None:
    """Write a record of the model and its training songs beside kept estimates."""
    document = {
        "format": "remix-miner/estimates",
        "model": model,
        "training_songs": sorted(training_songs(provenance)),
    }
    write_json(folder / RECORD, document)


def read_estimates_record(folder: Path) -> dict[str, Any]:
    """Return the record of kept estimates; empty where there is none that can be read."""
    try:
        document = load_json(folder / RECORD, "a record of estimates")
    except DataError:
        return {}
    return document if isinstance(document, dict) else {}
