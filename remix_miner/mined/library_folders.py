"""Library folders of a catalogue: the scanned folders by label, and the files of its track names."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from remix_miner.datasets.library import file_name_of, folder_labels
from remix_miner.errors import DataError

KEY = "library_json"
"""In the catalogue's table `meta`: the folders of the last scan, label -> absolute path."""


class LibraryFolders:
    """Scanned folders by label, the first part of a track's name."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.folders = dict(folders)

    @classmethod
    def of(cls, database: sqlite3.Connection, paths: Sequence[Path] = ()) -> "LibraryFolders":
        """Return the folders stored in the catalogue. ``paths``, as for `detect`, take precedence."""
        row = database.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
        remembered = {label: Path(path) for label, path in json.loads(row[0]).items()} if row else {}
        for path in paths:
            if not path.exists():
                raise DataError(f"{path} does not exist; name the library as for `remix-miner detect`")
        return cls(remembered | folder_labels(paths))

    def path_of(self, track: str) -> Path | None:
        """Return the file of a track, or None for an unknown folder or a missing file."""
        label, _, rest = track.partition("/")
        folder = self.folders.get(label)
        if folder is None:
            return None
        path = folder / file_name_of(rest) if rest else folder
        return path if path.is_file() else None


def remember_folders(database: sqlite3.Connection, paths: Sequence[Path]) -> None:
    """Store the scanned folders in the catalogue, within a transaction, beside those of earlier scans.

    A folder that moved keeps its label. Raises `DataError` where another folder with a known label is still there:
    files of both would have the same names.
    """
    row = database.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
    folders = json.loads(row[0]) if row else {}
    for label, path in folder_labels(paths).items():
        before = Path(folders.get(label, path))
        if before.exists() and not before.samefile(path):
            raise DataError(
                f"tracks are named after the last part of the library's path, and {label!r} is {before} here: "
                f"{path} would take its names. Choose another --out, rename one of the two, or give both to one "
                "detect, always in the same order"
            )
        folders[label] = str(path.absolute())
    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (KEY, json.dumps(folders)))


def take_folders(database: sqlite3.Connection) -> None:
    """Add the folders stored in the attached catalogue ``part``, within a transaction. Existing labels are kept."""
    found = {
        schema: database.execute(f"SELECT value FROM {schema}.meta WHERE key = ?", (KEY,)).fetchone()
        for schema in ("part", "main")
    }
    if found["part"] is not None:
        folders = json.loads(found["part"][0]) | json.loads(found["main"][0] if found["main"] else "{}")
        database.execute("INSERT OR REPLACE INTO main.meta VALUES (?, ?)", (KEY, json.dumps(folders)))
