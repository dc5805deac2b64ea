"""HDF5 cache of stems at the model's rate and channels, for fast reads of random segments.

Measured by `benchmarks/speed/train_feed.py`: 2.5 to 3 times the reads per second of wav files, 8 to 10 times those of
flac. Audio is int16 with one scale per source (16-bit sources at their own rate are exact up to rounding), laid
out as in shards: (frames, channels), one-second chunks, no filter. A source that is digital silence takes no space.
The file is named after the fingerprint of what it holds, so an old cache is not read for changed stems.
"""

import os
from pathlib import Path

import h5py
import numpy as np

from remix_miner.atomic import atomic_path
from remix_miner.audio import Audio
from remix_miner.datasets.segments import SegmentReader
from remix_miner.errors import DataError
from remix_miner.progress import track as progress
from remix_miner.sources import SOURCES

FORMAT = "remix-miner/stem-cache"
FORMAT_VERSION = 1


class StemCache:
    """Reader of segments of the cache; opens its file in each process, so workers may receive it."""

    def __init__(self, path: str | Path, fingerprint: str) -> None:
        self.path = Path(path)
        self.fingerprint = fingerprint
        self._file: h5py.File | None = None
        self._process = 0

    def __call__(self, song: int, source: str, start_frame: int, frames: int) -> Audio:
        """Return (C, frames) of source ``source`` of the song at place ``song`` in the reader's list of tracks."""
        dataset = self._open()[f"{song}/{source}"]
        if dataset.shape is None:
            return np.zeros((int(dataset.attrs["channels"]), frames), dtype=np.float32)
        audio: Audio = dataset[start_frame : start_frame + frames].T * np.float32(dataset.attrs["scale"])
        return audio

    def _open(self) -> h5py.File:
        if self._file is None or self._process != os.getpid():
            self._file = h5py.File(self.path, "r")
            self._process = os.getpid()
            if self._file.attrs.get("fingerprint") != self.fingerprint:
                raise DataError(f"{self.path} is the cache of other stems; remove the file; it is written again")
        return self._file

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_file": None, "_process": 0}


def use_stem_cache(reader: SegmentReader, folder: str | Path) -> Path:
    """Make ``reader`` read from the cache in ``folder``, which is written first when it is not there yet.

    Several processes may do so at once: each writes its own temporary file, and the last rename wins with equal
    content. Returns the cache's path.
    """
    path = Path(folder) / f"stems-{reader.fingerprint[:16]}.h5"
    if not path.is_file():
        _write(reader, path)
    reader.use(StemCache(path, reader.fingerprint))
    return path


def _write(reader: SegmentReader, path: Path) -> None:
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(
            {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "fingerprint": reader.fingerprint,
                "sample_rate": reader.sample_rate,
                "channels": reader.channels,
            }
        )
        for song, stems in enumerate(progress(reader.tracks, "caching stems")):
            for source in SOURCES:
                _add(file, f"{song}/{source}", stems.read_source(source), reader.sample_rate)


def _add(file: h5py.File, name: str, audio: Audio, sample_rate: int) -> None:
    channels, frames = audio.shape
    peak = float(np.abs(audio).max(initial=0.0))
    if peak == 0:
        file.create_dataset(name, data=h5py.Empty("i2")).attrs["channels"] = channels
        return
    # 1/32768 keeps 16-bit audio as it is; other audio is scaled so that its peak is full scale.
    scale = 1 / 32768 if _is_16_bit(audio) else peak / 32767
    samples = np.round(audio.T / np.float32(scale)).astype(np.int16)
    dataset = file.create_dataset(name, data=samples, chunks=(min(sample_rate, frames), channels))
    dataset.attrs.update({"scale": scale, "channels": channels})


def _is_16_bit(audio: Audio) -> bool:
    scaled = audio * np.float32(32768)
    return bool(np.all(scaled == np.round(scaled)) and scaled.max(initial=0) <= 32767)
