"""Lengths that headers of uncompressed files state, compared with the file's own size (WAV, AIFF, AU).

libsndfile takes a header at its word. A size field that wrapped at 4 GiB, or was never filled in, or is wrong, then
hides most of a file.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

UNKNOWN_SIZES = (0x7FFF0000, 0xFFFFFFFF)
"""Sizes in this range mean 'until the end of the file': writers to a pipe leave them so."""

UNACCOUNTED_BYTES = 4096
"""Fewer bytes after the stated audio are padding or an unknown tag."""

HEADER_BYTES = 1 << 12
LONG_HEADER_BYTES = 1 << 20

RAW_SUBTYPES = {
    (1, 8): "PCM_U8",
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
    (6, 8): "ALAW",
    (7, 8): "ULAW",
}
EXTENSIBLE = 0xFFFE


@dataclass(frozen=True)
class RawAudio:
    """Uncompressed samples inside a file: where they lie, and what libsndfile's RAW format needs to read them."""

    start: int
    end: int
    sample_rate: int
    channels: int
    subtype: str
    endian: str


@dataclass(frozen=True)
class HeaderCheck:
    """What the comparison gave: how to ``read_on`` past a size that is certainly wrong, or what is the ``problem``."""

    read_on: RawAudio | None = None
    problem: str | None = None


@dataclass(frozen=True)
class _Data:
    """The chunk of samples: its first byte, its stated size, the bytes of one second; the rest as in `RawAudio`."""

    start: int
    size: int
    bytes_per_second: int
    sample_rate: int
    channels: int
    subtype: str | None
    endian: str
    big_endian_chunks: bool


def check_header(path: Path, kind: str) -> HeaderCheck:
    """Compare the length that a header states with the file's size; nothing to say of other formats."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        data = _find_data(file, kind)
        if data is None or data.bytes_per_second <= 0 or not 0 < data.start <= size:
            return HeaderCheck()
        available = size - data.start
        if UNKNOWN_SIZES[0] <= data.size <= UNKNOWN_SIZES[1] and data.size > available:
            return HeaderCheck()
        if data.size > available + data.bytes_per_second:
            stated, held = data.size / data.bytes_per_second, available / data.bytes_per_second
            return HeaderCheck(problem=f"truncated: {held:.2f} s of the stated {stated:.2f} s")
        ends = {data.start + data.size, data.start + data.size + data.size % 2}  # not every writer pads odd sizes
        if size - max(ends) < UNACCOUNTED_BYTES:
            return HeaderCheck()
        if any(_are_chunks(file, end, size, data.big_endian_chunks) for end in ends):
            return HeaderCheck()
    whole = RawAudio(data.start, size, data.sample_rate, data.channels, data.subtype or "", data.endian)
    wrapped = available >= 2**32 and (available - data.size) % 2**32 < UNACCOUNTED_BYTES
    if data.subtype is not None and (data.size == 0 or wrapped):
        return HeaderCheck(read_on=whole)
    stated, held = data.size / data.bytes_per_second, available / data.bytes_per_second
    return HeaderCheck(
        problem=f"its header states {stated:.2f} s, and the file holds {held:.2f} s; the rest is not read"
    )


def _find_data(file: BinaryIO, kind: str) -> _Data | None:
    """Parse the chunks in front of the samples; most headers are short, and few hold pictures."""
    parse = {"WAV": _wav_data, "AIFF": _aiff_data, "AU": _au_data}.get(kind)
    if parse is None:
        return None
    head = file.read(HEADER_BYTES)
    return parse(head) or parse(head + file.read(LONG_HEADER_BYTES))


def _wav_data(head: bytes) -> _Data | None:
    """The data chunk of a RIFF or RIFX file. RF64 states its size elsewhere and correctly: not compared."""
    if head[:4] not in (b"RIFF", b"RIFX"):
        return None
    order = "<" if head[:4] == b"RIFF" else ">"
    form: tuple[int, ...] | None = None
    code = 0
    place = 12
    while place + 8 <= len(head):
        name, size = head[place : place + 4], struct.unpack(f"{order}I", head[place + 4 : place + 8])[0]
        if name == b"fmt " and place + 24 <= len(head):
            form = struct.unpack(f"{order}HHIIHH", head[place + 8 : place + 24])
            code = form[0]
            if code == EXTENSIBLE and place + 34 <= len(head):
                code = struct.unpack(f"{order}H", head[place + 32 : place + 34])[0]
        if name == b"data":
            if form is None:
                return None
            _, channels, rate, bytes_per_second, _, bits = form
            subtype = RAW_SUBTYPES.get((code, bits)) if channels else None
            if subtype:
                bytes_per_second = rate * channels * bits // 8
            endian = "LITTLE" if order == "<" else "BIG"
            return _Data(place + 8, size, bytes_per_second, rate, channels, subtype, endian, order == ">")
        place += 8 + size + size % 2
    return None


def _aiff_data(head: bytes) -> _Data | None:
    """The SSND chunk of an AIFF file; compressed AIFF-C has no bytes per second and is not compared."""
    channels, bits, rate = 0, 0, 0
    place = 12
    while place + 8 <= len(head):
        name, size = head[place : place + 4], struct.unpack(">I", head[place + 4 : place + 8])[0]
        if name == b"COMM" and place + 26 <= len(head):
            channels, _, bits, exponent, mantissa = struct.unpack(">HIHHQ", head[place + 8 : place + 26])
            rate = mantissa >> max(16383 + 63 - (exponent & 0x7FFF), 0)
            compression = head[place + 26 : place + 30] if head[8:12] == b"AIFC" else b"NONE"
            if compression not in (b"NONE", b"sowt", b"twos", b"fl32", b"FL32", b"fl64"):
                return None
        if name == b"SSND":
            # The first eight bytes of the chunk are an offset and a block size.
            frame_bytes = channels * ((bits + 7) // 8)
            return _Data(place + 16, max(size - 8, 0), rate * frame_bytes, rate, channels, None, "BIG", True)
        place += 8 + size + size % 2
    return None


def _au_data(head: bytes) -> _Data | None:
    if len(head) < 24 or head[:4] not in (b".snd", b"dns."):
        return None
    order = ">" if head[:4] == b".snd" else "<"
    start, size, encoding, rate, channels = struct.unpack(f"{order}5I", head[4:24])
    sample_bytes = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(encoding, 0)
    return _Data(start, size, rate * channels * sample_bytes, rate, channels, None, "BIG", order == ">")


def _are_chunks(file: BinaryIO, place: int, size: int, big_endian: bool) -> bool:
    """Whether chunks, each with a name and a size, fill the file from ``place`` to its end."""
    order = ">" if big_endian else "<"
    while place + 8 <= size:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or not all(32 <= byte < 127 for byte in head[:4]):
            return False
        length = struct.unpack(f"{order}I", head[4:])[0]
        place += 8 + length + length % 2
    return place <= size + 1
