"""Reader of one closed shard: attributes, table of excerpts, and any part of any excerpt."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float32, Int16

from remix_miner.errors import DataError
from remix_miner.mined.shards.format import EXCERPT_DTYPE, FORMAT, FORMAT_VERSION
from remix_miner.sources import SOURCES


class Shard:
    """A closed shard, open for reading: its attributes, the table `excerpts`, and `read`. Opening checks the file.

    Raises `DataError` for a file that is damaged, truncated, of another kind or of a newer format. Handles must not
    cross a fork: open in the process that reads (`MinedExcerpts` does).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            # No cache: crops are random and chunks are not compressed, so only the required rows are read.
            self._file = h5py.File(self.path, "r", locking=False, rdcc_nbytes=0)
        except FileNotFoundError:
            raise DataError(f"{self.path} does not exist") from None
        except (OSError, RuntimeError, ValueError) as error:
            raise _damaged(self.path, _first_line(error)) from error
        try:
            self._check_format()
            self.source: str = self._file.attrs["source"]
            self.sample_rate = int(self._file.attrs["sample_rate"])
            self.channels = int(self._file.attrs["channels"])
            self.detector_sha256: str = self._file.attrs["detector_sha256"]
            self.threshold = float(self._file.attrs["threshold"])
            self.settings: dict[str, Any] = json.loads(self._file.attrs["settings"])
            self._audio = self._own_dataset("audio")
            self.frames = int(self._audio.shape[0])
            self.excerpts: np.ndarray = self._own_dataset("excerpts")[:]
            """Structured array, one row an excerpt; `track` and `track_sha256` are bytes (UTF-8)."""
            self._check_table()
        except (
            KeyError,
            OSError,
            RuntimeError,
            ValueError,
            TypeError,
            AttributeError,
            IndexError,
            MemoryError,
        ) as error:
            self.close()
            raise _damaged(self.path, _first_line(error)) from error
        except DataError:
            self.close()
            raise

    def _check_format(self) -> None:
        found = self._file.attrs.get("format")
        if found != FORMAT:
            raise DataError(f"{self.path} is not a shard of excerpts (format {found!r}, expected {FORMAT!r})")
        version = int(self._file.attrs["format_version"])
        if version > FORMAT_VERSION:
            raise DataError(
                f"{self.path} has format version {version}, this Remix Miner reads up to {FORMAT_VERSION}: "
                "update remix-miner"
            )

    def _own_dataset(self, name: str) -> Any:
        """Return a dataset stored in this file. Links and external storage are refused: they could read any file."""
        if not isinstance(self._file.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"/{name} is a link or missing")
        dataset = self._file[name]
        if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
            raise ValueError(f"/{name} is no dataset, or lies in another file")
        return dataset

    def _check_table(self) -> None:
        if self.source not in SOURCES or self.sample_rate <= 0 or self.channels <= 0 or self._audio.ndim != 2:
            raise ValueError(f"source {self.source!r}, {self.sample_rate} Hz, {self.channels} channels")
        if self.excerpts.ndim != 1 or not set(EXCERPT_DTYPE.names or ()) <= set(self.excerpts.dtype.names or ()):
            raise ValueError("the table of excerpts lacks columns")
        for name, expected in EXCERPT_DTYPE.fields.items() if EXCERPT_DTYPE.fields else ():
            if self.excerpts.dtype[name] != expected[0]:
                raise ValueError(f"the column {name!r} has type {self.excerpts.dtype[name]}")

    def row_of(self, first: int, frames: int) -> tuple[int, int]:
        """Return the excerpt that contains ``frames`` of `/audio` from row ``first``, and their offset in it."""
        row = int(np.searchsorted(self.excerpts["start_frame"], first, side="right")) - 1
        if row >= 0:
            offset = first - int(self.excerpts[row]["start_frame"])
            if offset + frames <= int(self.excerpts[row]["frames"]):
                return row, offset
        raise DataError(f"{self.path} and the catalogue do not belong together; run `remix-miner inspect --verify`")

    def read(self, row: int, start_frame: int = 0, frames: int | None = None) -> Float32[np.ndarray, "C T"]:
        """Return audio (channels, frames) of excerpt ``row``: ``frames`` from ``start_frame``, or to its end."""
        stored = self.read_stored(row, start_frame, frames)
        audio: Float32[np.ndarray, "C T"] = np.multiply(
            stored.T, self.excerpts[row]["scale"], dtype=np.float32, order="C"
        )
        return audio

    def read_stored(self, row: int, start_frame: int = 0, frames: int | None = None) -> Int16[np.ndarray, "T C"]:
        """Return the stored samples (frames, channels); multiplied by the excerpt's ``scale`` they are the audio."""
        excerpt = self.excerpts[row]
        length = int(excerpt["frames"])
        frames = length - start_frame if frames is None else frames
        if start_frame < 0 or frames < 0 or start_frame + frames > length:
            raise ValueError(f"excerpt {row} has {length} frames, wanted {frames} from {start_frame}")
        first = int(excerpt["start_frame"]) + start_frame
        try:
            stored: Int16[np.ndarray, "T C"] = self._audio[first : first + frames]
        except OSError as error:
            raise _damaged(self.path, _first_line(error)) from error
        if len(stored) != frames:
            raise _damaged(self.path, f"/audio ends at frame {self.frames}, excerpt {row} needs {first + frames}")
        return stored

    def problems(self) -> list[str]:
        """Return the problems of the table and of the length of the stored audio. Reads no audio."""
        found = []
        starts, lengths = self.excerpts["start_frame"], self.excerpts["frames"]
        expected = np.concatenate([[0], np.cumsum(lengths)])
        if self._audio.ndim != 2 or self._audio.shape[1] != self.channels or self._audio.dtype != np.int16:
            found.append(f"/audio is {self._audio.dtype} {self._audio.shape}, expected int16 (frames, {self.channels})")
        if (lengths <= 0).any() or not np.array_equal(starts, expected[:-1]):
            found.append("the excerpts of the table do not lie one after the other")
        if expected[-1] != self.frames:
            found.append(f"the table states {expected[-1]} frames, /audio holds {self.frames}")
        if not (np.isfinite(self.excerpts["scale"]).all() and (self.excerpts["scale"] > 0).all()):
            found.append("a scale is not a positive number")
        return found

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "Shard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(
        f"{path} is damaged ({reason}); delete it and run `remix-miner detect` again: its tracks are then scanned anew"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
