"""Chunk of samples in an uncompressed file: its place, and the length that its header states (WAV, AIFF, CAF, AU)."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MOST_CHUNKS = 10_000
UNSTATED = 0xFFFFFFFF
"""A 32-bit size that stands for one stated elsewhere, or for none."""

WAV_SUBTYPES = {
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

AU_SUBTYPES = {
    1: ("ULAW", 1),
    2: ("PCM_S8", 1),
    3: ("PCM_16", 2),
    4: ("PCM_24", 3),
    5: ("PCM_32", 4),
    6: ("FLOAT", 4),
    7: ("DOUBLE", 8),
    27: ("ALAW", 1),
}


@dataclass(frozen=True)
class ChunkForm:
    """Form of a file's chunks: byte order, bytes of a size (4 or 8), and whether odd sizes are padded."""

    order: str = "<"
    size_bytes: int = 4
    padded: bool = True


@dataclass(frozen=True)
class DataChunk:
    """The samples: first byte, stated bytes, bytes of a second; ``form``: of chunks behind them, None without any.

    ``subtype``: libsndfile's name of the encoding; None where its RAW format has none. ``hidden``: libsndfile does
    not find or accept the chunk where it is.
    """

    start: int
    size: int
    bytes_per_second: int
    sample_rate: int
    channels: int
    subtype: str | None
    form: ChunkForm | None
    hidden: bool = False

    @property
    def endian(self) -> str:
        """Byte order of the samples, in libsndfile's words."""
        return "LITTLE" if self.form is not None and self.form.order == "<" else "BIG"


def find_data_chunk(file: BinaryIO, kind: str) -> DataChunk | None:
    """Return the chunk of samples of a file of ``kind`` (as `formats.sniff` gives it); None where there is none.

    None also stands for other formats, and for compressed samples, which have no fixed bytes per second.
    """
    find = {"WAV": _wav, "AIFF": _aiff, "CAF": _caf, "AU": _au}.get(kind)
    try:
        return None if find is None else find(file)
    except struct.error:  # the file ends inside a chunk
        return None


def names_of_chunks(file: BinaryIO, place: int, size: int, form: ChunkForm) -> list[bytes] | None:
    """Return the names of the chunks that fill the file from ``place`` to its end; None where no chunks do."""
    names = []
    for name, start, length in _chunks(file, place, form):
        if not _is_name(name):
            return None
        names.append(name)
        place = start + length
    return names if size - 8 <= place <= size + 1 else None


def _chunks(file: BinaryIO, place: int, form: ChunkForm) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, first byte, size) of the chunks from ``place`` on."""
    head_bytes = 4 + form.size_bytes
    end = file.seek(0, os.SEEK_END)
    for _ in range(MOST_CHUNKS):
        if place + head_bytes > end:
            return
        file.seek(place)
        head = file.read(head_bytes)
        size = int.from_bytes(head[4:], "little" if form.order == "<" else "big", signed=form.size_bytes == 8)
        yield head[:4], place + head_bytes, size
        if size < 0:
            return
        place += head_bytes + size + (size % 2 if form.padded else 0)


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _wav(file: BinaryIO) -> DataChunk | None:
    """RIFF, RIFX, and RF64 or BW64, whose chunk 'ds64' states the size. Some writers do not pad odd chunks."""
    tag = file.read(4)
    order = ">" if tag == b"RIFX" else "<"
    large = tag in (b"RF64", b"BW64")
    for padded in (True, False):
        fields: tuple[int, ...] | None = None
        code, stated = 0, None
        for name, start, size in _chunks(file, 12, ChunkForm(order, padded=padded)):
            file.seek(start)
            if name == b"ds64":
                stated = struct.unpack("<QQ", file.read(16))[1]
            if name == b"fmt ":
                head = file.read(26)
                fields = struct.unpack(f"{order}HHIIHH", head[:16])
                code = fields[0]
                if code == EXTENSIBLE and size >= 26 and len(head) == 26:
                    code = struct.unpack(f"{order}H", head[24:26])[0]
            if name == b"data" and fields is not None:
                _, channels, rate, bytes_per_second, _, bits = fields
                subtype = WAV_SUBTYPES.get((code, bits)) if channels else None
                if subtype:
                    bytes_per_second = rate * channels * bits // 8
                hidden = not padded or (large and stated is None)
                if large and size == UNSTATED:
                    size = stated or 0
                form = ChunkForm(order)
                return DataChunk(start, size, bytes_per_second, rate, channels, subtype, form, hidden)
            if name == b"data":
                return None
    return None


def _aiff(file: BinaryIO) -> DataChunk | None:
    """The chunk SSND, which begins with an offset and a block size of four bytes each."""
    compressed = file.read(12)[8:] == b"AIFC"
    channels, bits, rate = 0, 0, 0
    for name, start, size in _chunks(file, 12, ChunkForm(">")):
        file.seek(start)
        if name == b"COMM":
            head = file.read(22)
            channels, _, bits, exponent, mantissa = struct.unpack(">HIHHQ", head[:18])
            rate = mantissa >> max(16383 + 63 - (exponent & 0x7FFF), 0)
            if compressed and head[18:] not in (b"NONE", b"sowt", b"twos", b"fl32", b"FL32", b"fl64"):
                return None
        if name == b"SSND":
            frame_bytes = channels * ((bits + 7) // 8)
            form = ChunkForm(">")
            return DataChunk(start + 8, max(size - 8, 0), rate * frame_bytes, rate, channels, None, form)
    return None


def _caf(file: BinaryIO) -> DataChunk | None:
    """Core Audio Format; its samples begin with an edit count of four bytes. A size of -1: to the end of the file."""
    form = ChunkForm(">", 8, padded=False)
    bytes_per_second, rate, channels = 0, 0, 0
    for name, start, size in _chunks(file, 8, form):
        file.seek(start)
        if name == b"desc":
            hertz, _, _, packet_bytes, packet_frames, channels, _ = struct.unpack(">d4sIIIII", file.read(32))
            rate = int(hertz) if 0 < hertz < 1e9 else 0
            bytes_per_second = rate * packet_bytes // packet_frames if packet_frames else 0
        if name == b"data":
            stated = UNSTATED if size < 0 else max(size - 4, 0)
            return DataChunk(start + 4, stated, bytes_per_second, rate, channels, None, form)
    return None


def _au(file: BinaryIO) -> DataChunk | None:
    head = file.read(24)
    order = ">" if head[:4] == b".snd" else "<"
    start, size, encoding, rate, channels = struct.unpack(f"{order}5I", head[4:24])
    subtype, sample_bytes = AU_SUBTYPES.get(encoding, (None, 0))
    return DataChunk(
        start, size, rate * channels * sample_bytes, rate, channels, subtype if order == ">" else None, None
    )
