"""Data set of the mined excerpts in a folder of shards, for training: whole excerpts or random crops."""

import os
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from jaxtyping import Float32
from torch.utils.data import Dataset

from remix_miner.errors import DataError, UsageError
from remix_miner.mined.excerpt_draws import DrawBy, ExcerptDraws
from remix_miner.mined.excerpt_index import read_index
from remix_miner.mined.shards.reader import Shard
from remix_miner.sources import SOURCES, parse_sources

OPEN_SHARDS = 128
"""Shards that a process keeps open at a time; opening one takes about as long as reading a crop."""


class MinedExcerpt(TypedDict):
    """One item. PyTorch's default collation turns arrays and numbers into tensors, and texts into lists."""

    audio: Float32[np.ndarray, "C T"]
    valid_frames: int
    """Frames of ``audio`` that are the excerpt's; zeros follow."""
    source: str
    sample_rate: int
    track: str
    track_sha256: str
    start_seconds: float
    """Where in the track ``audio`` begins."""
    expected_volume_db: float
    """Of the silent source, by the calibration; nan when unknown."""
    probability_mean: float
    """Of silence, over the windows of the excerpt; ``probability_min``: the least of them."""
    probability_min: float


class MinedExcerpts(Dataset[MinedExcerpt]):
    """Map-style dataset over all shards of ``folder``, ordered by shard and place, for any DataLoader.

    ``sources``: the sources of which one is silent (default: all that were mined). ``seconds``: length of a crop at a
    random place; a shorter excerpt is padded with zeros at its end. None: whole excerpts, of various lengths.
    Crops depend on ``seed``, the epoch (`set_epoch`) and the index alone, never on workers.

    With a catalogue beside the shards, excerpts are left out that were rejected in review, superseded by a newer scan
    of a changed file, or never recorded, and `expected_volume_db` is set. Of an excerpt with a stretch that review
    marked as wrong, the rest is kept if it is long enough, as one item or two. Without a catalogue, all excerpts in the
    shards are used. Raises `DataError` if there are no excerpts, shards differ in sample rate or channels, a shard of
    the catalogue is missing, or the folder was mined without audio.

    Files are opened when first read, in the process that reads, so that forked and spawned workers are both safe.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        sources: str | Iterable[str] | None = None,
        seconds: float | None = None,
        seed: int = 0,
    ) -> None:
        if seconds is not None and not 0 < seconds < float("inf"):
            raise UsageError(f"seconds is the length of a crop, positive, or None for whole excerpts; got {seconds}")
        self.folder = Path(folder)
        self.seconds = seconds
        self.seed = seed
        self.epoch = 0
        wanted = SOURCES if sources is None else parse_sources(sources)
        self._paths, self._index = read_index(self.folder, wanted)
        if not len(self._index):
            raise DataError(f"{self.folder} holds no excerpts without {' or '.join(wanted)}; see `remix-miner inspect`")
        self._draws = ExcerptDraws(self.folder, self._index)
        self.sources = self._draws.sources
        """Sources that have excerpts here."""
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._process = os.getpid()
        self._inherited: list[Any] = []
        with Shard(self._paths[self._index["shard"][0]]) as first:
            self.sample_rate, self.channels = first.sample_rate, first.channels

    def __repr__(self) -> str:
        hours = ", ".join(f"{self.seconds_of(source) / 3600:.2f} h without {source}" for source in self.sources)
        return f"MinedExcerpts({str(self.folder)!r}, {len(self)} excerpt{'s' * (len(self) != 1)}: {hours})"

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> MinedExcerpt:
        if not -len(self) <= index < len(self):
            raise IndexError(f"excerpt {index} of {len(self)}")
        index %= len(self)
        if self.seconds is None:
            return self.read(index)
        frames = round(self.seconds * self.sample_rate)
        return self.crop(index, frames, np.random.default_rng([self.seed, self.epoch, index]))

    def set_epoch(self, epoch: int) -> None:
        """Draw other crops. Call it before iterating a DataLoader (whose workers must not be persistent)."""
        self.epoch = epoch

    def seconds_of(self, source: str) -> float:
        """Return the seconds of excerpts without ``source``."""
        return float(self._index["frames"][self._draws.rows[source]].sum(dtype=np.int64)) / self.sample_rate

    def draw(
        self, source: str, generator: np.random.Generator, by: DrawBy = "seconds", probability_weight: float = 0.0
    ) -> int:
        """Return the index of an excerpt without ``source``, drawn in proportion to its length.

        With ``by`` 'tracks' a track is drawn first, all of them alike, and then one of its excerpts in proportion to
        its length: long tracks do not fill the training set. With ``probability_weight`` k, what is drawn like this is
        kept with the probability p^k, and drawn again otherwise; p is the excerpt's mean probability of silence.
        """
        return self._draws.draw(source, generator, by, probability_weight)

    def probabilities(self, source: str) -> np.ndarray:
        """Return the mean probability of silence of every excerpt without ``source``, by index."""
        found: np.ndarray = self._index["probability_mean"][self._draws.rows[source]].astype(np.float64)
        return found

    def mean_probability(self, source: str, by: DrawBy = "seconds", probability_weight: float = 0.0) -> float:
        """Return the mean over draws of the drawn excerpt's probability of silence."""
        return self._draws.mean_probability(source, by, probability_weight)

    def random_crop(
        self, source: str, frames: int, generator: np.random.Generator
    ) -> tuple[Float32[np.ndarray, "C T"], int]:
        """Return a random crop (channels, ``frames``) of a random excerpt without ``source``, and its frames of audio.

        An excerpt shorter than ``frames`` is padded with zeros at its end.
        """
        item = self.crop(self.draw(source, generator), frames, generator)
        return item["audio"], item["valid_frames"]

    def crop(self, index: int, frames: int, generator: np.random.Generator) -> MinedExcerpt:
        """Return ``frames`` of excerpt ``index`` from a uniformly random place, padded with zeros if it is shorter."""
        return self.read(index, self.draw_start(index, frames, generator), frames)

    def draw_start(self, index: int, frames: int, generator: np.random.Generator) -> int:
        """Return where a crop of ``frames`` begins in excerpt ``index``, uniformly; 0 where the excerpt is shorter."""
        spare = int(self._index["frames"][index]) - frames
        return int(generator.integers(spare + 1)) if spare > 0 else 0

    def shards(self) -> dict[int, Path]:
        """Return the shards that hold excerpts, by number."""
        return {int(number): self._paths[number] for number in np.unique(self._index["shard"])}

    def place_of(self, index: int) -> tuple[int, int, int]:
        """Return the number of the shard of excerpt ``index``, its first frame in the shard's audio, and its frames."""
        entry = self._index[index]
        return int(entry["shard"]), int(entry["start_frame"]), int(entry["frames"])

    def track_of(self, index: int) -> int:
        """Return the number of the track of excerpt ``index``; the same for all its excerpts."""
        return int(self._index["track"][index])

    def tracks_of(self, source: str) -> int:
        """Return how many tracks have excerpts without ``source``."""
        return len(np.unique(self._index["track"][self._draws.rows[source]]))

    def read(self, index: int, start: int = 0, frames: int | None = None) -> MinedExcerpt:
        """Return excerpt ``index`` from its frame ``start``: ``frames`` (zeros after its end), or all to its end."""
        entry = self._index[index]
        shard = self._shard(int(entry["shard"]))
        row, offset = shard.row_of(int(entry["start_frame"]), int(entry["frames"]))
        excerpt = shard.excerpts[row]
        valid = int(entry["frames"]) - start
        if frames is None or frames <= valid:
            audio = shard.read(row, offset + start, valid if frames is None else frames)
        else:
            audio = np.zeros((shard.channels, frames), dtype=np.float32)
            audio[:, :valid] = shard.read(row, offset + start, valid)
        return MinedExcerpt(
            audio=audio,
            valid_frames=min(valid, audio.shape[1]),
            source=shard.source,
            sample_rate=shard.sample_rate,
            track=excerpt["track"].decode("utf-8"),
            track_sha256=excerpt["track_sha256"].decode("ascii"),
            start_seconds=float(excerpt["start_seconds"]) + (offset + start) / shard.sample_rate,
            expected_volume_db=float(entry["expected_volume_db"]),
            probability_mean=float(excerpt["probability_mean"]),
            probability_min=float(excerpt["probability_min"]),
        )

    def _shard(self, number: int) -> Shard:
        if self._process != os.getpid():
            self._inherited.append(self._open)  # a parent's handles: neither used nor closed here
            self._open, self._process = OrderedDict(), os.getpid()
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        shard = Shard(self._paths[number])
        if (shard.sample_rate, shard.channels) != (self.sample_rate, self.channels):
            raise DataError(
                f"{shard.path} has {shard.sample_rate} Hz and {shard.channels} channels, "
                f"{self._paths[self._index['shard'][0]].name} has {self.sample_rate} Hz and {self.channels}: "
                "read them as two folders"
            )
        if len(self._open) >= OPEN_SHARDS:
            self._open.popitem(last=False)[1].close()
        self._open[number] = shard
        return shard

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict(), "_inherited": []}
