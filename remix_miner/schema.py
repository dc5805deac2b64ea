"""Checked documents: JSON and other plain data converted to typed values, with errors that name file and field."""

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from remix_miner.errors import DataError
from remix_miner.paths import display_name

Kind = TypeVar("Kind")


def read_json(path: str | Path, kind: type[Kind], what: str) -> Kind:
    """Read a JSON file as a value of ``kind`` (a TypedDict, dataclass or `msgspec.Struct`).

    ``what`` names the document in messages ('a result'). Fields that ``kind`` lacks are ignored. Raises `DataError`
    where the file cannot be read, is not JSON, or a field is missing or has another type.
    """
    return checked(load_json(path, what), kind, f"{display_name(path)} is not {what}")


def load_json(path: str | Path, what: str) -> Any:
    """Return the content of a JSON file. Raises `DataError` where it cannot be read or is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{display_name(path)}: cannot be read as {what}: {error}") from error


def checked(document: Any, kind: type[Kind], problem: str) -> Kind:
    """Return ``document`` as ``kind``; raise `DataError` that begins with ``problem`` and names the field."""
    try:
        value: Kind = msgspec.convert(document, kind)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise DataError(f"{problem}: {error}") from error
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number that JSON has")
