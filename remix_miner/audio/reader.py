"""Reading audio files in blocks, as far as they decode."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from remix_miner.audio.arrays import Audio, Block
from remix_miner.audio.decoder import Decoder, open_decoder
from remix_miner.errors import AudioError
from remix_miner.paths import display_name

BLOCK_SECONDS = 10.0

LARGEST_VALUE = 1e7
"""Samples beyond this are not audio: full scale is 1, or 2^23 where integers were stored as floats."""


@dataclass(frozen=True)
class AudioInfo:
    """Format and length of a file. ``frames`` is an estimate for mp3 without a Xing header and for FFmpeg's containers.

    ``problem`` states where the header contradicts the file.
    """

    path: Path
    sample_rate: int
    channels: int
    frames: int
    problem: str | None = None

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


class AudioReader:
    """A file read once, in blocks, as far as it decodes.

    Damage does not raise in mid-file: what decoded is yielded, then `problem` states why the file ended early. A file
    that cannot be opened raises `AudioError`. NaN, infinities and values beyond `LARGEST_VALUE`, which float wav files
    can hold, are replaced by zeros and counted in `bad_values`; `bad_frames` are their places in the latest block.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.bad_values = 0
        self.bad_frames = np.zeros(0, dtype=np.int64)
        self.frames_read = 0
        if not self.path.exists():
            raise AudioError(f"{display_name(self.path)} does not exist")
        if self.path.stat().st_size == 0:
            raise AudioError(f"{display_name(self.path)} is empty (0 bytes)")
        self._decoder: Decoder = open_decoder(self.path)
        self.sample_rate = self._decoder.sample_rate
        self.channels = self._decoder.channels
        if self.sample_rate <= 0 or self.channels <= 0:
            self.close()
            raise AudioError(f"{display_name(self.path)}: {self.sample_rate} Hz, {self.channels} channels; no audio")
        self._frames = self._decoder.frames

    @property
    def problem(self) -> str | None:
        """What is wrong with the file, as far as it was read: its header, or where it ended early."""
        return self._decoder.problem

    @property
    def frames(self) -> int:
        """Length as the header states it; counted by decoding the file where its header states none."""
        if self._frames is None:
            self._frames = _count_frames(self.path)
        return self._frames

    @property
    def info(self) -> AudioInfo:
        return AudioInfo(self.path, self.sample_rate, self.channels, self.frames, self.problem)

    def blocks(self, block_frames: int | None = None, start_frame: int = 0) -> Iterator[Block]:
        """Yield arrays (frames, channels) from ``start_frame`` to the end, each at most ``block_frames`` long.

        The array of one step may be overwritten by the next: copy what must last.
        """
        block_frames = block_frames or int(BLOCK_SECONDS * self.sample_rate)
        for block in self._decoder.blocks(block_frames, start_frame):
            self.bad_frames = self.bad_frames[:0]
            if not (block.max(initial=0.0) <= LARGEST_VALUE and block.min(initial=0.0) >= -LARGEST_VALUE):  # so is NaN
                good = np.abs(block) <= LARGEST_VALUE
                self.bad_frames = np.flatnonzero(~good.all(axis=1))
                self.bad_values += int(good.size - np.count_nonzero(good))
                block[~good] = 0
            self.frames_read += len(block)
            yield block

    def close(self) -> None:
        self._decoder.close()

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def audio_info(path: str | os.PathLike[str]) -> AudioInfo:
    """Return sample rate, channels and length from the header; a length that it does not state is counted."""
    with AudioReader(path) as reader:
        return reader.info


def _count_frames(path: Path) -> int:
    with AudioReader(path) as reader:
        return sum(len(block) for block in reader.blocks())


def read_audio(path: str | os.PathLike[str], start_frame: int = 0, frames: int | None = None) -> tuple[Audio, int]:
    """Return (channels, frames) and the sample rate of a file, or of a part of it.

    Raises `AudioError` when the file is damaged, holds samples that are not numbers, or ends before
    ``start_frame + frames``: use `AudioReader` to take what can be had.
    """
    with AudioReader(path) as reader:
        if frames == 0:
            return np.zeros((reader.channels, 0), dtype=np.float32), reader.sample_rate
        if frames is not None:
            block = next(iter(reader.blocks(frames, start_frame)), None)
            blocks = [] if block is None else [block]
        else:
            blocks = [block.copy() for block in reader.blocks(start_frame=start_frame)]
        if reader.problem and (frames is None or sum(map(len, blocks)) < frames):
            raise AudioError(f"{display_name(reader.path)}: {reader.problem}; replace the file")
        if reader.bad_values:
            raise AudioError(
                f"{display_name(reader.path)} holds {reader.bad_values} samples that are NaN, infinite or absurd; "
                "repair or replace the file"
            )
        audio = np.concatenate(blocks) if blocks else np.zeros((0, reader.channels), dtype=np.float32)
        if frames is not None and len(audio) < frames:
            raise AudioError(
                f"{display_name(reader.path)} ends at frame {start_frame + len(audio)}, "
                f"wanted {frames} frames from {start_frame}"
            )
        return np.ascontiguousarray(audio.T), reader.sample_rate
