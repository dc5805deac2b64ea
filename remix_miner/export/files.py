"""Files of an export: written atomically, verified by reading them back, and kept when the same command runs again."""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from remix_miner.atomic import atomic_path
from remix_miner.audio import audio_info, read_audio, write_audio
from remix_miner.errors import AudioError, DataError
from remix_miner.export.settings import AUDIO
from remix_miner.export.spans import Span
from remix_miner.mined.shards.reader import Shard

Audio = Float32[np.ndarray, "C T"]

RESERVE_BYTES = 64 << 20
"""Free disk space to leave after the export."""


@dataclass
class Written:
    """Number of files written, kept from an earlier run, and linked; ``gains`` of the files that were scaled down.

    ``notes``: what the user must do or consider.
    """

    written: int = 0
    kept: int = 0
    linked: int = 0
    seconds: float = 0.0
    gains: dict[Path, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class ExcerptAudio:
    """Audio of spans, with one open shard at a time. Reading spans in the order of shards is fastest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shard: Shard | None = None

    def read(self, span: Span) -> tuple[Audio, int]:
        """Return audio (channels, frames) and the sample rate. Raises `DataError` for a missing or damaged shard."""
        path = self.folder / "shards" / span.shard
        if self._shard is None or self._shard.path != path:
            self.close()
            self._shard = Shard(path)
        row, offset = self._shard.row_of(span.shard_start, span.frames)
        return self._shard.read(row, offset, span.frames), self._shard.sample_rate

    def close(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None


def put_audio(path: Path, frames: int, make: Callable[[], tuple[Audio, int]], kind: str, written: Written) -> None:
    """Write the audio that ``make`` returns, unless a complete file of ``frames`` exists. New files are read back.

    Other trainers read a file that cannot be decoded as silence. A file that fails the check is therefore deleted.
    """
    kept = is_whole(path, frames)
    written.kept += kept
    if kept and kind != "flac":
        return
    audio, sample_rate = make()
    peak = float(np.abs(audio).max(initial=0.0))
    limit = 1 - 2.0**-23
    if kind == "flac" and peak > limit:
        written.gains[path] = limit / peak
        audio = audio * np.float32(limit / peak)
    if kept:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with atomic_path(path) as temporary:
            write_audio(temporary, audio, sample_rate, AUDIO[kind])
            clear_peak_time(temporary)
        read_back, _ = read_audio(path)
    except (AudioError, OSError) as error:
        path.unlink(missing_ok=True)
        raise DataError(f"{path} cannot be written: {error}; make room and run the same command again") from error
    if read_back.shape != audio.shape or not np.allclose(read_back, audio, atol=2.0**-22):
        path.unlink(missing_ok=True)
        raise DataError(f"{path} reads back as other audio than was written; the disk may be failing")
    written.written += 1
    written.seconds += audio.shape[1] / sample_rate


def clear_peak_time(path: Path) -> None:
    """Set the timestamp in the PEAK chunk of a float wav file to 0, so that equal audio gives equal bytes."""
    with path.open("r+b") as file:
        place = file.read(256).find(b"PEAK")
        if path.suffix == ".wav" and place >= 0:
            file.seek(place + 12)
            file.write(bytes(4))


def put_link(source: Path, target: Path, written: Written) -> None:
    """Make a hard link to ``source``, or a copy if the file system has no links. A file of equal size is kept."""
    if target.is_file() and target.stat().st_size == source.stat().st_size:
        written.kept += 1
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
        written.linked += 1
    except OSError:
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
        written.written += 1


def is_whole(path: Path, frames: int) -> bool:
    """Return whether the file exists with this length. Files appear complete, so the length is enough."""
    try:
        return path.is_file() and audio_info(path).frames == frames
    except AudioError:
        return False


def check_space(out: Path, sizes: Iterable[tuple[Path, int]]) -> int:
    """Return the bytes of all (path, bytes) whose file is missing. Raises `DataError` if the disk lacks the space."""
    needed = sum(size for path, size in sizes if not path.is_file())
    place = out
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed + RESERVE_BYTES > free:
        raise DataError(
            f"the export takes up to {needed / 1e9:.2f} GB, {place} has {free / 1e9:.2f} GB free: make room, or choose "
            "another --out or fewer excerpts (--min-seconds, --accepted-only)"
        )
    return needed
