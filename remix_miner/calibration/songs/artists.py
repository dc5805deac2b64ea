"""Artists of labelled songs: guessed from the names of their tracks, or read from a table."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from remix_miner.datasets.tracks import artist_of
from remix_miner.errors import DataError


def guess_artists(names: Sequence[str]) -> dict[str, str]:
    """Return an artist for each track name: the text before ' - ', else the longest shared prefix that ends at a '_'.

    A prefix that names a data set joins its artists into one, so the number of artists is too small, never too large.

    >>> guess_artists(["Al James - One", "amy_1", "amy_2", "bug_1"])
    {'Al James - One': 'Al James', 'amy_1': 'amy', 'amy_2': 'amy', 'bug_1': 'bug_1'}
    """
    beginnings = {name: [] if " - " in name else _beginnings(name) for name in names}
    shared = Counter(beginning for each in beginnings.values() for beginning in each)
    return {
        name: next((beginning for beginning in beginnings[name] if shared[beginning] > 1), artist_of(name))
        for name in dict.fromkeys(names)
    }


def _beginnings(name: str) -> list[str]:
    """Return the prefixes that end before a '_', the longest first."""
    parts = name.split("_")
    return ["_".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def read_artists(path: str | Path) -> dict[str, str]:
    """Return {track: artist} of a CSV file with the columns ``track`` and ``artist``."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not rows or not {"track", "artist"} <= set(rows[0]):
        raise DataError(f"{path} needs the columns track,artist; it has {','.join(rows[0]) if rows else 'no rows'}")
    return {row["track"]: row["artist"] for row in rows}
