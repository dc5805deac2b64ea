"""Sets of excerpts, each a folder of shards at the scale's rate, as `remix-miner train --mined` reads them."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from arms import Job
from scale import Scale
from songs import FOUR, Song, labelled_songs

from remix_miner.atomic import atomic_path
from remix_miner.audio import Audio, resample, to_channels
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.shards.reader import Shard
from remix_miner.mined.shards.writer import ShardWriter

NO_DETECTOR = "0" * 64
MINED_SOURCES = ("drums", "bass", "vocals")
"""Sources of the remix steps of a model of all four."""

CONTAMINATION_DB = -3.0
"""Level of the target that is put on an excerpt, relative to it."""


class Excerpt(NamedTuple):
    """An excerpt and its mean and least probability of silence, which are 1 where no detector is involved."""

    audio: Audio
    track: str
    start_seconds: float
    probability_mean: float = 1.0
    probability_min: float = 1.0


def shard_path(folder: Path, source: str) -> Path:
    """Return the one shard of a source in a folder of this experiment."""
    return folder / "shards" / f"{source}-0.h5"


def write_excerpts(
    folder: Path, source: str, excerpts: Iterable[Excerpt], sample_rate: int, channels: int, made_of: str
) -> Path:
    """Write one shard of excerpts without ``source``; a folder that has its shard is kept."""
    if shard_path(folder, source).is_file():
        return folder
    with ShardWriter(
        folder,
        source,
        sample_rate=sample_rate,
        channels=channels,
        detector_sha256=NO_DETECTOR,
        threshold=0.0,
        settings={"made_of": made_of},
        shard_id="0",
    ) as shard:
        for excerpt in excerpts:
            shard.append(
                excerpt.audio.T,
                track=excerpt.track,
                track_sha256=NO_DETECTOR,
                start_seconds=excerpt.start_seconds,
                probability_mean=excerpt.probability_mean,
                probability_min=excerpt.probability_min,
            )
    return folder


def read_mined(mined: Path, source: str, sample_rate: int, channels: int) -> Iterator[Excerpt]:
    """All excerpts of a mined folder, resampled."""
    excerpts = MinedExcerpts(mined, sources=[source])
    for index in range(len(excerpts)):
        item = excerpts.read(index)
        audio = resample(to_channels(item["audio"], channels), item["sample_rate"], sample_rate)
        yield Excerpt(audio, item["track"], item["start_seconds"], item["probability_mean"], item["probability_min"])


def add_probabilities(path: Path, mined: Path, source: str) -> None:
    """Add a harvest's probabilities to a shard made of it that states none: all are 1 there.

    Earlier versions of this script wrote such shards. Audio, order, name and size of the file stay as they are, so runs
    that used it are still valid and may be continued. `SystemExit` where the shard was made of another harvest.
    """
    with Shard(path) as shard:
        table = shard.excerpts.copy()
    if not np.all(table["probability_mean"] == 1):
        return
    excerpts = MinedExcerpts(mined, sources=[source])
    places = [excerpts.read(index, frames=1) for index in range(len(excerpts))]
    if [(row["track"].decode(), row["start_seconds"]) for row in table] != [
        (item["track"], item["start_seconds"]) for item in places
    ]:
        raise SystemExit(f"{path} was not made of {mined}; take another --out, or the harvest that it was made of")
    for name in ("probability_mean", "probability_min"):
        table[name] = [item[name] for item in places]
    with atomic_path(path) as temporary:
        shutil.copyfile(path, temporary)
        with h5py.File(temporary, "r+") as file:
            file["excerpts"][...] = table


def rests(songs: Iterable[Song], source: str) -> Iterable[Excerpt]:
    """Whole songs without a source."""
    for song in songs:
        yield Excerpt(song.without(source), song.name, 0.0)


def dose(excerpts: list[Excerpt], seconds: float, sample_rate: int, seed: int) -> Iterable[Excerpt]:
    """Excerpts of randomly ordered tracks until ``seconds`` are reached; a smaller dose is a part of a larger one."""
    tracks = sorted({excerpt.track for excerpt in excerpts})
    order = {tracks[place]: rank for rank, place in enumerate(np.random.default_rng(seed).permutation(len(tracks)))}
    frames = round(seconds * sample_rate)
    for excerpt in sorted(excerpts, key=lambda each: (order[each.track], each.start_seconds)):
        if frames <= 0:
            return
        yield excerpt._replace(audio=excerpt.audio[:, :frames])
        frames -= excerpt.audio.shape[-1]


def contaminated(
    excerpts: Iterable[Excerpt], share: float, songs: list[Song], source: str, seed: int
) -> Iterable[Excerpt]:
    """The excerpts, a ``share`` of them with the songs' ``source`` over all of their length at `CONTAMINATION_DB`."""
    generator = np.random.default_rng(seed)
    targets = np.concatenate([song.read()[song.parts.index(source)] for song in songs], axis=-1)
    for excerpt in excerpts:
        if generator.random() >= share:
            yield excerpt
            continue
        frames = excerpt.audio.shape[-1]
        start = int(generator.integers(targets.shape[-1]))
        target = np.take(targets, np.arange(start, start + frames), axis=-1, mode="wrap")
        gain = 10 ** (CONTAMINATION_DB / 20) * _rms(excerpt.audio) / max(_rms(target), 1e-9)
        yield excerpt._replace(audio=(excerpt.audio + gain * target).astype(np.float32))


def _rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


class ExcerptSets:
    """Folders of shards for one target, each written when first needed.

    ``harvests``: mined folders by name; the default one has the name ''.
    """

    def __init__(self, scale: Scale, target: str, harvests: dict[str, Path], out: Path, songs: list[Song]) -> None:
        self.scale = scale
        self.sources = MINED_SOURCES if target == FOUR else (target,)
        self.harvests = harvests
        self.out = out
        self.songs = songs

    def folder(self, job: Job) -> Path | None:
        """Return the folder of the excerpts of a job's training, or None."""
        arm = self.scale.arm(job.arm)
        if arm.kind in ("supervised", "ceiling"):
            return None
        count = arm.settings.labelled
        half = [song for song in self.songs if song.half == job.half]
        labelled = labelled_songs(job.fold, self.songs, job.half, job.number, count)
        ending = f"{job.fold}-{count}" if count > 1 else job.fold
        if arm.kind == "control":
            return self._write(f"own-{ending}", lambda source: rests(labelled, source))
        if arm.kind == "true":
            others = [song for song in half if song not in labelled]
            return self._write(f"true-{ending}", lambda source: rests(others, source))
        harvest = arm.settings.harvest or ""
        folder = self._write(f"mined-{harvest}".rstrip("-"), lambda source: self._read(self.harvests[harvest], source))
        for source in self.sources:
            add_probabilities(shard_path(folder, source), self.harvests[harvest], source)
        if arm.minutes is not None:
            whole, seconds, rate = folder, 60 * arm.minutes, self.scale.sample_rate
            folder = self._write(
                f"{whole.name}-{arm.minutes:g}min-{job.number}",
                lambda source: dose(list(self._read(whole, source)), seconds, rate, seed=job.number),
            )
        if arm.impure:
            pure = folder
            folder = self._write(
                f"{pure.name}-{round(100 * arm.impure)}percent-half{job.half}",
                lambda source: contaminated(self._read(pure, source), arm.impure, half, source, seed=0),
            )
        return folder

    def _read(self, folder: Path, source: str) -> Iterator[Excerpt]:
        return read_mined(folder, source, self.scale.sample_rate, self.scale.channels)

    def _write(self, name: str, excerpts: Callable[[str], Iterable[Excerpt]]) -> Path:
        for source in self.sources:
            folder, rate, channels = self.out / name, self.scale.sample_rate, self.scale.channels
            write_excerpts(folder, source, excerpts(source), rate, channels, made_of=name)
        return self.out / name
