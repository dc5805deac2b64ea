"""Tracks of a mined folder that is mined again: their files, and what their stored probabilities give."""

from collections.abc import Container, Iterator
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
from remix_miner.mined.reviews.by_stretch import wrong_stretches
from remix_miner.mining.messages import KnownSpans
from remix_miner.mining.promises import seconds_at_purities
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.track.cut import find_spans
from remix_miner.sources import SOURCES


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
    names = set(known.tracks())
    if missing := [name for name, *_ in rows if name not in names]:
        raise DataError(
            f"{display_name(old.folder)} has no probabilities of {len(missing)} tracks, for example "
            f"{display_name(missing[0])}: they were scanned by an older version; scan the library into another folder"
        )
    tracks = {name: DoneTrack(name, *row) for name, *row in rows if name not in copies}
    files = []
    for name in tracks:
        stored = known.stored(name)
        assert stored is not None
        files.append(file_of(stored, folders))
    for file in catalogue.register(files):
        stored = known.stored(file.name)
        assert stored is not None
        yield tracks[file.name], stored


def file_of(stored: StoredTrack, folders: LibraryFolders) -> LibraryFile:
    """Return the file of a track, as it was scanned. A missing file fails when it is opened."""
    path = folders.path_of(stored.track) or Path(file_name_of(stored.track))
    return LibraryFile(path, stored.track, stored.size, stored.mtime_ns)


def known_spans(old: CatalogueView, stored: StoredTrack, settings: ScanSettings) -> KnownSpans:
    """Return the spans of a track at the new thresholds."""
    probabilities = stored.probabilities
    for source, start, end in wrong_stretches(old.database, stored.track):
        probabilities[SOURCES.index(source), _touching(probabilities.shape[1], start, end)] = np.nan
    valid = np.ones(probabilities.shape[1], dtype=bool)  # P is NaN, and fails, where a window is not valid
    found = find_spans(probabilities, valid, stored.frames, stored.sample_rate, settings)
    return KnownSpans(stored.sha256, stored.sample_rate, stored.frames, found)


def at_purities(
    known: ProbabilityStore, catalogue: Catalogue, settings: ScanSettings, calibration: Calibration
) -> Iterator[tuple[str, float, str, float]]:
    """Yield (track, purity, source, seconds) that ``calibration`` gives at other purities, for the done tracks."""
    for name in catalogue.done_tracks():
        stored = known.stored(name)
        assert stored is not None
        valid = np.ones(stored.codes.shape[1], dtype=bool)  # P is NaN, and fails, where a window is not valid
        seconds = stored.frames / stored.sample_rate
        for row in seconds_at_purities(stored.probabilities, valid, seconds, settings, calibration):
            yield name, *row


def _touching(windows: int, start_seconds: float, end_seconds: float) -> Bool[np.ndarray, " W"]:
    """Return the windows that share audio with a span."""
    centres = np.arange(windows) * HOP_SECONDS
    touching: Bool[np.ndarray, " W"] = (centres + WINDOW_SECONDS / 2 > start_seconds) & (
        centres - WINDOW_SECONDS / 2 < end_seconds
    )
    return touching
