"""Harvest of each calibration artist at each threshold, as a calibration file keeps it.

A later calibration with few songs adds these artists to its own (`remix_miner.calibration.promise.curve`).
"""

import base64
import binascii
import dataclasses
import zlib
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

TENTHS = 10
"""Harvested seconds are kept in tenths."""


@dataclass(frozen=True)
class ArtistCounts:
    """Counts per row. An artist has one row, or two where only some of its songs trained the detector.

    ``windows``, ``silent_windows``: with a label, and with V at most the calibration's volume. ``harvests``: base64 of
    zlib of little-endian int32 (3, rows, thresholds): windows in the harvest, silent ones among them, and tenths of
    harvested seconds. ``span_windows``: windows in truly silent spans; ``found``: those of them in the harvest, encoded
    likewise (rows, thresholds); both are empty where a row is from a file of an older version. Counts have no weights,
    so that rows of several calibrations are comparable.
    """

    artists: list[str]
    trained_on: list[bool]
    windows: list[int]
    silent_windows: list[int]
    harvests: str
    span_windows: list[int] = field(default_factory=list)
    found: str = ""

    @classmethod
    def of(
        cls,
        artists: list[str],
        trained_on: list[bool],
        labelled: Int[np.ndarray, "2 A"],
        harvested: Int[np.ndarray, "2 A J"],
        seconds: Float[np.ndarray, "A J"],
        spans: tuple[Int[np.ndarray, " A"], Int[np.ndarray, "A J"]] | None = None,
    ) -> "ArtistCounts":
        """Return the counts of arrays: (all, silent) windows with a label, and in the harvest at each threshold.

        ``spans``: windows in truly silent spans, and those of them in the harvest.
        """
        windows, silent_windows = ([int(count) for count in row] for row in labelled)
        harvests = _encode(np.concatenate((harvested, np.round(seconds * TENTHS)[None])))
        counts = cls(list(artists), [bool(flag) for flag in trained_on], windows, silent_windows, harvests)
        if spans is None:
            return counts
        return dataclasses.replace(counts, span_windows=[int(count) for count in spans[0]], found=_encode(spans[1]))

    def arrays(self) -> tuple[Int[np.ndarray, "2 A J"], Float[np.ndarray, "A J"]]:
        """Return (all, silent) windows in the harvest, and harvested seconds; `ValueError` where they are damaged."""
        table = _decode("harvests", self.harvests, (3, len(self.artists)))
        return table[:2], table[2] / TENTHS

    def spans(self) -> tuple[Int[np.ndarray, " A"], Int[np.ndarray, "A J"]] | None:
        """Return the windows in truly silent spans, and those of them in the harvest; None where they are not known."""
        if not self.found:
            return None
        return np.array(self.span_windows, dtype=np.int64), _decode("found", self.found, (len(self.artists),))

    def rows(self, kept: Bool[np.ndarray, " A"]) -> "ArtistCounts":
        """Return some of the rows."""
        (harvested, seconds), spans = self.arrays(), self.spans()
        labelled = np.array([self.windows, self.silent_windows], dtype=np.int64).reshape(2, -1)
        return ArtistCounts.of(
            [name for name, keep in zip(self.artists, kept, strict=True) if keep],
            [flag for flag, keep in zip(self.trained_on, kept, strict=True) if keep],
            labelled[:, kept],
            harvested[:, kept],
            seconds[kept],
            None if spans is None else (spans[0][kept], spans[1][kept]),
        )

    def without(self, artists: Collection[str]) -> "ArtistCounts":
        """Return the rows of all other artists."""
        return self.rows(np.array([name not in artists for name in self.artists], dtype=bool))

    def not_trained_on(self) -> "ArtistCounts":
        """Return the rows of songs that did not train the detector."""
        return self.rows(~np.array(self.trained_on, dtype=bool))

    def joined(self, other: "ArtistCounts") -> "ArtistCounts":
        """Return the rows of both, which must have the same thresholds."""
        if not other.artists:
            return self
        (own, own_seconds), (added, added_seconds) = self.arrays(), other.arrays()
        own_spans, added_spans = self.spans(), other.spans()
        spans = None
        if own_spans is not None and added_spans is not None:
            spans = np.concatenate((own_spans[0], added_spans[0])), np.concatenate((own_spans[1], added_spans[1]))
        labelled = [self.windows + other.windows, self.silent_windows + other.silent_windows]
        return ArtistCounts.of(
            self.artists + other.artists,
            self.trained_on + other.trained_on,
            np.array(labelled, dtype=np.int64).reshape(2, -1),
            np.concatenate((own, added), axis=1),
            np.concatenate((own_seconds, added_seconds)),
            spans,
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
        return self._problem_of_spans(thresholds)

    def _problem_of_spans(self, thresholds: int) -> str | None:
        try:
            spans = self.spans()
        except ValueError as error:
            return str(error)
        if len(self.span_windows) != (0 if spans is None else len(self.artists)):
            return "columns of unequal lengths"
        if spans is None:
            return None
        if spans[1].shape[1] != thresholds:
            return f"{spans[1].shape[1]} thresholds where the curve has {thresholds}"
        if (spans[1] < 0).any() or (spans[1] > spans[0][:, None]).any():
            return "more windows found than there are"
        return None


def _encode(table: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(table.astype("<i4").tobytes(), 9)).decode("ascii")


def _decode(name: str, text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a table of ``shape`` and thresholds; `ValueError` where ``text`` is damaged."""
    try:
        raw = zlib.decompress(base64.b64decode(text, validate=True))
        return np.frombuffer(raw, dtype="<i4").reshape(*shape, -1).astype(np.int64)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError(f"{name} cannot be decoded: {error}") from error
