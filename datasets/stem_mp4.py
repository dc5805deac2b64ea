"""MUSDB18 and other ``.stem.mp4`` files: five streams in one file, read in parts through PyAV (extra ``media``).

Streams are 0 mixture, 1 drums, 2 bass, 3 other, 4 vocals (the stem format of Native Instruments, as MUSDB18 uses it).
AAC cuts off at 16 kHz, and a seek decodes a fifth of a second that it throws away: for training, MUSDB18-HQ is better.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.audio import Audio, display_name
from remix_miner.datasets.layouts import Layout
from remix_miner.datasets.musdb import official_split, split_folders
from remix_miner.datasets.songs import Song, StemPath
from remix_miner.errors import AudioError

SUFFIX = ".stem.mp4"
STREAMS = {"drums": 1, "bass": 2, "other": 3, "vocals": 4}
MIXTURE_STREAM = 0
PREROLL_SECONDS = 0.2
"""AAC frames overlap: the first frames after a seek are wrong, so decoding starts this much earlier."""

PADDING_FRAMES = 2048
"""An encoder's last two frames may be stated and not decoded; they are silence."""


@dataclass(frozen=True)
class StreamFile:
    """One audio stream of a container."""

    path: Path
    stream: int
    sample_rate: int
    channels: int
    frames: int

    @classmethod
    def open(cls, path: Path, stream: int) -> "StreamFile":
        with _opened(path) as container:
            audio = _stream(container, path, stream)
            seconds = float(audio.duration * audio.time_base) if audio.duration else 0.0
            return cls(path, stream, int(audio.rate), int(audio.channels), round(seconds * audio.rate))

    def read(self, start_frame: int, frames: int) -> Audio:
        import av

        audio = np.zeros((self.channels, frames), dtype=np.float32)
        decoded_to = start_frame
        try:
            with _opened(self.path) as container:
                stream = _stream(container, self.path, self.stream)
                start_seconds = max(start_frame / self.sample_rate - PREROLL_SECONDS, 0)
                container.seek(int(start_seconds / stream.time_base), stream=stream, backward=True)
                resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=self.sample_rate)
                for packet in container.decode(stream):
                    position = round(packet.pts * stream.time_base * self.sample_rate)
                    if position >= start_frame + frames:
                        break
                    for piece in resampler.resample(packet):
                        block = piece.to_ndarray()
                        first = max(start_frame - position, 0)
                        last = min(block.shape[1], start_frame + frames - position)
                        if first < last:
                            place = position - start_frame
                            audio[:, place + first : place + last] = block[:, first:last]
                            decoded_to = position + last
                        position += block.shape[1]
        except (av.FFmpegError, OSError, ValueError) as error:
            raise AudioError(f"{display_name(self.path)} cannot be decoded: {error}") from error
        if start_frame + frames - decoded_to > PADDING_FRAMES:
            raise AudioError(
                f"{display_name(self.path)}, stream {self.stream}: ends at frame {decoded_to} "
                f"of the stated {self.frames}; replace the file"
            )
        return audio


def _opened(path: Path) -> Any:
    try:
        import av
    except ImportError as error:
        raise AudioError(
            f"{display_name(path)} needs the optional extra; pip install 'remix-miner[media]', or use MUSDB18-HQ"
        ) from error
    try:
        return av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise AudioError(f"{display_name(path)} cannot be decoded: {error}") from error


def _stream(container: Any, path: Path, stream: int) -> Any:
    streams = container.streams.audio
    if stream >= len(streams):
        raise AudioError(f"{display_name(path)} has {len(streams)} audio streams, not the 5 of a stem file; remove it")
    return streams[stream]


def _stem_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name.endswith(SUFFIX) and not file.name.startswith("."))


def _songs(corpus: Path) -> Iterator[Song]:
    splits = split_folders(corpus)
    for folder, split in {corpus: None, **splits}.items():
        for file in _stem_files(folder):
            name = display_name(file.name.removesuffix(SUFFIX))
            yield Song(
                name,
                file,
                official_split(name, split, splits) if split else None,
                {source: (StemPath(file, stream),) for source, stream in STREAMS.items()},
                StemPath(file, MIXTURE_STREAM),
            )


MUSDB18_MP4 = Layout(
    "musdb18",
    "[{train,test}/]<track>.stem.mp4 (needs the extra 'media')",
    lambda corpus: any(_stem_files(folder) for folder in (corpus, *split_folders(corpus))),
    _songs,
)
