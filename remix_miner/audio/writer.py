"""Writing audio files: whole signals, or block by block; files of more than 4 GiB are RF64."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import soundfile

from remix_miner.atomic import atomic_path
from remix_miner.audio.arrays import Audio, Block
from remix_miner.errors import UsageError, WriteError
from remix_miner.paths import display_name

SUBTYPES = {"float32": "FLOAT", "int16": "PCM_16", "int24": "PCM_24"}
BYTES_PER_SAMPLE = {"float32": 4, "int16": 2, "int24": 3}

RIFF_BYTES = 2**32 - 2**16
"""The most audio that a plain wav file takes: its size fields have 32 bits, and headers need room too."""

LENGTH_MARGIN = 1.1
"""A stated length may be an estimate (mp3): so much more than it must still fit into the chosen format."""

WRITE_SECONDS = 10.0
"""libsndfile's Vorbis encoder overflows the stack when it gets minutes of audio at once."""


class AudioWriter:
    """An audio file that is written block by block; the format is the suffix's. No gain, no dither.

    ``subtype``: ``float32`` (wav only), ``int16`` or ``int24``; integers clip at full scale. ogg and mp3 take their own
    default quality and ignore ``subtype``. ``frames`` is the expected length; a wav file becomes RF64 where its audio
    may exceed 4 GiB, and where ``frames`` is None. ``encoder``: options of `soundfile.SoundFile`. RF64 is what EBU Tech
    3306 defines; libsndfile, FFmpeg and SoX read it. Write to a path from `remix_miner.atomic.atomic_path`: the file
    then appears whole or not at all, and a full disk raises `WriteError`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        channels: int,
        subtype: str = "float32",
        frames: int | None = None,
        encoder: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if subtype not in SUBTYPES:
            raise UsageError(f"unknown sample format {subtype!r}; choose among {', '.join(SUBTYPES)}")
        if suffix == ".flac" and subtype == "float32":
            raise UsageError(f"{self.path.name}: flac holds integers; choose int16 or int24, or write wav")
        self._frame_bytes = BYTES_PER_SAMPLE[subtype] * channels
        self._room: int | None = None
        options: dict[str, Any] = dict(encoder or {})
        if suffix == ".wav":
            large = frames is None or LENGTH_MARGIN * frames * self._frame_bytes > RIFF_BYTES
            options["format"] = "RF64" if large else "WAV"
            self._room = None if large else RIFF_BYTES // self._frame_bytes
        if suffix in (".wav", ".flac"):
            options["subtype"] = SUBTYPES[subtype]
        self._step = max(int(WRITE_SECONDS * sample_rate), 1)
        self._file = soundfile.SoundFile(self.path, "w", sample_rate, channels, **options)
        self.frames_written = 0

    def write(self, block: Block) -> None:
        """Append (frames, channels)."""
        if self._room is not None and self.frames_written + len(block) > self._room:
            raise WriteError(
                f"{display_name(self.path)} would exceed the 4 GiB of a plain wav file, since its stated length is "
                "too short; write flac, or give the source file a correct header"
            )
        for start in range(0, len(block), self._step):
            self._file.write(np.ascontiguousarray(block[start : start + self._step], dtype=np.float32))
        self.frames_written += len(block)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "AudioWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def write_audio(path: str | os.PathLike[str], audio: Audio, sample_rate: int, subtype: str = "float32") -> None:
    """Write (channels, frames), whole or not at all; see `AudioWriter` for formats and ``subtype``."""
    frames = np.asarray(audio, dtype=np.float32).T
    with (
        atomic_path(Path(path)) as temporary,
        AudioWriter(temporary, sample_rate, frames.shape[1], subtype, len(frames)) as file,
    ):
        file.write(frames)
