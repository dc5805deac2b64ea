"""Decoding through FFmpeg (PyAV, extra ``media``): what libsndfile does not read. Always from the start of the file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from remix_miner.audio.arrays import Block
from remix_miner.audio.lengths import is_possible, shorter_than_stated
from remix_miner.errors import AudioError
from remix_miner.paths import display_name

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,aac,mp3,mp2,flac,wav,w64,aiff,au,caf,ac3,eac3,wv,tta,asf,ape,mpc,mpc8,"
    "mpegts,avi,flv"
)
"""No playlists or scripts, which would open other files or addresses."""


class PyavDecoder:
    """The first audio stream of a container; see `remix_miner.audio.decoder.Decoder`.

    ``problem``: what its header is known to state wrongly.
    """

    def __init__(self, path: Path, problem: str | None = None) -> None:
        import av

        self.path = path
        self.problem = problem
        try:
            self._container = av.open(str(path), options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"})
        except (av.FFmpegError, OSError, ValueError) as error:
            raise AudioError(f"{display_name(path)} cannot be decoded: {reason_of(error)}") from error
        if not self._container.streams.audio:
            self.close()
            raise AudioError(f"{display_name(path)} cannot be decoded: it holds no audio, only other streams")
        self._stream = self._container.streams.audio[0]
        if self._stream.codec_context is None:  # and with it the stream has no rate
            self.close()
            raise AudioError(f"{display_name(path)} cannot be decoded: its codec is not known")
        self.sample_rate = int(self._stream.rate or 0)
        self.channels = int(self._stream.channels or 0)
        if self.sample_rate <= 0 or self.channels <= 0:
            self.close()
            raise AudioError(f"{display_name(path)} cannot be decoded: no sample rate or no channels")
        self.frames = self._stated_frames()

    def _stated_frames(self) -> int | None:
        if self._stream.duration:
            seconds = float(self._stream.duration * self._stream.time_base)
        elif self._container.duration:
            seconds = self._container.duration / 1e6
        else:
            return None
        frames = round(seconds * self.sample_rate)
        return frames if is_possible(frames, self.path) else None

    def blocks(self, block_frames: int, start_frame: int) -> Iterator[Block]:
        import av

        resampler = av.AudioResampler(format="fltp", layout=self._stream.layout, rate=self.sample_rate)
        held: list[Block] = []
        held_frames = 0
        position, skip = 0, start_frame
        try:
            for frame in self._container.decode(self._stream):
                for piece in resampler.resample(frame):
                    array = np.ascontiguousarray(piece.to_ndarray().T, dtype=np.float32)
                    position += len(array)
                    dropped = min(skip, len(array))
                    skip -= dropped
                    held.append(array[dropped:])
                    held_frames += len(held[-1])
                while held_frames >= block_frames:
                    joined = np.concatenate(held)
                    yield joined[:block_frames]
                    held = [joined[block_frames:]]
                    held_frames = len(held[0])
        except (av.FFmpegError, OSError, ValueError) as error:
            self.problem = f"damaged after {position / self.sample_rate:.2f} s: {reason_of(error)}"
        if held_frames:
            yield np.concatenate(held)
        if not self.problem and self._container.format.name != "aac":  # which states no length: it is guessed
            self.problem = shorter_than_stated(position, self.frames, self.sample_rate)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._container.close()


def reason_of(error: BaseException) -> str:
    """Return the first line of an error's text without FFmpeg's number and function, or its type."""
    text = str(getattr(error, "strerror", None) or error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
