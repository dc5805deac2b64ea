"""Sets of excerpts, each a folder of shards at the scale's rate, as `remix-miner train --mined` reads them."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from songs import Song

from remix_miner.audio import Audio, resample, to_channels
from remix_miner.datasets.corpora import load_pair_tracks
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.writer import ShardWriter, shard_paths

NO_DETECTOR = "0" * 64
CONTAMINATION_DB = -3.0
"""Level of the singing that is put on an excerpt, relative to it."""


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


def read_mined(mined: Path, target: str, sample_rate: int, channels: int) -> Iterable[Excerpt]:
    """All excerpts of a mined folder, resampled."""
    excerpts = MinedExcerpts(mined, sources=[target])
    for index in range(len(excerpts)):
        item = excerpts.read(index)
        audio = resample(to_channels(item["audio"], channels), item["sample_rate"], sample_rate)
        yield Excerpt(audio, item["track"], item["start_seconds"])


def rests(songs: Iterable[Song]) -> Iterable[Excerpt]:
    """Whole accompaniments."""
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


def contaminated(excerpts: list[Excerpt], share: float, singers: list[Song], seed: int) -> Iterable[Excerpt]:
    """The excerpts, a ``share`` of them with singing over all of their length at `CONTAMINATION_DB`."""
    generator = np.random.default_rng(seed)
    singing = np.concatenate([load_pair_tracks(song.folder)[0].read()[0] for song in singers], axis=-1)
    for excerpt in excerpts:
        if generator.random() >= share:
            yield excerpt
            continue
        frames = excerpt.audio.shape[-1]
        start = int(generator.integers(singing.shape[-1]))
        voice = np.take(singing, np.arange(start, start + frames), axis=-1, mode="wrap")
        gain = 10 ** (CONTAMINATION_DB / 20) * _rms(excerpt.audio) / max(_rms(voice), 1e-9)
        yield excerpt._replace(audio=(excerpt.audio + gain * voice).astype(np.float32))


def _rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
