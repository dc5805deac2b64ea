"""Reading audio files in blocks, as far as they decode.

soundfile's seeks are sample-exact for wav, flac, mp3, ogg and opus; containers that only PyAV reads (m4a, aac,
stem.mp4; extra ``media``) are decoded from the start.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import soundfile

from remix_miner.audio.arrays import Audio, Block
from remix_miner.audio.formats import PYAV_SUFFIXES
from remix_miner.errors import AudioError
from remix_miner.paths import display_name

BLOCK_SECONDS = 10.0
READ_FRAMES = 32_768
"""Asked of libsndfile at a time: what a damaged file loses is the step in which the damage lies."""

LARGEST_VALUE = 1e7
"""Samples beyond this are not audio: full scale is 1, or 2^23 where integers were stored as floats."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says. ``frames`` is an estimate for mp3 without a Xing header and for PyAV's containers."""

    path: Path
    sample_rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read onwards from where it is. soundfile seeks to that place after each read of a seekable file,
    and for mp3 that means to decode some frames again: an eighth of the work with reads of ``READ_FRAMES``.
    """

    def seekable(self) -> bool:
        return False


class AudioReader:
    """A file read once, in blocks, as far as it decodes.

    Damage does not raise in mid-file: what decoded is yielded, then `problem` says why the file ended early. A file
    that cannot be opened raises `AudioError`. NaN, infinities and values beyond `LARGEST_VALUE`, which float wav files
    can hold, are replaced by zeros and counted in `bad_values`; `bad_frames` says where they were in the latest block.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.problem: str | None = None
        self.bad_values = 0
        self.bad_frames = np.zeros(0, dtype=np.int64)
        self.frames_read = 0
        if not self.path.exists():
            raise AudioError(f"{display_name(self.path)} does not exist")
        if self.path.stat().st_size == 0:
            raise AudioError(f"{display_name(self.path)} is empty (0 bytes)")
        self._file: Any = None
        self._container: Any = None
        if self.path.suffix.lower() in PYAV_SUFFIXES:
            self._open_with_pyav()
        else:
            self._open_with_soundfile()
        if self.sample_rate <= 0 or self.channels <= 0:
            self.close()
            raise AudioError(f"{display_name(self.path)}: {self.sample_rate} Hz, {self.channels} channels; no audio")

    def _open_with_soundfile(self) -> None:
        try:
            # By descriptor, since libsndfile's Python wrapper cannot encode every file name.
            self._descriptor = os.open(self.path, os.O_RDONLY)
            self._file = _ForwardFile(self._descriptor, closefd=True)
        except (soundfile.LibsndfileError, RuntimeError, OSError, TypeError, ValueError) as error:
            raise AudioError(f"{display_name(self.path)} cannot be decoded: {_reason(error)}") from error
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int = max(self._file.frames, 0)

    def _open_with_pyav(self) -> None:
        try:
            import av
        except ImportError as error:
            raise AudioError(
                f"{display_name(self.path)}: {self.path.suffix} needs an extra: pip install 'remix-miner[media]'"
            ) from error
        try:
            self._container = av.open(str(self.path))
            self._stream = self._container.streams.audio[0]
        except (av.FFmpegError, IndexError, OSError, ValueError) as error:
            raise AudioError(f"{display_name(self.path)} cannot be decoded: {_reason(error)}") from error
        if self._stream.codec_context is None:  # and with it the stream has no rate
            self.close()
            raise AudioError(f"{display_name(self.path)} cannot be decoded: its codec is not known")
        self.sample_rate = int(self._stream.rate or 0)
        self.channels = int(self._stream.channels or 0)
        seconds = float(self._stream.duration * self._stream.time_base) if self._stream.duration else 0.0
        self.frames = round(seconds * self.sample_rate)

    @property
    def info(self) -> AudioInfo:
        return AudioInfo(self.path, self.sample_rate, self.channels, self.frames)

    def blocks(self, block_frames: int | None = None, start_frame: int = 0) -> Iterator[Block]:
        """Arrays (frames, channels) from ``start_frame`` to the end, each at most ``block_frames`` long.

        The array of one step may be overwritten by the next: copy what must last.
        """
        block_frames = block_frames or int(BLOCK_SECONDS * self.sample_rate)
        source = self._soundfile_blocks if self._file is not None else self._pyav_blocks
        for block in source(block_frames, start_frame):
            self.bad_frames = self.bad_frames[:0]
            if not (block.max(initial=0.0) <= LARGEST_VALUE and block.min(initial=0.0) >= -LARGEST_VALUE):  # so is NaN
                good = np.abs(block) <= LARGEST_VALUE
                self.bad_frames = np.flatnonzero(~good.all(axis=1))
                self.bad_values += int(good.size - np.count_nonzero(good))
                block[~good] = 0
            self.frames_read += len(block)
            yield block

    def _soundfile_blocks(self, block_frames: int, start_frame: int) -> Iterator[Block]:
        try:
            if start_frame:
                self._file.seek(start_frame)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise AudioError(f"{display_name(self.path)}: no frame {start_frame}: {_reason(error)}") from error
        buffer = np.empty((block_frames, self.channels), dtype=np.float32)
        position = start_frame
        filled, ended = 0, False
        while not ended:
            step = buffer[filled : filled + READ_FRAMES]
            try:
                read = len(self._file.read(dtype="float32", always_2d=True, out=step))
            except (soundfile.LibsndfileError, RuntimeError) as error:
                self.problem = f"damaged after {position / self.sample_rate:.2f} s: {_reason(error)}"
                read = 0
            position += read
            filled += read
            ended = read < len(step)
            if filled == block_frames or (ended and filled):
                yield buffer[:filled]
                filled = 0
        if self.problem:
            return
        self.problem = self._shorter_than_stated(position)
        if (
            not self.problem
            and self._file.format == "MP3"
            and (left := self._bytes_left()) > max(1 << 14, 0.01 * self._size())
        ):
            self.problem = (
                f"read for the {position / self.sample_rate:.2f} s that its first frames foretell; {left} bytes "
                "follow, perhaps audio (an mp3 of variable bit rate without Xing header)"
            )

    def _shorter_than_stated(self, position: int) -> str | None:
        """An mp3 that was cut still states its full length; 1% or one second is the estimate's own tolerance."""
        if self.frames - position <= max(self.sample_rate, 0.01 * self.frames):
            return None
        return f"truncated: {position / self.sample_rate:.2f} s of the stated {self.frames / self.sample_rate:.2f} s"

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def _bytes_left(self) -> int:
        """Bytes after the last one decoded, but for a tag at the end of the file."""
        place, size = os.lseek(self._descriptor, 0, os.SEEK_CUR), self._size()
        with open(self.path, "rb") as file:
            file.seek(max(size - 256, 0))
            return 0 if b"APETAGEX" in file.read() else size - place

    def _pyav_blocks(self, block_frames: int, start_frame: int) -> Iterator[Block]:
        import av

        resampler = av.AudioResampler(format="fltp", layout=self._stream.layout, rate=self.sample_rate)
        held: list[Block] = []
        held_frames = 0
        position, skip = 0, start_frame
        try:
            for frame in self._container.decode(self._stream):
                for piece in resampler.resample(frame):
                    array = np.ascontiguousarray(piece.to_ndarray().T, dtype=np.float32)
                    position += len(array)
                    dropped = min(skip, len(array))
                    skip -= dropped
                    held.append(array[dropped:])
                    held_frames += len(held[-1])
                while held_frames >= block_frames:
                    joined = np.concatenate(held)
                    yield joined[:block_frames]
                    held = [joined[block_frames:]]
                    held_frames = len(held[0])
        except (av.FFmpegError, OSError, ValueError) as error:
            self.problem = f"damaged after {position / self.sample_rate:.2f} s: {_reason(error)}"
        if held_frames:
            yield np.concatenate(held)
        if not self.problem and self._container.format.name != "aac":  # which states no length: it is guessed
            self.problem = self._shorter_than_stated(position)

    def close(self) -> None:
        for handle in (self._file, self._container):
            if handle is not None:
                with contextlib.suppress(Exception):
                    handle.close()

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def audio_info(path: str | os.PathLike[str]) -> AudioInfo:
    """Sample rate, channels and length, from the header alone."""
    with AudioReader(path) as reader:
        return reader.info


def read_audio(path: str | os.PathLike[str], start_frame: int = 0, frames: int | None = None) -> tuple[Audio, int]:
    """(channels, frames) and the sample rate of a file or of a part of it.

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
            raise AudioError(f"{display_name(reader.path)} is {reader.problem}; replace the file")
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


def _reason(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
