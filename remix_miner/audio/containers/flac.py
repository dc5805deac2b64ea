"""FLAC files (RFC 9639): where streams begin, the number of the last frame, and tags behind the audio."""

import re
import struct
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from remix_miner.audio.containers.mpeg import Bytes, id3_bytes

LONGEST_FRAME_HEADER = 16
SEARCHED_BYTES = 1 << 18
"""The last frame is looked for in so many bytes at the end; one of 4096 samples takes 16 kB in CD quality."""

ID3V1_BYTES = 128
APE_FOOTER_BYTES = 32
APE_HAS_HEADER = 1 << 31

BLOCK_SIZES = {1: 192, **{code: 576 << (code - 2) for code in range(2, 6)}, **{c: 256 << (c - 8) for c in range(8, 16)}}


@dataclass(frozen=True)
class FrameHeader:
    """What the header of a frame states. ``number``: of its frame, or of its first sample if sizes vary."""

    number: int
    samples: int
    sizes_vary: bool
    format: tuple[int, int, int]
    """Bits that are the same in all frames of a stream."""


def stream_starts(path: Path, begin: int = 0, most: int | None = None) -> list[int]:
    """Return the bytes at which streams begin, from ``begin`` on; ``most``: how many bytes are searched."""
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        end = len(data) if most is None else begin + most
        return [match.start() for match in _STREAM.finditer(data, begin, end)]


def stated_and_held_frames(path: Path, start: int = 0) -> tuple[int, int, int] | None:
    """Return (sample rate, samples per channel that the header states, those up to the end of the last frame).

    ``start``: of the stream, or of an ID3 tag before it. None where no frame is found, or the header states no length.
    """
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        start += id3_bytes(data[start : start + 10]) if data[start : start + 3] == b"ID3" else 0
        if data[start : start + 4] != b"fLaC":
            return None
        fields = struct.unpack(">Q", data[start + 18 : start + 26].ljust(8, b"\0"))[0]
        rate, stated = fields >> 44, fields & (1 << 36) - 1
        first_place = _end_of_metadata(data, start + 4)
        first = frame_header(data, first_place)
        if first is None or not rate or not stated:
            return None
        search_from = max(first_place, len(data) - SEARCHED_BYTES)
        places = [match.start() for match in _SYNC.finditer(data, search_from)]
        headers = (frame_header(data, place) for place in reversed(places))
        last = next((header for header in headers if header is not None and header.format == first.format), None)
        if last is None:
            return None
        return rate, stated, (last.number if last.sizes_vary else last.number * first.samples) + last.samples


def end_of_audio(path: Path, start: int = 0, next_stream: int | None = None) -> int | None:
    """Return the byte at which tags (ID3v1, APEv2) begin behind the audio; None without any.

    Decoders take them for a damaged frame and lose the frame in front of them. ``start``, ``next_stream``: of a stream
    that another one follows, with tags in between, an ID3v2 tag of the next one among them.
    """
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        behind = len(data) if next_stream is None else next_stream
        end = behind if next_stream is None else _before_id3(data, start, behind)
        if data[max(end - ID3V1_BYTES, start) : end].startswith(b"TAG"):
            end -= ID3V1_BYTES
        footer = data[max(end - APE_FOOTER_BYTES, start) : end]
        if footer.startswith(b"APETAGEX") and len(footer) == APE_FOOTER_BYTES:
            _, tag_bytes, _, flags = struct.unpack("<4I", footer[8:24])
            tag_bytes += APE_FOOTER_BYTES if flags & APE_HAS_HEADER else 0
            end -= tag_bytes if 0 < tag_bytes < end - start else 0
    return end if end < behind else None


def _before_id3(data: mmap, start: int, end: int) -> int:
    """Return where the ID3v2 tags that lie directly before ``end`` begin; ``end`` without any."""
    place = data.rfind(b"ID3", start, end)
    while place >= 0 and id3_bytes(data[place : place + 10]) != end - place:
        place = data.rfind(b"ID3", start, place)
    return end if place < 0 else _before_id3(data, start, place)


def frame_header(data: Bytes, place: int) -> FrameHeader | None:
    """Return the frame header at ``place``; None where there is none. Its last byte is a CRC-8 (section 9.1)."""
    head = data[place : place + LONGEST_FRAME_HEADER]
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return None
    number_bytes = max(1, 8 - (~head[4] & 0xFF).bit_length())  # as in UTF-8: leading ones
    size_code = head[2] >> 4
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    rate_bytes = {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    after_number = 4 + number_bytes
    length = after_number + size_bytes + rate_bytes
    if len(head) <= length or number_bytes > 7 or _crc8(head[:length]) != head[length]:
        return None
    number = head[4] & (0x7F if number_bytes == 1 else 0x7F >> number_bytes)
    for byte in head[5:after_number]:
        number = number << 6 | byte & 0x3F
    samples = BLOCK_SIZES.get(size_code, 0)
    if size_bytes:
        samples = int.from_bytes(head[after_number : after_number + size_bytes], "big") + 1
    return FrameHeader(number, samples, bool(head[1] & 1), (head[1], head[2] & 15, head[3] & 15))


def _end_of_metadata(data: Bytes, place: int) -> int:
    """Return the byte behind the metadata blocks that begin at ``place``."""
    while place + 4 <= len(data):
        kind, size = data[place], int.from_bytes(data[place + 1 : place + 4], "big")
        place += 4 + size
        if kind & 0x80:
            break
    return place


def _crc8(data: bytes) -> int:
    """CRC with the polynomial x^8 + x^2 + x + 1."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return value


_STREAM = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""A stream begins with its mark and the head of STREAMINFO, a block of 34 bytes."""

_SYNC = re.compile(rb"\xff[\xf8\xf9]")
