"""Decoded audio of a track, kept during its scan, or decoded a second time if it is too long."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from remix_miner.audio import AudioReader, Block, display_name, to_channels
from remix_miner.errors import AudioError

BLOCK_SECONDS = 10.0
BLOCK_VALUES = 1 << 23
"""A block holds at most so many samples over all channels (32 MiB), however many channels a header claims."""


def block_frames(sample_rate: int, channels: int) -> int:
    """Return the frames of a block: ten seconds, or fewer for many channels, which bounds its size."""
    return max(1, min(int(BLOCK_SECONDS * sample_rate), BLOCK_VALUES // channels))


class HeldAudio:
    """The blocks of a track with the shard's number of channels: kept while they fit, else decoded a second time.

    The second pass starts at the beginning, since seeking in a damaged file can land elsewhere than decoding does.
    """

    def __init__(self, path: Path, file_channels: int, channels: int, most_bytes: int) -> None:
        self.path = path
        self.file_channels = file_channels
        self.channels = channels
        self.most_bytes = most_bytes
        self._blocks: list[Block] | None = [] if most_bytes else None
        self._bytes = 0

    def append(self, block: Block) -> None:
        """Keep a copy of the next block, or give up keeping any."""
        if self._blocks is None:
            return
        self._bytes += len(block) * self.channels * block.itemsize
        if self._bytes > self.most_bytes:
            self._blocks = None
        else:
            self._blocks.append(self._converted(block))

    def blocks(self) -> Iterator[Block]:
        """Yield all blocks (frames, channels) from the beginning."""
        if self._blocks is not None:
            yield from self._blocks
        else:
            yield from map(self._converted, self._decoded())

    def original_blocks(self) -> Iterator[Block]:
        """Yield all blocks with the file's own channels."""
        if self._blocks is not None and self.channels == self.file_channels:
            yield from self._blocks
        else:
            yield from self._decoded()

    def _decoded(self) -> Iterator[Block]:
        with AudioReader(self.path) as reader:
            if reader.channels != self.file_channels:
                raise AudioError(f"{display_name(self.path)} changed while it was scanned")
            yield from reader.blocks(block_frames(reader.sample_rate, reader.channels))

    def _converted(self, block: Block) -> Block:
        if block.shape[1] == self.channels:
            return block.copy()
        return np.ascontiguousarray(to_channels(block.T, self.channels).T)
