"""Probabilities of silence of whole tracks, all sources: computed from the library's file as a scan computes them."""

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from remix_miner.audio import AudioReader, StreamResampler, downmix
from remix_miner.detector.loading import LoadedDetector, load_detector
from remix_miner.detector.stream import ProbabilityStream
from remix_miner.detector.windows import HOP_SECONDS, SAMPLE_RATE
from remix_miner.errors import RemixMinerError
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.sources import SOURCES

Probabilities = Float32[np.ndarray, "S W"]
HELD_TRACKS = 16


class TrackProbabilities:
    """Of tracks of one mined folder, for many threads; the last ones are kept.

    ``detector_sha256`` is the detector that the folder was mined with: another one tells of other thresholds, so
    ``reason`` then says why there are no probabilities, and `of` gives None.
    """

    def __init__(self, library: LibraryFolders, detector: str, detector_sha256: str | None) -> None:
        self.library = library
        self.reason: str | None = None
        self._wanted = (detector, detector_sha256)
        self._lock = threading.Lock()
        self._loaded: LoadedDetector | None = None
        self._held: OrderedDict[str, Probabilities] = OrderedDict()

    def of(self, track: str) -> Probabilities | None:
        """(4, W) of a track in the order of SOURCES, or None: no file, no detector, or the file cannot be decoded."""
        with self._lock:
            if track in self._held:
                self._held.move_to_end(track)
                return self._held[track]
            path = self.library.path_of(track)
            detector = self._detector()
            if path is None or detector is None:
                return None
            try:
                found = probabilities_of_file(detector, path)
            except RemixMinerError:
                return None
            self._held[track] = found
            if len(self._held) > HELD_TRACKS:
                self._held.popitem(last=False)
            return found

    def _detector(self) -> LoadedDetector | None:
        name, sha256 = self._wanted
        if self._loaded is None and self.reason is None:
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


def probabilities_of_file(detector: LoadedDetector, path: Path) -> Probabilities:
    """P_i of every window of a file (S, W), as far as it decodes."""
    stream = ProbabilityStream(detector.model)
    pieces: list[Probabilities] = []
    with AudioReader(path) as reader:
        to_detector = StreamResampler(reader.sample_rate, SAMPLE_RATE, 1)
        for block in reader.blocks():
            pieces.append(stream.push(to_detector(downmix(block.T)[:, None])[:, 0]))
        pieces.append(stream.push(to_detector(np.zeros((0, 1), dtype=np.float32), last=True)[:, 0]))
    return np.concatenate([*pieces, stream.finish()], axis=1)


def curves(probabilities: Probabilities, start_seconds: float, end_seconds: float) -> dict[str, object]:
    """The windows centred in a stretch, for the page: ``first_seconds``, ``hop_seconds``, and P per source."""
    first = max(int(np.ceil(start_seconds / HOP_SECONDS)), 0)
    last = min(int(end_seconds / HOP_SECONDS) + 1, probabilities.shape[1])
    return {
        "first_seconds": first * HOP_SECONDS,
        "hop_seconds": HOP_SECONDS,
        "sources": {
            source: [round(float(value), 4) for value in probabilities[row, first:last]]
            for row, source in enumerate(SOURCES)
        },
    }
