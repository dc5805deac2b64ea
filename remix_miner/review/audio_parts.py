"""Audio of an item in three parts: the excerpt as stored, and the context before and after it from the library."""

import struct
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int16

from remix_miner.audio import AudioReader, to_channels
from remix_miner.errors import AudioError, DataError
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.mined.shards.files import shard_path
from remix_miner.mined.shards.reader import Shard
from remix_miner.review.items import Item

CONTEXT_SECONDS = 10.0
PARTS = ("before", "excerpt", "after")
OPEN_SHARDS = 8
HELD_BYTES = 128 << 20
"""Limit of the decoded parts kept in memory. Excerpts are read from their shards and not kept."""

HEADER_BYTES = 44


@dataclass(frozen=True)
class Part:
    """16-bit audio: ``read(first, last)`` returns samples (frames, channels); sample * ``scale`` is the audio."""

    sample_rate: int
    channels: int
    frames: int
    scale: float
    read: Callable[[int, int], Int16[np.ndarray, "T C"]]

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate

    @property
    def frame_bytes(self) -> int:
        return 2 * self.channels

    @property
    def wav_bytes(self) -> int:
        """Length of the wav file in bytes."""
        return HEADER_BYTES + self.frames * self.frame_bytes

    def wav_header(self) -> bytes:
        rate = self.sample_rate
        form = struct.pack("<HHIIHH", 1, self.channels, rate, rate * self.frame_bytes, self.frame_bytes, 16)
        data = self.frames * self.frame_bytes
        return (
            b"RIFF"
            + struct.pack("<I", 36 + data)
            + b"WAVEfmt "
            + struct.pack("<I", 16)
            + form
            + b"data"
            + (struct.pack("<I", data))
        )

    def wav(self, start_byte: int, end_byte: int) -> bytes:
        """Return ``start_byte`` to ``end_byte`` (excluded) of the wav file. Only the frames in them are read."""
        head = self.wav_header()[start_byte:end_byte]
        first, last = max(start_byte - HEADER_BYTES, 0), max(end_byte - HEADER_BYTES, 0)
        if last <= first:
            return head
        first_frame, last_frame = first // self.frame_bytes, min(-(-last // self.frame_bytes), self.frames)
        body = np.ascontiguousarray(self.read(first_frame, last_frame), dtype="<i2").tobytes()
        return head + body[first - first_frame * self.frame_bytes : last - first_frame * self.frame_bytes]

    def mono(self) -> Float32[np.ndarray, " T"]:
        """Return the whole part, downmixed."""
        stored = self.read(0, self.frames)
        mono: Float32[np.ndarray, " T"] = stored.mean(axis=1, dtype=np.float32) * np.float32(self.scale)
        return mono


class AudioParts:
    """Reader of item parts of one mined folder; thread-safe, with few open files and bounded memory."""

    def __init__(self, folder: Path, library: LibraryFolders) -> None:
        self.folder = folder
        self.library = library
        self._lock = threading.RLock()
        self._shards: OrderedDict[str, Shard] = OrderedDict()
        self._decoded: OrderedDict[tuple[str, float, float], Part] = OrderedDict()

    def stretch(self, item: Item, part: str) -> tuple[float, float]:
        """Return start and end of a part in the track, in seconds. Context ends at the end of the track."""
        if part == "before":
            return max(item.start_seconds - CONTEXT_SECONDS, 0.0), item.start_seconds
        if part == "after":
            return item.end_seconds, min(item.end_seconds + CONTEXT_SECONDS, max(item.track_seconds, item.end_seconds))
        return item.start_seconds, item.end_seconds

    def part(self, item: Item, part: str) -> Part:
        """Return the audio of a part.

        Raises `DataError` for context whose file is not found, `AudioError` where the file cannot be decoded.
        """
        if part == "excerpt" and item.shard is not None:
            return self._stored(item, item.shard)
        path = self.library.path_of(item.track)
        if path is None:
            raise DataError(f"the file of {item.track!r} is not here; name its folder with --library")
        start, end = self.stretch(item, part)
        key = (item.track, start, end)
        with self._lock:
            if key in self._decoded:
                self._decoded.move_to_end(key)
                return self._decoded[key]
        decoded = decode_stretch(path, start, end)
        with self._lock:
            self._decoded[key] = decoded
            while sum(held.wav_bytes for held in self._decoded.values()) > HELD_BYTES and len(self._decoded) > 1:
                self._decoded.popitem(last=False)
        return decoded

    def _stored(self, item: Item, name: str) -> Part:
        with self._lock:
            shard = self._shard(name)
            row, offset = shard.row_of(item.shard_start, item.frames)
            scale = float(shard.excerpts[row]["scale"])

        def read(first: int, last: int) -> Int16[np.ndarray, "T C"]:
            with self._lock:  # the shard may have been closed meanwhile
                return self._shard(name).read_stored(row, offset + first, last - first)

        return Part(shard.sample_rate, shard.channels, item.frames, scale, read)

    def _shard(self, name: str) -> Shard:
        if name not in self._shards:
            self._shards[name] = Shard(shard_path(self.folder, name))
            if len(self._shards) > OPEN_SHARDS:
                self._shards.popitem(last=False)[1].close()
        self._shards.move_to_end(name)
        return self._shards[name]

    def close(self) -> None:
        with self._lock:
            for shard in self._shards.values():
                shard.close()
            self._shards.clear()


def decode_stretch(path: Path, start_seconds: float, end_seconds: float) -> Part:
    """Return a stretch of a file as 16-bit audio at its own rate and level, in one or two channels.

    The part ends early where decoding does. Raises `AudioError` if nothing decodes.
    """
    with AudioReader(path) as reader:
        rate = reader.sample_rate
        first, frames = round(start_seconds * rate), round((end_seconds - start_seconds) * rate)
        block = next(iter(reader.blocks(max(frames, 1), first)), None)
        if block is None:
            raise AudioError(f"{path.name} cannot be decoded at {start_seconds:.1f} s: {reader.problem or 'it ends'}")
        audio = to_channels(block[:frames].T, min(reader.channels, 2)).T
        scale = max(float(np.abs(audio).max(initial=0.0)), 1.0) / 32767
        stored = np.rint(audio / scale).astype("<i2")
    return Part(rate, stored.shape[1], len(stored), scale, lambda first, last: stored[first:last])
