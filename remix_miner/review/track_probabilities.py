"""Probabilities of silence around a stretch of a track, for all sources: stored by the scan, or computed again."""

import math
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from remix_miner.audio import AudioReader, downmix, resample
from remix_miner.detector.loading import LoadedDetector, load_detector
from remix_miner.detector.stream import track_probabilities
from remix_miner.detector.windows import HOP_SECONDS, SAMPLE_RATE
from remix_miner.errors import RemixMinerError
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.mined.probabilities import ProbabilityStore
from remix_miner.sources import SOURCES

Probabilities = Float32[np.ndarray, "S W"]
HELD_STRETCHES = 64

MARGIN_WINDOWS = 128
"""Windows computed on both sides and dropped: twice the overlap of a scan's parts, so that values equal the scan's."""


class TrackProbabilities:
    """Probabilities of stretches of tracks of one mined folder; thread-safe, with a cache of the latest stretches.

    The source is ``folder/probabilities.sqlite``. For a folder without this file, probabilities are computed from the
    library's file with ``detector``. It must be the detector of the scan (``detector_sha256``), since another one has
    other thresholds. Otherwise `around` returns None and ``reason`` holds the explanation.
    """

    def __init__(self, folder: Path, library: LibraryFolders, detector: str, detector_sha256: str | None) -> None:
        self.folder = folder
        self.library = library
        self.reason: str | None = None
        self._wanted = (detector, detector_sha256)
        self._lock = threading.Lock()
        self._loaded: LoadedDetector | None = None
        self._held: OrderedDict[tuple[str, int, int], tuple[int, Probabilities]] = OrderedDict()

    def around(self, track: str, start_seconds: float, end_seconds: float) -> tuple[int, Probabilities] | None:
        """Return the index of the first window, and P (4, W) of all windows centred in a stretch, ordered as SOURCES.

        P is NaN for windows without a label. The result is None where P is neither stored nor computable: the file is
        missing or does not decode, or the detector is another one.
        """
        first, last = max(math.ceil(start_seconds / HOP_SECONDS), 0), int(end_seconds / HOP_SECONDS)
        key = (track, first, last)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
            if (stored := self._stored(track)) is not None:
                return first, stored[:, first : last + 1]
            path = self.library.path_of(track)
            if path is None or (detector := self._detector()) is None:
                return None
            try:
                found = first, probabilities_of_windows(detector, path, first, last)
            except RemixMinerError:
                return None
            self._held[key] = found
            if len(self._held) > HELD_STRETCHES:
                self._held.popitem(last=False)
            return found

    def _stored(self, track: str) -> Probabilities | None:
        try:
            with ProbabilityStore(self.folder, to_read=True) as store:
                return store.read(track)
        except RemixMinerError:  # there is none, or it is damaged
            return None

    def _detector(self) -> LoadedDetector | None:
        name, sha256 = self._wanted
        if self._loaded is None and self.reason is None:
            import torch

            torch.set_num_threads(1)  # stretches are short, and the server's other threads need the cores
            try:
                loaded = load_detector(name)
            except RemixMinerError as error:
                self.reason = str(error)
                return None
            if sha256 not in (None, loaded.sha256):
                self.reason = (
                    f"the folder was mined with the detector {str(sha256)[:12]}..., {name!r} is "
                    f"{loaded.sha256[:12]}...; name the former with --detector"
                )
                return None
            self._loaded = loaded
        return self._loaded


def probabilities_of_windows(detector: LoadedDetector, path: Path, first: int, last: int) -> Probabilities:
    """Return P (S, W) of the windows ``first`` to ``last`` of a file, as far as it decodes."""
    from_window = max(first - MARGIN_WINDOWS, 0)
    with AudioReader(path) as reader:
        rate = reader.sample_rate
        start = round(from_window * HOP_SECONDS * rate)
        frames = round((last + 1 + MARGIN_WINDOWS - from_window) * HOP_SECONDS * rate)
        block = next(iter(reader.blocks(frames, start)), None)
        if block is None:
            return np.zeros((len(SOURCES), 0), dtype=np.float32)
        mono = resample(downmix(block.T)[None], rate, SAMPLE_RATE)[0]
    found: Probabilities = track_probabilities(detector.model, mono)[:, first - from_window : last + 1 - from_window]
    return found


def curves(first: int, probabilities: Probabilities) -> dict[str, object]:
    """Return ``first_seconds``, ``hop_seconds``, and P per source (None without a label), for JSON."""
    return {
        "first_seconds": first * HOP_SECONDS,
        "hop_seconds": HOP_SECONDS,
        "sources": {
            source: [None if math.isnan(value) else round(float(value), 4) for value in probabilities[row]]
            for row, source in enumerate(SOURCES)
        },
    }
