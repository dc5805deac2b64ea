"""Harvest of each calibration artist at each threshold, as a calibration file keeps it.

A later calibration with few songs adds these artists to its own (`remix_miner.calibration.promise.curve`).
"""

import base64
import binascii
import zlib
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

TENTHS = 10
"""Harvested seconds are kept in tenths."""


@dataclass(frozen=True)
class ArtistCounts:
    """Counts per row. An artist has one row, or two where only some of its songs trained the detector.

    ``windows``, ``silent_windows``: with a label, and with V at most the calibration's volume. ``harvests``: base64 of
    zlib of little-endian int32 (3, rows, thresholds): windows in the harvest, silent ones among them, and tenths of
    harvested seconds. Counts have no weights, so that rows of several calibrations are comparable.
    """

    artists: list[str]
    trained_on: list[bool]
    windows: list[int]
    silent_windows: list[int]
    harvests: str

    @classmethod
    def of(
        cls,
        artists: list[str],
        trained_on: list[bool],
        labelled: Int[np.ndarray, "2 A"],
        harvested: Int[np.ndarray, "2 A J"],
        seconds: Float[np.ndarray, "A J"],
    ) -> "ArtistCounts":
        """Return the counts of arrays: (all, silent) windows with a label, and in the harvest at each threshold."""
        table = np.concatenate((harvested, np.round(seconds * TENTHS)[None])).astype("<i4")
        encoded = base64.b64encode(zlib.compress(table.tobytes(), 9)).decode("ascii")
        everything, silent = ([int(count) for count in row] for row in labelled)
        return cls(list(artists), [bool(flag) for flag in trained_on], everything, silent, encoded)

    def arrays(self) -> tuple[Int[np.ndarray, "2 A J"], Float[np.ndarray, "A J"]]:
        """Return (all, silent) windows in the harvest, and harvested seconds; `ValueError` where they are damaged."""
        try:
            raw = zlib.decompress(base64.b64decode(self.harvests, validate=True))
            table = np.frombuffer(raw, dtype="<i4").reshape(3, len(self.artists), -1).astype(np.int64)
        except (binascii.Error, zlib.error, ValueError) as error:
            raise ValueError(f"harvests cannot be decoded: {error}") from error
        return table[:2], table[2] / TENTHS

    def rows(self, kept: Bool[np.ndarray, " A"]) -> "ArtistCounts":
        """Return some of the rows."""
        harvested, seconds = self.arrays()
        labelled = np.array([self.windows, self.silent_windows], dtype=np.int64).reshape(2, -1)
        names = [name for name, keep in zip(self.artists, kept, strict=True) if keep]
        trained_on = [flag for flag, keep in zip(self.trained_on, kept, strict=True) if keep]
        return ArtistCounts.of(names, trained_on, labelled[:, kept], harvested[:, kept], seconds[kept])

    def without(self, artists: Collection[str]) -> "ArtistCounts":
        """Return the rows of all other artists."""
        return self.rows(np.array([name not in artists for name in self.artists], dtype=bool))

    def joined(self, other: "ArtistCounts") -> "ArtistCounts":
        """Return the rows of both, which must have the same thresholds."""
        if not other.artists:
            return self
        (own, own_seconds), (added, added_seconds) = self.arrays(), other.arrays()
        labelled = [self.windows + other.windows, self.silent_windows + other.silent_windows]
        return ArtistCounts.of(
            self.artists + other.artists,
            self.trained_on + other.trained_on,
            np.array(labelled, dtype=np.int64).reshape(2, -1),
            np.concatenate((own, added), axis=1),
            np.concatenate((own_seconds, added_seconds)),
        )

    def problem(self, thresholds: int) -> str | None:
        """Return the fault of values that were read from a file, or None."""
        if len({len(self.artists), len(self.trained_on), len(self.windows), len(self.silent_windows)}) != 1:
            return "columns of unequal lengths"
        if not self.artists:
            return "no artist"
        try:
            (kept, silent), _ = self.arrays()
        except ValueError as error:
            return str(error)
        if kept.shape[1] != thresholds:
            return f"{kept.shape[1]} thresholds where the curve has {thresholds}"
        if (silent < 0).any() or (silent > kept).any():
            return "more silent windows than windows"
        return None
