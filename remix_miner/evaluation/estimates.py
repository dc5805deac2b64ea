"""Finished estimates on disk: the file of each source of each track.

Layouts: ``<track>/<source>.wav``, also below folders of splits (museval), and ``<track>_<source>.wav`` (MVSep).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from remix_miner.audio import Audio, audio_info, display_name, read_audio
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES

ESTIMATE_SUFFIXES = (".wav", ".flac")
BESIDE_SOURCES = ("mixture", "accompaniment", "instrum", "instrumental")
"""Names of files that commonly lie beside estimates and are not among the sources that are scored."""


@dataclass
class FoundEstimates:
    """Files by track and source, and the audio files whose names match neither layout."""

    tracks: dict[str, dict[str, Path]] = field(default_factory=dict)
    unknown: list[Path] = field(default_factory=list)


def find_estimates(root: str | Path, sources: Iterable[str] = SOURCES) -> FoundEstimates:
    """Return all estimates below ``root``.

    Raises `DataError` where two files claim the same source of the same track.
    """
    root, sources, found = Path(root), tuple(sources), FoundEstimates()
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(root).parts)
        if hidden or path.suffix.lower() not in ESTIMATE_SUFFIXES or not path.is_file():
            continue
        track, source = _names(path, root, sources)
        if source in BESIDE_SOURCES and source not in sources:
            continue
        if track is None or source is None:
            found.unknown.append(path)
            continue
        files = found.tracks.setdefault(track, {})
        if source in files:
            raise DataError(
                f"two estimates of {source} of {track!r}: {display_name(files[source])} and {display_name(path)}; "
                "keep one"
            )
        files[source] = path
    return found


def _names(path: Path, root: Path, sources: tuple[str, ...]) -> tuple[str | None, str | None]:
    known = (*sources, *BESIDE_SOURCES)
    if path.stem in known and path.parent != root:
        return path.parent.name, path.stem
    track, _, source = path.stem.rpartition("_")
    return (track, source) if track and source in known else (None, None)


def missing_estimates(
    found: Mapping[str, Mapping[str, Path]], tracks: Iterable[str], sources: Iterable[str]
) -> list[str]:
    """Return the missing estimates, as 'track: source, source'."""
    sources = tuple(sources)
    lacking = ((track, [source for source in sources if source not in found.get(track, {})]) for track in tracks)
    return [f"{track}: {', '.join(names)}" for track, names in lacking if names]


def read_estimate(path: Path, sample_rate: int, channels: int, frames: int) -> Audio:
    """Return (C, T) of an estimate; raise `DataError` unless it has the reference's rate, channels and length."""
    check_estimate(path, sample_rate, channels, frames)
    audio, _ = read_audio(path)
    if not np.isfinite(audio).all():
        raise DataError(f"{display_name(path)} holds NaN or infinity")
    return audio


def check_estimate(path: Path, sample_rate: int, channels: int, frames: int) -> None:
    """Raise `DataError` unless the header states the reference's rate, channels and length."""
    info = audio_info(path)
    if info.sample_rate != sample_rate:
        raise DataError(
            f"{display_name(path)} is at {info.sample_rate} Hz, its reference at {sample_rate}; resample it"
        )
    if info.channels != channels:
        raise DataError(f"{display_name(path)} has {info.channels} channels, its reference {channels}")
    if info.frames != frames:
        raise DataError(
            f"{display_name(path)} has {info.frames} frames, its reference {frames} "
            f"({(info.frames - frames) / sample_rate:+.3f} s); estimates must begin and end with the reference"
        )
