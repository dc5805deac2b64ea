"""Writer of shards: closed HDF5 files of excerpts in which one source is silent.

A shard holds one source. Its excerpts lie one after the other in `/audio` (frames, channels) int16; the table
`/excerpts` states for each where it starts, how long it is, which track it comes from, and its own scale
(audio = int16 * scale, so that quiet excerpts keep 15 bits and decoded peaks above 1 do not clip). A shard appears
under its name when it is complete and on the disk, and is never altered afterwards. `mined.shards.reader` reads one,
`mined.excerpts` a folder of them; docs/reference/formats.md has the details.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float32

from remix_miner.atomic import start_sync, sync_file, sync_folder
from remix_miner.audio import display_name
from remix_miner.checkpoint import sha256_of_file
from remix_miner.errors import DataError, UsageError, WriteError
from remix_miner.mined.shards.files import ClosedShard, is_shard_name
from remix_miner.mined.shards.format import EXCERPT_DTYPE, FORMAT, FORMAT_VERSION, quantise
from remix_miner.sources import SOURCES

SHARD_SECONDS = 1200.0
"""A sensible length at which to close a shard: 212 MB of 44.1 kHz stereo, little work lost when a scan is killed."""

RESERVE_BYTES = 2 << 20
"""Kept free for what HDF5 writes beside an excerpt: mostly its tree of chunks."""


class ShardWriter:
    """Writer of one shard. The file appears under its name, complete, at `close`.

    ``folder`` is the mined folder (shards go to ``folder/shards``) and ``shard_id`` must be unique in it; the file is
    ``<source>-<shard_id>.h5``. ``threshold`` is the least probability of silence required of each window, and
    ``settings`` are the scan's, JSON-able.

    End with `close` or `abandon`, or use it as a context manager, which closes, or abandons after an error. A killed
    process leaves only a hidden temporary file (``.<name>.tmp-<pid>.h5``) that the next scan removes.

    A full disk raises `DataError` and the shard must be abandoned. Space is reserved before HDF5 writes into it, since
    the HDF5 library crashes the process when it cannot flush (seen with HDF5 2.0).
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        source: str,
        *,
        sample_rate: int = 44100,
        channels: int = 2,
        detector_sha256: str,
        threshold: float,
        settings: Mapping[str, Any],
        shard_id: str | int,
    ) -> None:
        if source not in SOURCES:
            raise UsageError(f"unknown source {source!r}; choose among {', '.join(SOURCES)}")
        name = f"{source}-{shard_id}"
        if not is_shard_name(f"{name}.h5"):
            raise UsageError(f"shard id {shard_id!r} may hold letters, digits, '-' and '_' only")
        self.source = source
        self.sample_rate = sample_rate
        self.channels = channels
        self.frames = 0
        self._rows: list[dict[str, Any]] = []
        self.path = Path(folder) / "shards" / f"{name}.h5"
        self.temporary = self.path.with_name(f".{name}.tmp-{os.getpid()}.h5")
        if self.path.exists():
            raise DataError(f"{self.path} exists, and a finished shard is never altered; use another shard id")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # HDF5's own lock is off: the temporary name is this process's, and some network file systems refuse locks.
            # Its chunk cache is off, so that what is appended is written at once, into the space reserved for it.
            self._file: h5py.File | None = h5py.File(self.temporary, "w", locking=False, rdcc_nbytes=0)
        except OSError as error:
            raise DataError(f"{self.path.parent}: cannot write a shard here: {error}") from error
        self._file.attrs.update(
            format=FORMAT,
            format_version=FORMAT_VERSION,
            source=source,
            sample_rate=sample_rate,
            channels=channels,
            detector_sha256=detector_sha256,
            threshold=float(threshold),
            settings=json.dumps(dict(settings), sort_keys=True),
        )
        self._audio = self._file.create_dataset(
            "audio", (0, channels), maxshape=(None, channels), chunks=(sample_rate, channels), dtype="<i2"
        )

    @property
    def excerpts(self) -> int:
        """Number of excerpts so far."""
        return len(self._rows)

    @property
    def seconds(self) -> float:
        """Seconds of audio so far."""
        return self.frames / self.sample_rate

    def append(
        self,
        audio: Float32[np.ndarray, "T C"],
        *,
        track: str,
        track_sha256: str,
        start_seconds: float,
        probability_mean: float,
        probability_min: float,
        expected_volume_db: float = float("nan"),
    ) -> None:
        """Add an excerpt (frames, channels) at the shard's rate and channels, of any level.

        ``track`` is the path as scanned (`LibraryFile.name`) and ``start_seconds`` the place in it.
        ``expected_volume_db`` is passed on to the catalogue and not stored here. Raises ValueError for another shape,
        an empty excerpt, or NaN and infinity, and leaves the shard as it was.
        """
        if self._file is None:
            raise ValueError(f"{self.path.name} is closed")
        if audio.ndim != 2 or audio.shape[1] != self.channels or not len(audio):
            raise ValueError(f"an excerpt is (frames, {self.channels}) with at least one frame, got {audio.shape}")
        peak = float(max(audio.max(), -audio.min()))
        if not np.isfinite(peak):
            raise ValueError(f"excerpt of {display_name(track)} at {start_seconds:.2f} s holds NaN or infinity")
        samples, scale = quantise(audio, peak)
        start_frame, self.frames = self.frames, self.frames + len(audio)
        with self._disk_errors():
            self._reserve(samples.nbytes + self.sample_rate * self.channels * 2)
            self._audio.resize(self.frames, axis=0)
            end_before = self._file.id.get_filesize()
            self._audio[start_frame:] = samples
            start_sync(self.temporary, end_before)
        self._rows.append(
            {
                "track": track,
                "track_sha256": track_sha256,
                "start_seconds": float(start_seconds),
                "start_frame": start_frame,
                "frames": len(audio),
                "scale": float(scale),
                "probability_mean": float(probability_mean),
                "probability_min": float(probability_min),
                "expected_volume_db": float(expected_volume_db),
            }
        )

    def close(self) -> ClosedShard | None:
        """Finish the shard: table, flush to the disk, rename. Returns None, and leaves no file, when it is empty."""
        if self._file is None:
            raise ValueError(f"{self.path.name} is closed")
        if not self._rows:
            self.abandon()
            return None
        table = np.array(
            [tuple(row[name] for name in EXCERPT_DTYPE.names or ()) for row in self._rows],
            dtype=EXCERPT_DTYPE,
        )
        with self._disk_errors():
            self._reserve(table.nbytes + sum(4 * len(name) + 64 for name in table["track"]))
            self._file.create_dataset("excerpts", data=table)
            self._file.flush()
            end = self._file.id.get_filesize()
            file, self._file = self._file, None
            file.close()
            os.truncate(self.temporary, end)  # give back what was reserved and not used
            digest, size = sha256_of_file(self.temporary), self.temporary.stat().st_size
            sync_file(self.temporary)
            if self.path.exists():
                raise DataError(f"{self.path} appeared while it was written; use a shard id of your own")
            os.replace(self.temporary, self.path)
            sync_folder(self.path.parent)
        return ClosedShard(self.path, self.source, self._rows, digest, size, self.frames, self.sample_rate)

    def abandon(self) -> None:
        """Discard the shard and remove its temporary file. No effect after `close`."""
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(Exception):
                file.close()
        self.temporary.unlink(missing_ok=True)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abandon()
        elif self._file is not None:
            self.close()

    def _reserve(self, size: int) -> None:
        """Reserve ``size`` more bytes in the file system, or raise OSError while HDF5 has no pending writes."""
        if self._file is not None and hasattr(os, "posix_fallocate"):
            with open(self.temporary, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, self._file.id.get_filesize() + size + RESERVE_BYTES)

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:  # h5py raises RuntimeError for some failed writes
            raise WriteError(
                f"cannot write {self.path}: {str(error).splitlines()[0]}; finished shards are intact: make room and "
                "run the same command again"
            ) from error
