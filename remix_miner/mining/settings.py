"""Settings of a scan: those that decide which excerpts it finds, and the limits of a batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from remix_miner.config import Bounds, SettingError, Settings
from remix_miner.detector.evidence import Fusion
from remix_miner.device import Precision, Sampling
from remix_miner.errors import UsageError
from remix_miner.sources import SOURCES


@dataclass(frozen=True)
class ScanSettings(Settings):
    """The settings that decide which excerpts a library gives. Scans with equal ones may share a folder."""

    thresholds: Mapping[str, float]
    """Least probability of silence of each window, for each source that is mined."""
    min_seconds: Annotated[float, Bounds(1, 60)] = 5.0
    """Shortest excerpt (Défossez et al. 2019, section 4.2: 5 s)."""
    max_seconds: Annotated[float, Bounds(above=0, most=86_400)] = 300.0
    """A longer span is stored as equal consecutive excerpts, so that memory is bounded."""
    sample_rate: Annotated[int, Bounds(8000, 192_000)] = 44100
    """Of the stored excerpts, in Hz."""
    channels: Annotated[int, Bounds(1, 2)] = 2
    """Of the stored excerpts. Mono is repeated, other layouts are averaged to mono first."""
    precision: Precision = "float32"
    """Of the detector's network. In bfloat16, probabilities move in the third decimal."""
    sampling: Sampling = "sparse"
    """Of the detector's scattering transform."""
    fusion: Fusion | None = None
    """Of joint probabilities of one source with a second network; None: the detector alone."""
    together: bool = False
    """Whether only spans are mined in which all sources of ``thresholds`` are silent at once."""
    labels_only: bool = False
    """Whether excerpts are recorded without their audio: no shards are written."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.thresholds:
            raise UsageError("thresholds: no source is left to mine")
        unknown = [name for name in self.thresholds if name not in SOURCES]
        if unknown:
            raise UsageError(f"thresholds: unknown sources {unknown}; choose among {', '.join(SOURCES)}")
        for source, threshold in self.thresholds.items():
            if not 0 <= threshold <= 1:
                raise UsageError(f"threshold of {source} is {threshold}, expected a probability from 0 to 1")
        if self.max_seconds < 2 * self.min_seconds:
            raise SettingError("max_seconds", f"must be at least twice min_seconds, got {self.max_seconds:g}")


@dataclass(frozen=True)
class BatchLimits(Settings):
    """Limits at which a batch is closed: excerpts or bytes of one source, or seconds since its start."""

    excerpts: Annotated[int, Bounds(0, 10**9)] = 256
    bytes: Annotated[int, Bounds(0, 2**50)] = 256 << 20
    seconds: Annotated[float, Bounds(0, 1_000_000)] = 120.0
    held_bytes: Annotated[int, Bounds(0, 2**50)] = 256 << 20
    """Decoded audio that is kept while a track is scanned. A longer track is decoded again where spans were found."""
