"""Frames of MPEG audio (mp3) as their headers state them: where audio begins, and how many frames there are.

Header fields: ISO 11172-3, section 2.4.2.3; ISO 13818-3 for 'MPEG 2'; 'MPEG 2.5' is its common extension.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

BIT_RATES = {  # kbit/s, by (MPEG 1, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}

CHAINED_FRAMES = 4
"""So many headers, each where the frame before it ends, are audio; fewer may be chance."""

MOST_GARBAGE_BYTES = 1 << 20
"""Audio is looked for behind so many bytes of zeros or garbage."""

Bytes = bytes | mmap


@dataclass(frozen=True)
class FrameHeader:
    """What a frame's header states. ``samples``: per channel."""

    sample_rate: int
    samples: int
    size: int
    kind: tuple[int, int, int]


def frame_header(data: Bytes, place: int) -> FrameHeader | None:
    """Return the frame header at ``place``; None where there is none."""
    four = data[place : place + 4]
    if len(four) < 4 or four[0] != 0xFF or four[1] & 0xE0 != 0xE0:
        return None
    version, layer = four[1] >> 3 & 3, 4 - (four[1] >> 1 & 3)
    bit_rate, rate, padding = four[2] >> 4, four[2] >> 2 & 3, four[2] >> 1 & 1
    if version == 1 or layer == 4 or bit_rate in (0, 15) or rate == 3:
        return None
    bits = 1000 * BIT_RATES[version == 3, layer][bit_rate - 1]
    sample_rate = SAMPLE_RATES[version][rate]
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    slot = 4 if layer == 1 else 1
    size = (samples // 8 // slot * bits // sample_rate + padding) * slot
    return FrameHeader(sample_rate, samples, size, (version, layer, rate))


def id3_bytes(data: Bytes) -> int:
    """Return how many bytes the ID3v2 tags at the beginning take: 0 where there is none."""
    place = 0
    while data[place : place + 3] == b"ID3" and len(data) >= place + 10:
        size = 0
        for byte in data[place + 6 : place + 10]:
            size = size << 7 | byte & 0x7F
        place += 10 + size
    return place


def find_frames(data: Bytes, start: int = 0, most: int | None = None) -> int | None:
    """Return the place of the first of `CHAINED_FRAMES` frames, at or after ``start``; None where there are none.

    ``most``: how many bytes after ``start`` are searched.
    """
    end = len(data) if most is None else min(start + most, len(data))
    for match in _SYNC.finditer(data, start, end):
        if len(list(_chain(data, match.start(), CHAINED_FRAMES))) == CHAINED_FRAMES:
            return match.start()
    return None


def audio_start(path: Path) -> int:
    """Return where the audio of an mp3 file, or its ID3 tag, begins behind zeros or garbage; 0 where none is found."""
    with open(path, "rb") as file:
        head = file.read(10)
        if frame_header(head, 0) is not None or (head[:3] == b"ID3" and id3_bytes(head) < path.stat().st_size):
            return 0
        head += file.read(2 * MOST_GARBAGE_BYTES)
    tag = head.find(b"ID3", 1, MOST_GARBAGE_BYTES)
    if tag > 0 and find_frames(head[tag:], id3_bytes(head[tag:]), most=4096) is not None:
        return tag
    return find_frames(head, most=MOST_GARBAGE_BYTES) or 0


def count_frames(data: Bytes, start: int) -> int:
    """Return the number of frames from ``start`` on; garbage between frames is passed over."""
    total, place = 0, find_frames(data, start)
    while place is not None:
        for header in _chain(data, place):
            total += 1
            place += header.size
        place = find_frames(data, place)
    return total


def _chain(data: Bytes, place: int, most: int | None = None) -> Iterator[FrameHeader]:
    kind = None
    for _ in itertools.count() if most is None else range(most):
        header = frame_header(data, place)
        if header is None or (kind is not None and header.kind != kind):
            return
        kind = header.kind
        yield header
        place += header.size


_SYNC = re.compile(rb"\xff[\xe2-\xff]")
