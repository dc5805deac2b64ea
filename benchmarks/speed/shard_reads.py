"""Speed of random crops from shards, compared with crops from audio files: python benchmarks/speed/shard_reads.py

Songs are made from LIBRARY (its files joined to the length of songs; synthetic ones without it) and stored as wav,
flac, ogg and mp3. Excerpts of 5 to 30 s are written to shards as by a scan. Then `MinedExcerpts` and soundfile's seek
and read in each format alternate in short rounds on the same crops. The results are medians over rounds, in one
process, with files in the page cache. Every crop from a shard is compared with its wav file.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from remix_miner.audio import read_audio, resample, to_channels, write_audio
from remix_miner.datasets.library import find_audio
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.shards.writer import SHARD_SECONDS, ShardWriter

RATE = 44100
FORMATS = ("wav", "flac", "ogg", "mp3")
Crop = tuple[int, int]  # index of an excerpt, first frame in it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", nargs="*", type=Path)
    parser.add_argument("--songs", type=int, default=12)
    parser.add_argument("--song-seconds", type=float, default=200.0)
    parser.add_argument("--crop-seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--crops", type=int, default=40, help="crops in a round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        songs = write_songs(options, Path(scratch))
        dataset, places = write_shards(songs, Path(scratch) / "mined", generator)
        frames = round(options.crop_seconds * RATE)

        def from_shard(crop: Crop) -> np.ndarray:
            return dataset.read(crop[0], crop[1], frames)["audio"]

        def from_file(suffix: str) -> Callable[[Crop], np.ndarray]:
            def cut(crop: Crop) -> np.ndarray:
                song, start = places[crop[0]]
                first = start + crop[1]
                audio, _ = soundfile.read(song.with_suffix(f".{suffix}"), frames, first, dtype="float32")
                return np.ascontiguousarray(audio.T)

            return cut

        ways = {"shard": from_shard, **{suffix: from_file(suffix) for suffix in FORMATS}}
        lengths = [round(seconds * RATE) for seconds in dataset_seconds(dataset)]
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.rounds):
            chosen = generator.integers(len(dataset), size=options.crops)
            crops = [(int(index), int(generator.integers(lengths[index] - frames + 1))) for index in chosen]
            for way, read in ways.items():
                began = time.perf_counter()
                for crop in crops:
                    read(crop)
                times[way].append((time.perf_counter() - began) / options.crops)
            error = max(float(np.abs(from_shard(crop) - ways["wav"](crop)).max()) for crop in crops[:5])
            if error > 2e-5:
                raise SystemExit(f"a crop from a shard differs from the wav file by {error}")
    result = {
        "songs": len(songs),
        "excerpts": len(lengths),
        "crop_seconds": options.crop_seconds,
        "milliseconds": {way: 1000 * statistics.median(values) for way, values in times.items()},
    }
    shard = result["milliseconds"]["shard"]
    result["times_faster_than"] = {
        way: value / shard for way, value in result["milliseconds"].items() if way != "shard"
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['excerpts']} excerpts of {result['songs']} songs; random crops of {options.crop_seconds:g} s")
    for way, value in result["milliseconds"].items():
        print(f"{way:6} {value:7.2f} ms  {1000 / value:7.0f} per second  shard is {value / shard:5.1f} times as fast")


def write_songs(options: argparse.Namespace, folder: Path) -> list[Path]:
    """Write songs in each format and return their paths without suffix."""
    frames = round(options.song_seconds * RATE)
    files = [file.path for file in find_audio(options.library)[0]] if options.library else []
    songs = []
    for number in range(options.songs):
        pieces: list[np.ndarray] = []
        while sum(piece.shape[1] for piece in pieces) < frames:
            pieces.append(piece_of(files, number + options.songs * len(pieces), options.song_seconds))
        song = folder / f"song-{number:02d}"
        audio = np.concatenate(pieces, axis=1)[:, :frames]
        audio /= max(1.0, float(np.abs(audio).max()))
        for suffix in FORMATS:
            write_audio(song.with_suffix(f".{suffix}"), audio, RATE, "int16")
        songs.append(song)
    return songs


def piece_of(files: list[Path], number: int, seconds: float) -> np.ndarray:
    if not files:
        from remix_miner.synthesis.song import synthesize_song

        return np.asarray(synthesize_song(seed=number, seconds=seconds, sample_rate=RATE).stems.sum(axis=0))
    audio, rate = read_audio(files[number % len(files)])
    return to_channels(resample(audio, rate, RATE), 2)


def write_shards(
    songs: list[Path], mined: Path, generator: np.random.Generator
) -> tuple[MinedExcerpts, list[tuple[Path, int]]]:
    """Write shards of excerpts, and return the song and start of each excerpt."""
    places = []
    writer: ShardWriter | None = None
    for number, song in enumerate(songs):
        audio, _ = soundfile.read(song.with_suffix(".wav"), dtype="float32")
        for _ in range(6):
            frames = int(generator.integers(5 * RATE, 30 * RATE))
            start = int(generator.integers(len(audio) - frames))
            if writer is None:
                writer = ShardWriter(
                    mined, "drums", detector_sha256="", threshold=0.9, settings={}, shard_id=f"{number:04d}"
                )
            writer.append(
                audio[start : start + frames],
                track=song.name,
                track_sha256="0" * 64,
                start_seconds=start / RATE,
                probability_mean=1,
                probability_min=1,
            )
            places.append((song, start))
            if writer.seconds >= SHARD_SECONDS / 4:
                writer.close()
                writer = None
    if writer is not None:
        writer.close()
    return MinedExcerpts(mined), places


def dataset_seconds(dataset: MinedExcerpts) -> list[float]:
    return [dataset[index]["valid_frames"] / dataset.sample_rate for index in range(len(dataset))]


if __name__ == "__main__":
    main()
