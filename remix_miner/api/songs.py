"""A song as a user gives it: a path, or samples with their sample rate."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32

from remix_miner.audio import AudioReader, SampleReader, read_audio
from remix_miner.errors import UsageError

Song: TypeAlias = "str | Path | np.ndarray | Any"
"""A path, or samples (T,) or (C, T) as an array or tensor."""


def song_audio(song: Song, sample_rate: int | None) -> tuple[Float32[np.ndarray, "C T"], int]:
    """Return samples (C, T) and their sample rate.

    ``sample_rate`` is required for samples and must be left out for a path. Raises `UsageError` for anything else, and
    for samples that are not finite; `AudioError` for a file that is damaged.
    """
    if isinstance(song, str | Path):
        return read_audio(_path(song, sample_rate))
    return _samples(song, sample_rate)


@contextlib.contextmanager
def open_song(song: Song, sample_rate: int | None) -> Iterator[AudioReader | SampleReader]:
    """Open a song to read it in blocks, as far as it decodes; the errors of `song_audio` except those for damage."""
    if isinstance(song, str | Path):
        with AudioReader(_path(song, sample_rate)) as reader:
            yield reader
    else:
        yield SampleReader(*_samples(song, sample_rate), song_name(song))


def _path(song: str | Path, sample_rate: int | None) -> Path:
    if sample_rate is not None:
        raise UsageError(f"{song} states its own sample rate; leave sample_rate out")
    return Path(song)


def _samples(song: Any, sample_rate: int | None) -> tuple[Float32[np.ndarray, "C T"], int]:
    samples = np.asarray(song.detach().cpu() if hasattr(song, "detach") else song, dtype=np.float32)
    if sample_rate is None:
        raise UsageError("samples need their sample rate: pass sample_rate=44100, for example")
    if samples.ndim == 1:
        samples = samples[None]
    if samples.ndim != 2 or samples.shape[1] < 2:
        raise UsageError(f"samples have the shape (time,) or (channels, time), got {samples.shape}")
    if samples.shape[0] > samples.shape[1]:
        raise UsageError(f"samples have the shape (channels, time), got {samples.shape}; transpose them")
    if not np.isfinite(samples).all():
        raise UsageError("samples hold NaN or infinite values")
    return samples, sample_rate


def song_name(song: Song) -> str:
    """Return a path's name without its suffix; 'samples' for an array."""
    return Path(song).stem if isinstance(song, str | Path) else "samples"
