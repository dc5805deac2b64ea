"""Throughput of reading batches, compared with the model's consumption: python benchmarks/speed/train_feed.py [STEMS]

One run on one machine compares, at the same time and on the same files:

1. reads of single segments: our cache, wav and flac files through soundfile's and torchaudio's plain calls, musdb's own
   reader (package ``musdb``; it needs a whole corpus in MUSDB18-HQ layout, which is made of the stems in wav);
2. crops of mined excerpts: our shards, compared with crops from the mp3 and flac files of a library;
3. throughput of the loaders with 0, 1 and 2 worker processes, from files, from the cache, and from shards;
4. consumption of the paper's model on this machine (``--no-model`` leaves it out).

Without STEMS, songs are generated. Rates are medians over ``--repeats`` rounds, in which the variants alternate.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from remix_miner.audio import write_audio
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.segments import Corpus, SegmentReader
from remix_miner.datasets.stem_cache import use_stem_cache
from remix_miner.datasets.tracks import StemTrack
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.shards.writer import ShardWriter
from remix_miner.separators import build
from remix_miner.sources import MINED_SOURCES, SOURCES
from remix_miner.synthesis.corpus import write_stems
from remix_miner.synthesis.song import synthesize_song
from remix_miner.training.batches.feeding import Feed
from remix_miner.training.batches.sampler import Sampler
from remix_miner.training.batches.samplers import RemixSampler, StemSampler

Read = Callable[[int, str, int, int], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stems", nargs="?", type=Path, help="a corpus; left out: synthetic songs")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a segment")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--budget", type=float, default=2.0, help="seconds that each way is measured per round")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--no-model", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        tracks = _tracks(options.stems, Path(scratch) / "synthetic")
        result = {
            "machine": {"cores": os.cpu_count(), "songs": len(tracks), "minutes": sum(t.seconds for t in tracks) / 60},
            "segment_seconds": options.seconds,
            "reads_per_second": segment_reads(tracks, Path(scratch), options),
            "crops_per_second": excerpt_crops(tracks, Path(scratch), options),
            "examples_per_second": loaders(tracks, Path(scratch), options),
        }
        if not options.no_model:
            result["model_examples_per_second"] = model_consumes(tracks[0], options)
    if options.json:
        json.dump(result, sys.stdout, indent=2)
    else:
        _print(result)


def segment_reads(tracks: list[StemTrack], scratch: Path, options: argparse.Namespace) -> dict[str, float]:
    """Measure random segments of one source, float32, per second."""
    rate, channels = tracks[0].sample_rate, tracks[0].channels
    frames = round(options.seconds * rate)
    copies = {suffix: _copies(tracks, scratch / suffix, suffix) for suffix in ("wav", "flac")}
    cached = SegmentReader([Corpus(tracks)], rate, channels)
    use_stem_cache(cached, scratch / "cache")
    readers = {suffix: SegmentReader([Corpus(load_stem_tracks(scratch / suffix))], rate, channels) for suffix in copies}

    def plain(suffix: str) -> Read:
        def read(song: int, source: str, start: int, frames: int) -> Any:
            return soundfile.read(copies[suffix][song] / f"{source}.{suffix}", frames, start, dtype="float32")[0].T

        return read

    ways: dict[str, Read] = {"our cache (HDF5)": cached.read}
    for suffix, reader in readers.items():
        ways |= {f"our reader, {suffix}": reader.read, f"soundfile.read, {suffix}": plain(suffix)}
    ways |= _torchaudio_reads(copies) | _musdb_reads(tracks, scratch, rate)
    lengths = [track.frames for track in tracks]

    def step(read: Read) -> Callable[[np.random.Generator], None]:
        def once(generator: np.random.Generator) -> None:
            song = int(generator.integers(len(tracks)))
            source = SOURCES[int(generator.integers(4))]
            read(song, source, int(generator.integers(max(lengths[song] - frames, 0) + 1)), min(frames, lengths[song]))

        return once

    return _rates({name: step(read) for name, read in ways.items()}, options)


def excerpt_crops(tracks: list[StemTrack], scratch: Path, options: argparse.Namespace) -> dict[str, float]:
    """Measure random crops of mined excerpts per second: from shards, and from a library of mp3, flac and wav files."""
    rate = tracks[0].sample_rate
    frames = round(options.seconds * rate)
    library: dict[str, list[Path]] = {suffix: [] for suffix in ("mp3", "flac", "wav")}
    for number, track in enumerate(tracks):
        for suffix, files in library.items():
            files.append(scratch / "library" / f"{number}.{suffix}")
            write_audio(files[-1], track.read_mixture(), rate, "int16")
    spans = [
        (song, start) for song, track in enumerate(tracks) for start in range(0, track.frames - 2 * frames, 2 * frames)
    ]
    _shards(scratch / "mined", tracks, spans, 2 * frames)
    excerpts = MinedExcerpts(scratch / "mined")

    def cut(suffix: str) -> Callable[[np.random.Generator], None]:
        def once(generator: np.random.Generator) -> None:
            song, start = spans[int(generator.integers(len(spans)))]
            place = start + int(generator.integers(frames))
            soundfile.read(library[suffix][song], frames, place, dtype="float32")

        return once

    ways = {"shards": lambda generator: excerpts.random_crop("drums", frames, generator)}
    return _rates({**ways, **{f"cut from {suffix}": cut(suffix) for suffix in library}}, options)


def loaders(tracks: list[StemTrack], scratch: Path, options: argparse.Namespace) -> dict[str, float]:
    """Examples per second that a `Feed` delivers: four stems each, or a remix of an isolated source and an excerpt."""
    rate, channels = tracks[0].sample_rate, tracks[0].channels
    common = {"frames": round(options.seconds * rate), "batch_size": options.batch_size}
    files = SegmentReader([Corpus(load_stem_tracks(scratch / "wav"))], rate, channels)
    flac = SegmentReader([Corpus(load_stem_tracks(scratch / "flac"))], rate, channels)
    cached = SegmentReader([Corpus(tracks)], rate, channels)
    use_stem_cache(cached, scratch / "cache")
    excerpts = MinedExcerpts(scratch / "mined")
    samplers: dict[str, Callable[[], Sampler[Any]]] = {
        "stems, cache": lambda: StemSampler(cached, **common),
        "stems, wav": lambda: StemSampler(files, **common),
        "stems, flac": lambda: StemSampler(flac, **common),
        "remixes, cache and shards": lambda: RemixSampler(cached, excerpts, **common),
    }
    found = {}
    for name, make in samplers.items():
        for workers in options.workers:
            with Feed(make(), workers=workers) as feed:
                next(feed)  # starts the workers
                once = {name: lambda _, feed=feed: next(feed)}
                found[f"{name}, {workers} workers"] = options.batch_size * _rates(once, options)[name]
    return found


def model_consumes(track: StemTrack, options: argparse.Namespace) -> dict[str, float]:
    """Examples per second of a bare training step of the paper's Demucs on preloaded tensors, on the GPU if any."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(os.cpu_count() or 1)
    model = build("demucs", audio_channels=track.channels, sample_rate=track.sample_rate).to(device)
    frames = round(options.seconds * track.sample_rate)
    size = options.batch_size if device == "cuda" else 1
    mixture = torch.randn(size, track.channels, model.valid_length(frames), device=device)
    target = torch.randn(size, 4, track.channels, frames, device=device)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)

    def once(_: np.random.Generator) -> None:
        optimizer.zero_grad(set_to_none=True)
        (model(mixture, frames) - target).abs().mean().backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    name = f"demucs, 48 channels, {device}"
    return {name: size * _rates({name: once}, options)[name]}


def _rates(ways: dict[str, Callable[[np.random.Generator], Any]], options: argparse.Namespace) -> dict[str, float]:
    """Return the calls per second of each variant: a warm-up call, then the median over alternating rounds."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(np.random.default_rng(0))
    for repeat in range(options.repeats):
        for name, way in ways.items():
            generator = np.random.default_rng(repeat + 1)
            started, calls = time.perf_counter(), 0
            while (elapsed := time.perf_counter() - started) < options.budget or not calls:
                way(generator)
                calls += 1
            rates[name].append(calls / elapsed)
    return {name: statistics.median(values) for name, values in rates.items()}


def _tracks(stems: Path | None, scratch: Path) -> list[StemTrack]:
    if stems is None:
        for seed in range(6):
            write_stems(scratch / f"song{seed}", synthesize_song(90_000_000 + seed, 40.0))
    return load_stem_tracks(stems or scratch)


def _copies(tracks: list[StemTrack], folder: Path, suffix: str) -> list[Path]:
    """Write the stems as 16-bit files of one kind."""
    songs = [folder / f"song{number:03d}" for number in range(len(tracks))]
    for song, track in zip(songs, tracks, strict=True):
        for source in SOURCES:
            write_audio(song / f"{source}.{suffix}", track.read_source(source), track.sample_rate, "int16")
    return songs


def _shards(folder: Path, tracks: list[StemTrack], spans: list[tuple[int, int]], frames: int) -> None:
    for source in MINED_SOURCES:
        with ShardWriter(
            folder, source, sample_rate=tracks[0].sample_rate, channels=tracks[0].channels,
            detector_sha256="0" * 64, threshold=1.0, settings={}, shard_id="0",
        ) as shard:  # fmt: skip
            for song, start in spans:
                shard.append(
                    np.ascontiguousarray(tracks[song].read_mixture(start, frames).T),
                    track=f"{song}.mp3",
                    track_sha256="0" * 64,
                    start_seconds=start / tracks[song].sample_rate,
                    probability_mean=1.0,
                    probability_min=1.0,
                )


def _torchaudio_reads(copies: dict[str, list[Path]]) -> dict[str, Read]:
    """Read with torchaudio.load, if it works: it needs torchcodec and FFmpeg's libraries."""
    try:
        import torchaudio

        torchaudio.load(str(copies["wav"][0] / "bass.wav"), frame_offset=0, num_frames=100)
    except Exception as error:
        print(f"torchaudio.load is left out: {str(error).splitlines()[0]}", file=sys.stderr)
        return {}

    def plain(suffix: str) -> Read:
        return lambda song, source, start, frames: torchaudio.load(
            str(copies[suffix][song] / f"{source}.{suffix}"), frame_offset=start, num_frames=frames
        )

    return {f"torchaudio.load, {suffix}": plain(suffix) for suffix in copies}


def _musdb_reads(tracks: list[StemTrack], scratch: Path, rate: int) -> dict[str, Read]:
    """Read with musdb: set a track's chunk, then take the target's audio."""
    try:
        import musdb
    except Exception as error:
        print(f"musdb is left out: {error}", file=sys.stderr)
        return {}
    for track in tracks:
        folder = scratch / "musdb/train" / track.name
        for source in SOURCES:
            write_audio(folder / f"{source}.wav", track.read_source(source), rate, "int16")
        write_audio(folder / "mixture.wav", track.read_mixture(), rate, "int16")
    songs = {song.name: song for song in musdb.DB(root=str(scratch / "musdb"), subsets="train", is_wav=True)}
    names = [track.name for track in tracks]

    def read(song: int, source: str, start: int, frames: int) -> Any:
        track = songs[names[song]]
        track.chunk_start, track.chunk_duration = start / rate, frames / rate
        return track.targets[source].audio

    return {"musdb, wav": read}


def _print(result: dict[str, Any]) -> None:
    for title, rows in _sections(result):
        print(f"\n{title}")
        for name, value in rows.items():
            print(f"  {name:40} {value:10.1f}")
    reads, crops = result["reads_per_second"], result["crops_per_second"]
    print(
        f"\ncache / wav files through soundfile: {reads['our cache (HDF5)'] / reads['soundfile.read, wav']:.1f} times"
    )
    for name in crops:
        if name != "shards":
            print(f"shards / {name}: {crops['shards'] / crops[name]:.1f} times")


def _sections(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    for name, rows in result.items():
        if isinstance(rows, dict):
            yield name.replace("_", " "), rows


if __name__ == "__main__":
    main()
