"""Recordings and their fingerprints."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from remix_miner.datasets.library import LibraryFile, storable_text
from remix_miner.datasets.tracks import Track
from remix_miner.duplicates.fingerprints import PEAK, Peaks


@dataclass(frozen=True)
class Recording:
    """A file or a song of a stem corpus, identified by ``name``, size and modification time."""

    name: str
    audio: Path | Track
    size: int
    mtime_ns: int
    excluded: bool = False

    @classmethod
    def of_file(cls, file: LibraryFile, excluded: bool = False) -> "Recording":
        name = storable_text(str(file.path.absolute())) if excluded else file.name
        return cls(name, file.path, file.size, file.mtime_ns, excluded)

    @classmethod
    def of_track(cls, track: Track) -> "Recording":
        """Return a song that must not be mined: its mixture, or the sum of its stems."""
        files = [track.mixture] if track.mixture else [file for files in track.files.values() for file in files]
        status = [file.path.stat() for file in files]
        return cls(
            storable_text(str(track.folder.absolute() / track.name)),
            track,
            sum(file.st_size for file in status),
            max((file.st_mtime_ns for file in status), default=0),
            excluded=True,
        )


@dataclass(frozen=True)
class Fingerprint:
    """Peaks and length of a recording; no peaks and 0 seconds if it could not be decoded."""

    peaks: Peaks
    seconds: float


NO_FINGERPRINT = Fingerprint(np.zeros(0, dtype=PEAK), 0.0)
