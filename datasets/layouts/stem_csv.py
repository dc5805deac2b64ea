"""Stem lists: CSV files with the columns ``instrum,path``, type 3 of Music-Source-Separation-Training (MSST).

Each row is isolated material: its other sources are absent, and `SegmentReader` draws it for its own source only.
Relative paths count from the CSV's folder. Rows whose ``instrum`` is not one of the four sources cannot be used.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.layouts.base import Layout
from remix_miner.datasets.layouts.stem_folder import StemFolder
from remix_miner.datasets.songs import Song
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES

COLUMNS = ("instrum", "path")


def _lists(corpus: Path) -> list[Path]:
    try:
        files = sorted(file for file in corpus.glob("*.csv") if file.is_file())
    except OSError:
        return []
    return [file for file in files if set(COLUMNS) <= set(_header(file))]


def _header(file: Path) -> list[str]:
    try:
        with open(file, newline="", encoding="utf-8") as lines:
            return next(csv.reader(lines), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _songs(corpus: Path) -> Iterator[Song]:
    for file in _lists(corpus):
        try:
            with open(file, newline="", encoding="utf-8") as lines:
                rows = [(row["instrum"] or "", row["path"] or "") for row in csv.DictReader(lines)]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{display_name(file)} cannot be read: {error}; write it again") from error
        names = Counter(Path(path).stem for _, path in rows)
        for number, (source, path) in enumerate(rows, start=2):
            unique = names[Path(path).stem] == 1
            yield _song(file, number, source.strip().casefold(), corpus / path.strip(), unique)


def _song(file: Path, line: int, source: str, path: Path, unique: bool) -> Song:
    where = f"{display_name(file)}, line {line}"
    name = display_name(path.stem if unique else f"{path.parent.name} {path.stem} {line}")
    if source not in SOURCES:
        problem = f"{where}: {source!r} is not one of {', '.join(SOURCES)}; correct the line or remove it"
        return Song(name, path.parent, None, {}, problem=problem)
    try:
        stem = StemFolder(path.parent).stem(path.stem)
    except DataError as error:
        return Song(name, path.parent, None, {}, problem=f"{where}: {error}")
    if stem is None:
        return Song(name, path.parent, None, {}, problem=f"{where}: {display_name(path)} does not exist; correct it")
    absent = tuple(other for other in SOURCES if other != source)
    return Song(name, path.parent, None, {source: (stem,)}, absent=absent)


STEM_CSV = Layout(
    "stem-csv", "*.csv with the columns instrum,path, one file a row", lambda corpus: bool(_lists(corpus)), _songs
)
"""Isolated files, listed."""
