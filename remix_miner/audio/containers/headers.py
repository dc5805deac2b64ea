"""Lengths that headers state, compared with what the file holds (WAV, AIFF, CAF, AU, FLAC).

libsndfile takes a header at its word. A size field that wrapped at 4 GiB, or was never filled in, or is wrong, then
hides most of a file.
"""

from dataclasses import dataclass
from pathlib import Path

from remix_miner.audio.containers.data_chunk import DataChunk, find_data_chunk, names_of_chunks
from remix_miner.audio.containers.flac import stated_and_held_frames

UNKNOWN_SIZES = (0x7FFF0000, 0xFFFFFFFF)
"""Sizes in this range mean 'until the end of the file': writers to a pipe leave them so."""

LARGEST_SIZE = 2**50
"""Larger sizes are no sizes."""

UNACCOUNTED_BYTES = 4096
"""Fewer bytes after the stated audio are padding or an unknown tag."""

MORE_AUDIO = {b"data": "a second chunk of audio", b"wavl": "a second chunk of audio", b"slnt": "a chunk of silence"}
MORE_AUDIO |= dict.fromkeys((b"RIFF", b"RIFX", b"RF64", b"FORM"), "another file")
"""Chunks behind the audio that hold more of it."""


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
    """Result of the comparison: how to ``read_on`` past a size that is certainly wrong, or what is the ``problem``."""

    read_on: RawAudio | None = None
    problem: str | None = None


def check_header(path: Path, kind: str, start: int = 0) -> HeaderCheck:
    """Compare the length that a header states with the file's size; other formats have no problem.

    ``start``: the first byte of a FLAC stream.
    """
    if kind == "FLAC":
        return _check_flac(path, start)
    size = path.stat().st_size
    with open(path, "rb") as file:
        data = find_data_chunk(file, kind)
        if data is None or data.bytes_per_second <= 0 or not 0 < data.start <= size:
            return HeaderCheck()
        available = size - data.start
        unknown = UNKNOWN_SIZES[0] <= data.size <= UNKNOWN_SIZES[1] or data.size > LARGEST_SIZE
        if data.hidden and data.subtype is not None:
            return HeaderCheck(read_on=_raw(data, available if unknown or not data.size else data.size, available))
        if unknown and data.size > available:
            return HeaderCheck()
        if data.size > available + data.bytes_per_second:
            stated, held = data.size / data.bytes_per_second, available / data.bytes_per_second
            return HeaderCheck(problem=f"truncated: {held:.2f} s of the stated {stated:.2f} s")
        ends = {data.start + data.size, data.start + data.size + data.size % 2}  # not every writer pads odd sizes
        if size - max(ends) < UNACCOUNTED_BYTES:
            return HeaderCheck()
        for end in ends:
            names = None if data.form is None else names_of_chunks(file, end, size, data.form)
            if names is not None:
                more = next((MORE_AUDIO[name] for name in names if name in MORE_AUDIO), None)
                if more is None:
                    return HeaderCheck()
                # libsndfile refuses some of these files.
                raw = None if data.subtype is None else _raw(data, data.size, available)
                return HeaderCheck(raw, f"{more} follows its {_seconds(data, data.size)} and is not read")
    if data.size == 0 and kind == "AIFF":
        return HeaderCheck()  # libsndfile reads on
    wrapped = available >= 2**32 and (available - data.size) % 2**32 < UNACCOUNTED_BYTES
    if data.subtype is not None and (data.size == 0 or wrapped):
        return HeaderCheck(read_on=_raw(data, available, available))
    stated_text, held_text = _seconds(data, data.size), _seconds(data, available)
    return HeaderCheck(problem=f"its header states {stated_text}, and the file holds {held_text}; the rest is not read")


def _check_flac(path: Path, start: int) -> HeaderCheck:
    """Compare the header's length with the number of the last frame; a file that ends early is noticed when read."""
    found = stated_and_held_frames(path, start)
    if found is None or found[2] <= found[1]:
        return HeaderCheck()
    rate, stated, held = found
    return HeaderCheck(
        problem=f"its header states {stated / rate:.2f} s, and the file holds {held / rate:.2f} s; the rest is not read"
    )


def _seconds(data: DataChunk, size: int) -> str:
    return f"{size / data.bytes_per_second:.2f} s"


def _raw(data: DataChunk, size: int, available: int) -> RawAudio:
    assert data.subtype is not None
    end = data.start + min(size, available)
    return RawAudio(data.start, end, data.sample_rate, data.channels, data.subtype, data.endian)
