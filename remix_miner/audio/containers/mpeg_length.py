"""Length of an mp3 file: stated by its first frame (Xing, Info, VBRI), or counted.

libmpg123 estimates a length that is not stated from the first frames' bit rate, and reads no further. Where the bit
rate varies, this hides the end of the file.
"""

import struct
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from remix_miner.audio.containers.mpeg import (
    MOST_GARBAGE_BYTES,
    Bytes,
    FrameHeader,
    count_frames,
    find_frames,
    frame_header,
    id3_bytes,
)

TAG_PLACES = 64
"""The tag of the first frame lies in its first bytes, behind the side information."""

HAS_FRAMES = 1
"""Flag of a Xing or Info tag that states the number of frames."""

PROBES = 16
"""Places, evenly spaced over the file, at which bit rates are compared."""

MPEG_1 = 3


@dataclass(frozen=True)
class FirstFrame:
    """The first frame. ``tag``: place of a Xing or Info tag in it, or None; ``frames``: the stated number, or 0."""

    place: int
    content: bytes
    header: FrameHeader
    tag: int | None
    frames: int
    is_vbri: bool

    @property
    def states_length(self) -> bool:
        return self.frames > 0 or self.is_vbri


def first_frame(data: Bytes, start: int) -> FirstFrame | None:
    """Return the first frame at or after ``start``, behind an ID3 tag there; None where there is none."""
    tags = id3_bytes(data[start : start + 10]) if data[start : start + 3] == b"ID3" else 0
    place = find_frames(data, start + tags, most=MOST_GARBAGE_BYTES)
    header = None if place is None else frame_header(data, place)
    if place is None or header is None:
        return None
    content = data[place : place + header.size]
    tag = max(content[:TAG_PLACES].find(name) for name in (b"Xing", b"Info"))
    frames = 0
    if tag >= 0 and len(content) >= tag + 12:
        flags, number = struct.unpack(">II", content[tag + 4 : tag + 12])
        frames = number if flags & HAS_FRAMES else 0
    return FirstFrame(place, content, header, tag if tag >= 0 else None, frames, b"VBRI" in content[:TAG_PLACES])


def states_length(path: Path, start: int) -> bool:
    """Return whether the first frame at or after ``start`` states the length."""
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        first = first_frame(data, start)
        return first is not None and first.states_length


def frame_with_length(path: Path, start: int) -> tuple[bytes, int] | None:
    """Return a first frame that states the counted length, and the byte at which the rest of the file follows it.

    None where the length is stated or follows from a constant bit rate, and for other layers than mp3.
    """
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        first = first_frame(data, start)
        if first is None or first.states_length or first.header.kind[1] != 3:
            return None
        if first.tag is None:
            if not _bit_rate_varies(data, first.place):
                return None
            return _frame_of_length(first, count_frames(data, first.place)), first.place
        behind = first.place + len(first.content)
        number = count_frames(data, behind)
        if first.content[first.tag + 7] & HAS_FRAMES:  # the other fields, which give the encoder's delay, are kept
            before, after = first.content[: first.tag + 8], first.content[first.tag + 12 :]
            return before + struct.pack(">I", number) + after, behind
        return _frame_of_length(first, number), behind


def _bit_rate_varies(data: Bytes, start: int) -> bool:
    rates = set()
    for probe in range(PROBES):
        place = find_frames(data, start + (len(data) - start) * probe // PROBES, most=1 << 13)
        if place is not None:
            rates.add(data[place + 2] >> 4)
    return len(rates) > 1


def _frame_of_length(like: FirstFrame, frames: int) -> bytes:
    """Return a silent frame with a Xing tag of ``frames``, in the format of the frame ``like``."""
    mono, mpeg_1 = like.content[3] >> 6 == 3, like.header.kind[0] == MPEG_1
    side_information = (17 if mono else 32) if mpeg_1 else (9 if mono else 17)
    header = bytes([like.content[0], like.content[1] | 1, *like.content[2:4]])  # without a checksum
    frame = header + bytes(side_information) + b"Xing" + struct.pack(">II", HAS_FRAMES, frames)
    return frame.ljust(len(like.content), b"\0")
