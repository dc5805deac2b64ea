"""One closed shard, open for reading: its attributes, its table of excerpts, and any part of any excerpt."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float32, Int16

from remix_miner.errors import DataError
from remix_miner.mined.writer import FORMAT, FORMAT_VERSION


class Shard:
    """A closed shard, open for reading. Check, attributes, the table `excerpts`, and `read`.

    Raises `DataError` for a file that is damaged, truncated, of another kind or of a newer format. Handles must not
    cross a fork: open in the process that reads (`MinedExcerpts` does).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            # No cache: crops are random and chunks are not compressed, so only the asked rows are read.
            self._file = h5py.File(self.path, "r", locking=False, rdcc_nbytes=0)
        except FileNotFoundError:
            raise DataError(f"{self.path} does not exist") from None
        except OSError as error:
            raise _damaged(self.path, str(error).splitlines()[0]) from error
        try:
            self._check_format()
            self.source: str = self._file.attrs["source"]
            self.sample_rate = int(self._file.attrs["sample_rate"])
            self.channels = int(self._file.attrs["channels"])
            self.detector_sha256: str = self._file.attrs["detector_sha256"]
            self.threshold = float(self._file.attrs["threshold"])
            self.settings: dict[str, Any] = json.loads(self._file.attrs["settings"])
            self._audio = self._file["audio"]
            self.frames = int(self._audio.shape[0])
            self.excerpts: np.ndarray = self._file["excerpts"][:]
            """Structured array, one row an excerpt; `track` and `track_sha256` are bytes (UTF-8)."""
        except (KeyError, OSError, RuntimeError, ValueError) as error:
            self.close()
            raise _damaged(self.path, str(error).splitlines()[0]) from error
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

    def row_of(self, first: int, frames: int) -> tuple[int, int]:
        """The excerpt that holds ``frames`` of `/audio` from its row ``first``, and how far into it they begin."""
        row = int(np.searchsorted(self.excerpts["start_frame"], first, side="right")) - 1
        if row >= 0:
            offset = first - int(self.excerpts[row]["start_frame"])
            if offset + frames <= int(self.excerpts[row]["frames"]):
                return row, offset
        raise DataError(f"{self.path} and the catalogue do not belong together; run `remix-miner inspect --verify`")

    def read(self, row: int, start: int = 0, frames: int | None = None) -> Float32[np.ndarray, "C T"]:
        """Audio (channels, frames) of excerpt ``row`` from its frame ``start``: ``frames`` of it, or all to its end."""
        stored = self.read_stored(row, start, frames)
        audio: Float32[np.ndarray, "C T"] = np.multiply(
            stored.T, self.excerpts[row]["scale"], dtype=np.float32, order="C"
        )
        return audio

    def read_stored(self, row: int, start: int = 0, frames: int | None = None) -> Int16[np.ndarray, "T C"]:
        """The same as stored: (frames, channels), to be multiplied by the excerpt's ``scale``."""
        excerpt = self.excerpts[row]
        length = int(excerpt["frames"])
        frames = length - start if frames is None else frames
        if start < 0 or frames < 0 or start + frames > length:
            raise ValueError(f"excerpt {row} has {length} frames, wanted {frames} from {start}")
        first = int(excerpt["start_frame"]) + start
        try:
            stored: Int16[np.ndarray, "T C"] = self._audio[first : first + frames]
        except OSError as error:
            raise _damaged(self.path, str(error).splitlines()[0]) from error
        if len(stored) != frames:
            raise _damaged(self.path, f"/audio ends at frame {self.frames}, excerpt {row} needs {first + frames}")
        return stored

    def problems(self) -> list[str]:
        """What is wrong with the table and the stored audio's extent; empty when all is well. Reads no audio."""
        found = []
        starts, lengths = self.excerpts["start_frame"], self.excerpts["frames"]
        expected = np.concatenate([[0], np.cumsum(lengths)])
        if self._audio.ndim != 2 or self._audio.shape[1] != self.channels or self._audio.dtype != np.int16:
            found.append(f"/audio is {self._audio.dtype} {self._audio.shape}, expected int16 (frames, {self.channels})")
        if (lengths <= 0).any() or not np.array_equal(starts, expected[:-1]):
            found.append("the excerpts of the table do not lie one after the other")
        if expected[-1] != self.frames:
            found.append(f"the table tells of {expected[-1]} frames, /audio holds {self.frames}")
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
