"""Decoders: what each library offers to the reader, and which of them opens a file."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from remix_miner.audio.arrays import Block
from remix_miner.audio.containers.flac import stream_starts
from remix_miner.audio.containers.headers import HeaderCheck, check_header
from remix_miner.audio.containers.mpeg import MOST_GARBAGE_BYTES
from remix_miner.audio.formats import PYAV_KINDS, PYAV_SUFFIXES, sniff
from remix_miner.audio.pyav_decoder import PyavDecoder
from remix_miner.audio.soundfile_decoder import SoundfileDecoder
from remix_miner.errors import AudioError
from remix_miner.paths import display_name

EXTRA = "pip install 'remix-miner[media]'"


class Decoder(Protocol):
    """An open file. ``frames``: as its header states, None where it states no length that can be.

    ``problem`` states what is wrong with the file, as far as it was read.
    """

    sample_rate: int
    channels: int
    frames: int | None
    problem: str | None

    def blocks(self, block_frames: int, start_frame: int) -> Iterator[Block]:
        """Yield (frames, channels) to the end; the array of one step may be overwritten by the next."""
        ...

    def close(self) -> None: ...


def open_decoder(path: Path) -> Decoder:
    """Return the decoder for a file's content, whatever its suffix: libsndfile where it can, else FFmpeg.

    Raises `AudioError` where none can; it names the optional extra where that would help.
    """
    try:
        kind = sniff(path)
    except OSError as error:
        raise AudioError(f"{display_name(path)} cannot be read: {error.strerror}") from error
    has_pyav = importlib.util.find_spec("av") is not None
    if kind in PYAV_KINDS or (kind is None and path.suffix.lower() in PYAV_SUFFIXES):
        if not has_pyav:
            what = path.suffix if kind is None else kind
            raise AudioError(f"{display_name(path)}: {what} needs an extra: {EXTRA}")
        return PyavDecoder(path)
    start = 0
    if kind is None and (streams := stream_starts(path, most=MOST_GARBAGE_BYTES)):
        kind, start = "FLAC", streams[0]
    header = check_header(path, kind, start) if kind else HeaderCheck()
    try:
        return SoundfileDecoder(path, kind, header, start)
    except AudioError as error:
        if not has_pyav:
            if kind is None:
                raise
            raise AudioError(f"{error}; perhaps FFmpeg reads it: {EXTRA}") from error
        try:
            return PyavDecoder(path, header.problem)
        except AudioError:
            raise error from None
