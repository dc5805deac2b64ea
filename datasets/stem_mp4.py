"""One audio stream of a ``.stem.mp4`` file, read in parts through PyAV (extra ``media``)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.audio import Audio, display_name
from remix_miner.errors import AudioError

PREROLL_SECONDS = 0.2
"""AAC frames overlap: the first frames after a seek are wrong. Decoding starts this much earlier."""

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
