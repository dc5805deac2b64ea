"""Separation of one song in memory."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from remix_miner.api.songs import Song, song_audio, song_name
from remix_miner.audio import write_audio
from remix_miner.separators.apply_separator import estimate_blocks
from remix_miner.separators.base import Separator
from remix_miner.separators.loading import load_separator
from remix_miner.separators.overlap_add import InferenceSettings

Estimate = Float32[np.ndarray, "C T"]


class Estimates(Mapping[str, Estimate]):
    """The estimates of a song by source: a mapping from names to samples (C, T) at ``sample_rate``."""

    def __init__(self, name: str, audio: Mapping[str, Estimate], sample_rate: int) -> None:
        self.name = name
        self.sample_rate = sample_rate
        self._audio = dict(audio)

    def __getitem__(self, source: str) -> Estimate:
        return self._audio[source]

    def __iter__(self) -> Iterator[str]:
        return iter(self._audio)

    def __len__(self) -> int:
        return len(self._audio)

    def save(self, folder: str | Path) -> list[Path]:
        """Write ``folder/<source>.wav`` (float32) for each source; return the paths."""
        paths = [Path(folder) / f"{source}.wav" for source in self]
        for path, audio in zip(paths, self.values(), strict=True):
            write_audio(path, audio, self.sample_rate)
        return paths

    def __repr__(self) -> str:
        seconds = next(iter(self.values())).shape[-1] / self.sample_rate
        return f"Estimates({self.name!r}, {', '.join(self)}: {seconds:.1f} s at {self.sample_rate} Hz)"


def separate(
    model: str | Path | Separator, song: Song, sample_rate: int | None = None, device: str = "cpu", **inference: Any
) -> Estimates:
    """Return a model's estimates of a song, at the song's own sample rate and length.

    ``model``: a run folder, a weights file, a built-in name, or a separator. ``song``: a path, or samples (T,) or
    (C, T) with their ``sample_rate``. ``inference``: settings of `InferenceSettings`, such as ``overlap`` and
    ``shifts``. The whole song is held in memory; ``remix-miner separate`` streams.
    """
    settings = InferenceSettings(**inference)
    audio, rate = song_audio(song, sample_rate)
    separator = model.to(device) if isinstance(model, Separator) else load_separator(model, device)
    blocks = list(estimate_blocks(separator, [audio.T], rate, len(audio), settings))
    estimates = np.concatenate(blocks, axis=-1)
    return Estimates(song_name(song), dict(zip(separator.sources, estimates, strict=True)), rate)
