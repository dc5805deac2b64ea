"""Tracks of a mined folder that is mined again: their files, and what their stored probabilities give."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from remix_miner.audio import display_name
from remix_miner.datasets.library import LibraryFile, file_name_of
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.windows import HOP_SECONDS, WINDOW_SECONDS
from remix_miner.errors import DataError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.mined.probabilities import ProbabilityStore, StoredTrack
from remix_miner.mined.probability_codes import Probabilities
from remix_miner.mined.reviews.by_stretch import wrong_stretches
from remix_miner.mining.messages import KnownSpans
from remix_miner.mining.promises import seconds_at_purities
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.track.cut import find_spans
from remix_miner.sources import SOURCES

PurityRows = list[tuple[float, str, float]]
"""Purity, source, and the seconds that a scan at that purity finds in a track."""


@dataclass(frozen=True)
class DoneTrack:
    """A track that is done in the old folder, with its number of channels and its remark."""

    name: str
    seconds: float
    channels: int
    problem: str | None


def waiting_tracks(
    catalogue: Catalogue,
    old: CatalogueView,
    known: ProbabilityStore,
    folders: LibraryFolders,
    copies: Container[str],
) -> Iterator[tuple[DoneTrack, StoredTrack]]:
    """Return the tracks that are done in the old folder and not in the new one, without ``copies``."""
    rows = old.database.execute(
        "SELECT path, seconds, channels, error FROM tracks WHERE status = 'done' ORDER BY path"
    ).fetchall()
    scanned = {name: (size, mtime_ns) for name, size, mtime_ns in known.files()}
    if missing := [name for name, *_ in rows if name not in scanned]:
        raise DataError(
            f"{display_name(old.folder)} has no probabilities of {len(missing)} tracks, for example "
            f"{display_name(missing[0])}: they were scanned by an older version; scan the library into another folder"
        )
    tracks = {name: DoneTrack(name, *row) for name, *row in rows if name not in copies}
    files = [LibraryFile(_path_of(name, folders), name, *scanned[name]) for name in tracks]
    for file in catalogue.register(files):
        stored = known.stored(file.name)
        assert stored is not None
        yield tracks[file.name], stored


def file_of(stored: StoredTrack, folders: LibraryFolders) -> LibraryFile:
    """Return the file of a track, as it was scanned. A missing file fails when it is opened."""
    return LibraryFile(_path_of(stored.track, folders), stored.track, stored.size, stored.mtime_ns)


def _path_of(track: str, folders: LibraryFolders) -> Path:
    return folders.path_of(track) or Path(file_name_of(track))


def known_spans(
    old: CatalogueView, stored: StoredTrack, settings: ScanSettings, calibration: Calibration | None
) -> tuple[KnownSpans, PurityRows]:
    """Return the spans of a track at the new thresholds, and what ``calibration`` gives at other purities."""
    probabilities = stored.probabilities
    rows = _rows_of(stored, probabilities, settings, calibration)
    for source, start, end in wrong_stretches(old.database, stored.track):
        probabilities[SOURCES.index(source), _touching(probabilities.shape[1], start, end)] = np.nan
    found = find_spans(probabilities, _all_windows(probabilities), stored.frames, stored.sample_rate, settings)
    return KnownSpans(stored.sha256, stored.sample_rate, stored.frames, found), rows


def at_purities(
    known: ProbabilityStore,
    catalogue: Catalogue,
    settings: ScanSettings,
    calibration: Calibration,
    found: Mapping[str, PurityRows],
) -> Iterator[tuple[str, float, str, float]]:
    """Yield (track, purity, source, seconds) for the tracks that are done.

    ``found``: the rows by `known_spans`. Tracks of an earlier call that was interrupted are read for them.
    """
    for name in catalogue.done_tracks():
        rows = found.get(name)
        if rows is None:
            stored = known.stored(name)
            assert stored is not None
            rows = _rows_of(stored, stored.probabilities, settings, calibration)
        for row in rows:
            yield name, *row


def _rows_of(
    stored: StoredTrack, probabilities: Probabilities, settings: ScanSettings, calibration: Calibration | None
) -> PurityRows:
    seconds = stored.frames / stored.sample_rate
    return seconds_at_purities(probabilities, _all_windows(probabilities), seconds, settings, calibration)


def _all_windows(probabilities: Probabilities) -> Bool[np.ndarray, " W"]:
    """Return every window as valid: where one is not, P is NaN, and fails."""
    return np.ones(probabilities.shape[1], dtype=bool)


def _touching(windows: int, start_seconds: float, end_seconds: float) -> Bool[np.ndarray, " W"]:
    """Return the windows that share audio with a span."""
    centres = np.arange(windows) * HOP_SECONDS
    touching: Bool[np.ndarray, " W"] = (centres + WINDOW_SECONDS / 2 > start_seconds) & (
        centres - WINDOW_SECONDS / 2 < end_seconds
    )
    return touching
