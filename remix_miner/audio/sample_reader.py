"""Samples in memory, read in blocks like a file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from remix_miner.audio.arrays import Audio, Block


class SampleReader:
    """Samples (channels, frames) with the properties of an `AudioReader`; they must be finite.

    ``path``: a name for messages.
    """

    problem = None
    bad_values = 0
    bad_frames = np.zeros(0, dtype=np.int64)

    def __init__(self, samples: Audio, sample_rate: int, name: str) -> None:
        self.path = Path(name)
        self.sample_rate = sample_rate
        self.channels = len(samples)
        self.frames_read = 0
        self._samples = samples

    def blocks(self, block_frames: int) -> Iterator[Block]:
        """Yield arrays (frames, channels), each at most ``block_frames`` long."""
        for start in range(0, self._samples.shape[1], block_frames):
            block = np.ascontiguousarray(self._samples[:, start : start + block_frames].T)
            self.frames_read += len(block)
            yield block
