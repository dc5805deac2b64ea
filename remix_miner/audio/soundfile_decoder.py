"""Decoding through libsndfile: exact seeks, every link of a chained Ogg, wrong size fields of WAV put right."""

import contextlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from remix_miner.audio.arrays import Block
from remix_miner.audio.channels import to_channels
from remix_miner.audio.containers.headers import HeaderCheck, RawAudio
from remix_miner.audio.containers.mpeg import find_frames
from remix_miner.audio.containers.mpeg_length import states_length
from remix_miner.audio.containers.ogg import ends_whole
from remix_miner.audio.containers.parts import parts_of, split_streams
from remix_miner.audio.file_part import FilePart
from remix_miner.audio.lengths import is_possible, shorter_than_stated
from remix_miner.audio.resampling import resample
from remix_miner.audio.silence_stderr import without_decoder_messages
from remix_miner.errors import AudioError
from remix_miner.paths import display_name

READ_FRAMES = 32_768
"""Frames of one read; a damaged file loses the read in which the damage lies."""

FLAC_BUFFER_BYTES = 1 << 17
"""The decoder has read so many bytes at most behind the frames that it gave."""

ERRORS = (soundfile.LibsndfileError, RuntimeError, OSError, TypeError, ValueError)


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read onwards from where it is. soundfile seeks to that place after each read of a seekable file,
    and for mp3 that means to decode some frames again: an eighth of the work with reads of ``READ_FRAMES``.
    """

    def seekable(self) -> bool:
        return False


class SoundfileDecoder:
    """A file that libsndfile reads; see `remix_miner.audio.decoder.Decoder`. ``kind``: as `formats.sniff` gives it.

    ``header``: how its header compares with the file's size. ``start``: the first byte of a FLAC stream.
    """

    def __init__(self, path: Path, kind: str | None, header: HeaderCheck, start: int = 0) -> None:
        self.path = path
        self._mp3 = kind in ("MP3", None)
        self._kind = kind
        self.problem = header.problem
        self._parts, self._first_frame = parts_of(path, kind, start)
        self._part: FilePart | None = None
        self._raw = header.read_on
        self._file = self._open(0)
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames = self._stated_frames()
        self._mp3 = self._file.format == "MP3"
        self._stated = self.frames
        if self._mp3 and not self._first_frame and not states_length(path, self._parts[0][0]):
            self._stated = None  # ``frames`` is then an estimate

    def _open(self, part: int) -> Any:
        start, end = self._parts[part]
        options: dict[str, Any] = {}
        if self._raw is not None:
            start, end, options = self._raw.start, self._raw.end, _raw_options(self._raw)
        try:
            with self._quiet():
                if start == 0 and end is None and not self._first_frame:
                    # By descriptor, since libsndfile's Python wrapper cannot encode every file name.
                    self._descriptor = os.open(self.path, os.O_RDONLY)
                    return _ForwardFile(self._descriptor, closefd=True)
                self._part = FilePart(self.path, start, end, self._first_frame)
                return _ForwardFile(self._part, **options)
        except ERRORS as error:
            raise AudioError(f"{display_name(self.path)} cannot be decoded: {sndfile_reason(error)}") from error

    def _quiet(self) -> contextlib.AbstractContextManager[None]:
        return without_decoder_messages() if self._mp3 else contextlib.nullcontext()

    def _stated_frames(self) -> int | None:
        total = 0
        for part in range(len(self._parts)):
            try:
                file = self._file if part == 0 else self._open(part)
            except AudioError:  # a damaged link, which reading remarks
                return None
            frames = int(file.frames)
            if part:
                total += -(-frames * self.sample_rate // file.samplerate)
                file.close()
            else:
                total += frames
            if not is_possible(frames, self.path):
                if frames < 2**62 and not self.problem:
                    self.problem = "its header states a length that cannot be"
                return None
        return total

    def blocks(self, block_frames: int, start_frame: int) -> Iterator[Block]:
        buffer = np.empty((block_frames, self.channels), dtype=np.float32)
        filled = 0
        position = start_frame
        self._wanted = block_frames
        for piece in self._pieces(start_frame):
            while len(piece):
                taken = min(len(piece), block_frames - filled)
                buffer[filled : filled + taken] = piece[:taken]
                filled += taken
                position += taken
                piece = piece[taken:]
                if filled == block_frames:
                    yield buffer
                    filled = 0
            self._wanted = block_frames - filled
        if filled:
            yield buffer[:filled]
        if not self.problem:
            self.problem = shorter_than_stated(position, self._stated, self.sample_rate)
        if not self.problem and self._kind in ("Ogg Vorbis", "Ogg Opus") and not ends_whole(self.path):
            self.problem = (
                f"truncated after {position / self.sample_rate:.2f} s: the last page of the stream is missing"
            )

    def _pieces(self, start_frame: int) -> Iterator[Block]:
        """Yield what libsndfile gives for each request, of every part of the file; the array is overwritten."""
        skip, part = start_frame, -1
        while part + 1 < len(self._parts):
            part += 1
            if part:
                self._file.close()
                try:
                    self._file = self._open(part)
                except AudioError as error:
                    self.problem = f"damaged: link {part + 1} of {len(self._parts)} cannot be decoded: {error}"
                    return
            frames = self._file.frames
            if part < len(self._parts) - 1 and skip >= frames:
                skip -= frames
                continue
            if skip:
                self._seek(skip)
            yield from self._pieces_of_part(skip)
            skip = 0

    def _pieces_of_part(self, position: int) -> Iterator[Block]:
        """Yield what follows ``position``, where the part's file stands."""
        file = self._file
        same = (file.samplerate, file.channels) == (self.sample_rate, self.channels)
        buffer = np.empty((READ_FRAMES, file.channels), dtype=np.float32)
        ended = False
        while not ended:
            step = min(READ_FRAMES, self._wanted)  # a part of a file costs no more than its length
            try:
                with self._quiet():
                    read = len(file.read(dtype="float32", always_2d=True, out=buffer[:step]))
            except (soundfile.LibsndfileError, RuntimeError) as error:
                if self._kind == "FLAC" and self._split_streams():
                    file = self._file = self._open(0)
                    self._seek(position)
                    continue
                if not self._mp3 or self._audio_is_left():
                    self.problem = f"damaged after {position / file.samplerate:.2f} s: {sndfile_reason(error)}"
                return
            position += read
            ended = read < step
            if same:
                yield buffer[:read]
            else:  # a link of its own rate or channels: short, as announcements between songs of a radio stream are
                audio = to_channels(np.ascontiguousarray(buffer[:read].T), self.channels)
                yield resample(audio, file.samplerate, self.sample_rate).T
        if self._kind == "FLAC":
            self._split_streams(max(self._place() - FLAC_BUFFER_BYTES, 0))
        if self._mp3 and self._audio_is_left():
            self.problem = f"read for the {position / file.samplerate:.2f} s that its header states; more audio follows"
            if self._stated is None:
                self.problem = (
                    f"read for the {position / file.samplerate:.2f} s that its first frames state; more audio follows "
                    "(an mp3 of variable bit rate without Xing header)"
                )

    def _split_streams(self, search_from: int = 0) -> bool:
        """Make each of several FLAC streams a part of its own; return whether this changed the parts.

        ``search_from``: byte from which on a second stream is looked for.
        """
        streams = split_streams(self.path, self._parts[0], search_from) if len(self._parts) == 1 else None
        if streams is None:
            return False
        self._parts = streams
        self.problem = f"{len(streams)} FLAC streams follow each other, and its header states the length of the first"
        return True

    def _seek(self, frame: int) -> None:
        try:
            with self._quiet():
                self._file.seek(frame)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            reason = sndfile_reason(error)
            raise AudioError(f"{display_name(self.path)}: no frame {frame}: {reason}") from error

    def _audio_is_left(self) -> bool:
        """Whether frames of mp3 follow what was decoded: tags, zeros and other tails are not audio."""
        place = self._place()
        if place >= self.path.stat().st_size:
            return False
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return find_frames(data, place) is not None

    def _place(self) -> int:
        """Return the byte of the file that the decoder reads next."""
        if self._part is None:
            return os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return self._part.place_in_file

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._file.close()


def sndfile_reason(error: BaseException) -> str:
    """Return libsndfile's message without the number of a descriptor in place of the file's name."""
    text = str(getattr(error, "error_string", None) or error).strip() or type(error).__name__
    return text.splitlines()[0][:300]


def _raw_options(raw: RawAudio) -> dict[str, Any]:
    return {
        "samplerate": raw.sample_rate,
        "channels": raw.channels,
        "format": "RAW",
        "subtype": raw.subtype,
        "endian": raw.endian,
    }
