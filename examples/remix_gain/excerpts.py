"""Sets of excerpts, each a folder of shards at the scale's rate, as `remix-miner train --mined` reads them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from arms import Arm, Job
from scale import Scale
from songs import Song

from remix_miner.audio import Audio, resample, to_channels
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.shard_files import shard_paths
from remix_miner.mined.writer import ShardWriter

NO_DETECTOR = "0" * 64
CONTAMINATION_DB = -3.0
"""Level of the target that is put on an excerpt, relative to it."""


class Excerpt(NamedTuple):
    audio: Audio
    track: str
    start_seconds: float


def write_excerpts(
    folder: Path, target: str, excerpts: Iterable[Excerpt], sample_rate: int, channels: int, made_of: str
) -> Path:
    """Write one shard of excerpts without ``target``; a folder that has its shard is kept."""
    if folder.is_dir() and shard_paths(folder):
        return folder
    with ShardWriter(
        folder,
        target,
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
                probability_mean=1.0,
                probability_min=1.0,
            )
    return folder


def read_mined(mined: Path, target: str, sample_rate: int, channels: int) -> Iterator[Excerpt]:
    """All excerpts of a mined folder, resampled."""
    excerpts = MinedExcerpts(mined, sources=[target])
    for index in range(len(excerpts)):
        item = excerpts.read(index)
        audio = resample(to_channels(item["audio"], channels), item["sample_rate"], sample_rate)
        yield Excerpt(audio, item["track"], item["start_seconds"])


def rests(songs: Iterable[Song]) -> Iterable[Excerpt]:
    """Whole songs without their target."""
    for song in songs:
        yield Excerpt(song.read()[1], song.name, 0.0)


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


def contaminated(excerpts: Iterable[Excerpt], share: float, songs: list[Song], seed: int) -> Iterable[Excerpt]:
    """The excerpts, a ``share`` of them with the songs' target over all of their length at `CONTAMINATION_DB`."""
    generator = np.random.default_rng(seed)
    targets = np.concatenate([song.read()[0] for song in songs], axis=-1)
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
    """Folders of shards for one target, each written when first needed."""

    def __init__(self, scale: Scale, target: str, mined: Path, out: Path, songs: list[Song]) -> None:
        self.scale = scale
        self.target = target
        self.mined = mined
        self.out = out
        self.songs = songs

    def folder(self, job: Job) -> Path | None:
        """Return the folder of the excerpts of a job's training, or None."""
        arm = Arm.parse(job.arm)
        if arm.name in ("supervised", "ceiling"):
            return None
        half = [song for song in self.songs if song.half == job.half]
        (labelled,) = (song for song in half if song.name == job.fold)
        if arm.name == "control":
            return self._write(f"own-{job.fold}", rests([labelled]))
        if arm.name == "true":
            return self._write(f"true-{job.fold}", rests(song for song in half if song.name != labelled.name))
        folder = self._write("mined", self._read(self.mined))
        if arm.minutes is not None:
            seconds = 60 * arm.minutes
            drawn = dose(list(self._read(folder)), seconds, self.scale.sample_rate, seed=job.number)
            folder = self._write(f"mined-{arm.minutes:g}min-{job.number}", drawn)
        if arm.impure:
            name = f"{folder.name}-{round(100 * arm.impure)}percent-half{job.half}"
            folder = self._write(name, contaminated(self._read(folder), arm.impure, half, seed=0))
        return folder

    def _read(self, folder: Path) -> Iterator[Excerpt]:
        return read_mined(folder, self.target, self.scale.sample_rate, self.scale.channels)

    def _write(self, name: str, excerpts: Iterable[Excerpt]) -> Path:
        sample_rate, channels = self.scale.sample_rate, self.scale.channels
        return write_excerpts(self.out / name, self.target, excerpts, sample_rate, channels, made_of=name)
