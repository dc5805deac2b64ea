"""Output folders of separations, and their records for resuming with the same settings."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from remix_miner.audio import display_name
from remix_miner.errors import DataError
from remix_miner.schema import load_json, read_json

RECORD = "separation.json"
ENSEMBLE_RECORD = "ensemble.json"
INPUT_FIELDS = ("input", "size", "mtime_ns")
"""Fields of a record that describe the input; the others describe the separation."""


class Record(TypedDict):
    """``separation.json``: input, model and settings of a separation, and the problems found."""

    format: str
    input: str
    size: int
    mtime_ns: int
    model: str
    inference: dict[str, Any]
    file_format: str
    seconds: float
    clipped: dict[str, int]
    problem: str | None
    replaced_in_input: NotRequired[int]
    replaced: NotRequired[dict[str, int]]


def job_record(path: Path, model_id: str, settings: Mapping[str, Any], file_format: str) -> dict[str, Any]:
    """Return the identification of a separation: equal records imply equal outputs."""
    status = path.stat()
    return {
        "format": "remix-miner/separation",
        "input": str(path.resolve()),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "model": model_id,
        "inference": dict(settings),
        "file_format": file_format,
    }


def read_record(folder: Path) -> Record | None:
    """Return the record of a finished separation; None where there is none that can be read."""
    try:
        return read_json(folder / RECORD, Record, "a separation record")
    except DataError:
        return None


def changes(earlier: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """Return the fields in which a finished separation differs from the requested one."""
    return [name for name, value in record.items() if earlier.get(name) != value]


def output_folders(paths: Iterable[Path], out: Path) -> dict[Path, Path]:
    """Return a folder under ``out`` for each file, named after it and used by no other file.

    Of equal names ('a/song.mp3', 'b/song.mp3'), the later one gets a number: 'song', 'song (2)'. A folder that an
    earlier run made for the same file is used again.
    """
    folders: dict[Path, Path] = {}
    taken: set[str] = set()
    for path in paths:
        number = 1
        while True:
            name = _portable(path.stem) if number == 1 else f"{_portable(path.stem)} ({number})"
            if name.casefold() not in taken and _owner(out / name) in (None, str(path.resolve())):
                break
            number += 1
        taken.add(name.casefold())
        folders[path] = out / name
    return folders


def _owner(folder: Path) -> str | None:
    """Return the input of a folder's estimates; None for an empty folder, '' for one with other files."""
    if folder.exists() and not folder.is_dir():
        return ""
    if not folder.is_dir() or all(child.name.startswith(".") for child in folder.iterdir()):
        return None
    for name in (RECORD, ENSEMBLE_RECORD):
        try:
            document = load_json(folder / name, "a record")
        except DataError:
            continue
        if isinstance(document, dict) and isinstance(document.get("input"), str):
            return str(document["input"])
    return ""


def _portable(stem: str) -> str:
    """Return a folder name that every file system takes, with a digest where characters were replaced."""
    text = display_name(stem)
    safe = "".join("_" if char in '<>:"/\\|?*' or ord(char) < 32 else char for char in text).rstrip(" .")
    if safe == text and len(safe.encode()) <= 150:
        return safe
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{safe.encode()[:140].decode('utf-8', 'ignore')}-{digest}"
