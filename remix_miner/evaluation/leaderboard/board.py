"""Leaderboard on disk: a folder of rows, one JSON file each, never altered, so that git or rsync can synchronise it.

``board.json`` names the format; ``rows/<name>-<digest>.json`` holds one result and when it was added. A row's file is
named after its content, so adding the same result twice is noticed and two people never write the same file.
"""

import datetime
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remix_miner.atomic import write_json
from remix_miner.audio import display_name
from remix_miner.errors import DataError
from remix_miner.evaluation.result_schema import BoardFile, RowFile
from remix_miner.evaluation.results import Result
from remix_miner.schema import checked, load_json

BOARD_FORMAT = "remix-miner/leaderboard"
ROW_FORMAT = "remix-miner/leaderboard-row"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Row:
    """A result on the board. ``document`` is the result's JSON, aggregates included."""

    id: str
    added: str
    document: dict[str, Any]

    @property
    def result(self) -> Result:
        return Result.from_document(self.document, f"row {self.id}")


class Leaderboard:
    """Rows of one folder, which is created with the first row."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        board = self.folder / "board.json"
        if board.exists():
            document = checked(_read(board, BOARD_FORMAT), BoardFile, f"{display_name(board)} is damaged")
            self.title = document.get("title", "Leaderboard")
        elif self.folder.exists() and not self.folder.is_dir():
            raise DataError(f"--board {display_name(self.folder)} is a file, not a folder; choose another folder")
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            raise DataError(f"{self.folder} holds other files and no leaderboard; choose another --board")
        else:
            self.title = "Leaderboard"

    def add(self, result: Result) -> Row:
        """Append a result; raises `DataError` where a row of its name and corpus is there already."""
        document = result.document()
        for row in self.rows():
            if row.document["name"] == result.name and row.document["corpus"] == document["corpus"]:
                same = row.document["tracks"] == document["tracks"]
                problem = (
                    "is on the board already" if same else "has other scores there; give this one a --name of its own"
                )
                raise DataError(f"{result.name!r} on {result.corpus['name']} {problem} (row {row.id})")
        content = json.dumps(document, sort_keys=True).encode()
        slug = re.sub(r"[^a-z0-9]+", "-", result.name.lower()).strip("-")[:40] or "row"
        row = Row(f"{slug}-{hashlib.sha256(content).hexdigest()[:8]}", _now(), document)
        if not (self.folder / "board.json").exists():
            head = {"format": BOARD_FORMAT, "format_version": FORMAT_VERSION, "title": self.title}
            write_json(self.folder / "board.json", head)
        head = {"format": ROW_FORMAT, "format_version": FORMAT_VERSION}
        write_json(self.folder / "rows" / f"{row.id}.json", {**head, "added": row.added, "result": document})
        return row

    def rows(self) -> list[Row]:
        """Return all rows, oldest first. Raises `DataError` for a file that is not a row."""
        found = []
        for path in sorted((self.folder / "rows").glob("*.json")):
            if not path.name.startswith("."):
                document = checked(_read(path, ROW_FORMAT), RowFile, f"{display_name(path)} is damaged")
                found.append(Row(path.stem, document["added"], dict(document["result"])))
        return sorted(found, key=lambda row: (row.added, row.id))


def _read(path: Path, wanted: str) -> dict[str, Any]:
    document: dict[str, Any] = load_json(path, wanted)
    if not isinstance(document, dict) or document.get("format") != wanted:
        raise DataError(f"{display_name(path)} is not {wanted!r}")
    if document.get("format_version") != FORMAT_VERSION:
        raise DataError(f"{path}: version {document.get('format_version')}; this program reads {FORMAT_VERSION}")
    return document


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
