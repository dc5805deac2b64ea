"""Settings of an export: format, silent sources, audio format, labelled songs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from remix_miner.config import AN_HOUR, Bounds, Settings
from remix_miner.errors import UsageError
from remix_miner.sources import SOURCES, parse_sources

FORMATS = ("msst", "demucs", "labels", "musdb18-hq")
AUDIO = {"flac": "int24", "wav": "float32"}
"""Suffix -> sample format. A flac file whose peak is above 1 is scaled down, and the manifest states by how much."""


@dataclass(frozen=True)
class ExportSettings(Settings):
    """Settings of an export.

    ``without``: sources that must all be silent at once; empty takes all mined sources (labels only). ``stems``:
    corpora of labelled songs to add. ``valid_share``: share of the tracks in Demucs' validation set, used if no song
    has the split ``valid``. ``accepted_only``: take only excerpts that a listener accepted, and the rest of excerpts
    beside stretches marked as wrong. ``config``: a configuration of Music-Source-Separation-Training to fill in.
    """

    format: str
    without: tuple[str, ...] = ()
    audio: str = "flac"
    min_seconds: Annotated[float, AN_HOUR] = 5.0
    accepted_only: bool = False
    stems: tuple[Path, ...] = ()
    library: tuple[Path, ...] = ()
    valid_share: Annotated[float, Bounds(0, below=1)] = 0.1
    config: Path | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UsageError(f"format is one of {', '.join(FORMATS)}, got {self.format!r}")
        if self.audio not in AUDIO:
            raise UsageError(f"audio is one of {', '.join(AUDIO)}, got {self.audio!r}")
        if self.without:
            parse_sources(self.without)
            if len(self.without) == len(SOURCES):
                raise UsageError("where all four sources are silent there is no audio: leave one out of --without")
        if self.min_seconds <= 0:
            raise UsageError(f"min-seconds must be positive, got {self.min_seconds}")
        super().__post_init__()
        if self.format in ("demucs", "musdb18-hq") and self.audio != "wav":
            raise UsageError(f"{self.format} reads wav files alone: leave --audio out, or pass wav")
        if self.format == "musdb18-hq" and len(self.without) != len(SOURCES) - 1:
            raise UsageError(
                "musdb18-hq needs all four sources, and a mined excerpt has them only where three are silent: name "
                "three, as in --without drums,bass,vocals"
            )
        if self.format == "demucs" and len(self.without) != 1:
            raise UsageError("a two-stem set for Demucs has one target: name it, as in --without vocals")
        if self.config is not None and self.format != "msst":
            raise UsageError(f"--config is a configuration of Music-Source-Separation-Training: not for {self.format}")
        if self.format == "msst" and not self.without:
            raise UsageError("name the target: --without vocals makes a set of 'vocals' and 'no_vocals'")

    @property
    def label(self) -> str:
        """Name of the exported audio: the one remaining source, or ``no_`` and the silent sources.

        >>> ExportSettings("msst", ("vocals",)).label, ExportSettings("msst", ("drums", "bass", "vocals")).label
        ('no_vocals', 'other')
        """
        left = [source for source in SOURCES if source not in self.without]
        return left[0] if len(left) == 1 else "_".join(f"no_{source}" for source in self.without)
