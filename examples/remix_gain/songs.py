"""The songs of the experiment and the shards of excerpts: true silence, false silence, and what a detector mined."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from scales import Scale

from remix_miner.atomic import write_json
from remix_miner.audio import downmix, resample, write_audio
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.tracks import StemTrack
from remix_miner.detector.spans import silent_spans
from remix_miner.detector.windows import SAMPLE_RATE, window_volumes_db
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.reader import Shard
from remix_miner.mined.writer import ShardWriter, shard_paths
from remix_miner.progress import track as progress
from remix_miner.sources import MINED_SOURCES, SOURCES
from remix_miner.synthesis.corpus import write_stems
from remix_miner.synthesis.song import synthesize_song

SILENT_DB = -30.0  # 'perceptually zero' in the 2019 paper, and what its excerpts reach at the 95th percentile
PRESENT_DB = -10.0  # 'perceived clearly'
FIRST_SEED = {"labelled": 50_000_000, "unlabelled": 60_000_000, "valid": 70_000_000, "test": 80_000_000}


def prepare(out: Path, scale: Scale, detector: str) -> None:
    """Write songs and shards; what is there already is kept."""
    _write_songs(out, "unlabelled", scale.unlabelled_songs, scale.unlabelled_seconds, scale)
    _write_songs(out, "valid", scale.valid_songs, scale.scored_seconds, scale)
    _write_songs(out, "test", scale.test_songs, scale.scored_seconds, scale)
    for seed in labelled_seeds(scale):
        _write_songs(out, f"labelled-{seed}", scale.labelled_songs, scale.labelled_seconds, scale, first=1000 * seed)
    unlabelled = load_stem_tracks(out / "songs/unlabelled")
    for song in unlabelled:
        path = out / "library" / f"{song.name}.wav"
        if not path.exists():
            write_audio(path, song.read_mixture(), song.sample_rate, "int16")
    if not (out / "mined/oracle").exists():
        _write_oracle(out / "mined", unlabelled, scale)
    for seed in labelled_seeds(scale):
        if not (out / f"mined/labelled-{seed}").exists():
            _write_labelled(out / f"mined/labelled-{seed}", load_stem_tracks(out / f"songs/labelled-{seed}"))
    _detect(out, scale, detector)
    describe(out, scale)


def labelled_seeds(scale: Scale) -> list[int]:
    """Seeds of the labelled sets: one per run seed, and one on which settings are tuned."""
    return [*scale.seeds, max(scale.seeds) + 1]


def describe(out: Path, scale: Scale) -> None:
    """Write excerpts.json: seconds of every set of excerpts, and how silent its source truly is."""
    truth = {song.name: song for song in load_stem_tracks(out / "songs/unlabelled")}
    sets = {}
    for folder in sorted((out / "mined").iterdir()):
        if not folder.name.startswith("labelled") and shard_paths(folder):
            sets[folder.name] = {source: _purity(folder, source, truth) for source in MinedExcerpts(folder).sources}
    write_json(out / "excerpts.json", sets)


def _write_songs(out: Path, name: str, count: int, seconds: float, scale: Scale, first: int = 0) -> None:
    for index in progress(range(count), f"songs/{name}"):
        seed = FIRST_SEED[name.split("-")[0]] + first + index
        folder = out / "songs" / name / f"Synthetic {seed:05d}"
        if not (folder / "mixture.wav").exists():
            write_stems(folder, synthesize_song(seed, seconds, scale.song_rate))


def _write_oracle(mined: Path, songs: list[StemTrack], scale: Scale) -> None:
    """Shards of truly silent excerpts, and the same with a share of them replaced by excerpts where the source sounds.

    The replaced ones are the first of one shuffled order, so a larger contamination contains the smaller ones.
    """
    clean: dict[str, list[tuple[StemTrack, float, float]]] = {source: [] for source in MINED_SOURCES}
    false: dict[str, list[tuple[StemTrack, float, float]]] = {source: [] for source in MINED_SOURCES}
    for song in progress(songs, "silence by truth"):
        volumes = true_volumes(song)
        for source in MINED_SOURCES:
            volume = volumes[SOURCES.index(source)]
            for kind, passed in ((clean, volume <= SILENT_DB), (false, volume >= PRESENT_DB)):
                spans = silent_spans(passed.astype(np.float32), 0.5, song.seconds, scale.min_seconds)
                kind[source] += [(song, span.start_seconds, span.seconds) for span in spans]
    generator = np.random.default_rng(0)
    for source in MINED_SOURCES:
        order = generator.permutation(len(clean[source]))
        substitutes = generator.permutation(len(false[source]))
        _write_shard(mined / "oracle", source, clean[source])
        if source in scale.few_sources:
            _write_shard(mined / "oracle-few", source, [clean[source][place] for place in order[: scale.few_excerpts]])
        for share in scale.contaminations:
            excerpts = list(clean[source])
            for place, other in zip(order[: round(share * len(excerpts))], np.resize(substitutes, len(order))):
                song, start, seconds = false[source][other]
                excerpts[place] = (song, start, min(seconds, excerpts[place][2]))
            _write_shard(mined / f"oracle-{round(100 * share)}", source, excerpts)


def _write_labelled(folder: Path, songs: list[StemTrack]) -> None:
    """Excerpts without a source cut from the labelled songs themselves, by leaving its stem out: no new music."""
    for source in MINED_SOURCES:
        _write_shard(folder, source, [(song, 0.0, song.seconds) for song in songs], without=source)


def _write_shard(
    folder: Path, source: str, excerpts: list[tuple[StemTrack, float, float]], without: str | None = None
) -> None:
    if not excerpts:
        return
    first = excerpts[0][0]
    with ShardWriter(
        folder,
        source,
        sample_rate=first.sample_rate,
        channels=first.channels,
        detector_sha256="0" * 64,
        threshold=1.0,
        settings={"labels": "by truth"},
        shard_id="0",
    ) as shard:
        for song, start, seconds in excerpts:
            wanted = [name for name in SOURCES if name != without]
            audio = song.read(round(start * song.sample_rate), round(seconds * song.sample_rate) - 1, wanted).sum(
                axis=0
            )
            shard.append(
                np.ascontiguousarray(audio.T),
                track=f"{song.name}.wav",
                track_sha256="0" * 64,
                start_seconds=start,
                probability_mean=1.0,
                probability_min=1.0,
            )


def _detect(out: Path, scale: Scale, detector: str) -> None:
    """`remix-miner detect` on the library."""
    if detector == "none":
        return
    command = [
        sys.executable,
        "-m",
        "remix_miner.cli",
        "detect",
        str(out / "library"),
        "--out",
        str(out / "mined/mined"),
    ]
    command += ["--detector", detector, "--min-seconds", str(scale.min_seconds), "--sample-rate", str(scale.song_rate)]
    finished = subprocess.run([*command, "--json"], stdout=subprocess.DEVNULL, check=False)
    if finished.returncode not in (0, 1):  # 1: some file or source could not be had, which excerpts.json shows
        sys.exit(f"detect failed with {detector!r}; name another detector, or 'none' to leave the arm 'mined' out")


def true_volumes(song: StemTrack) -> np.ndarray:
    """V_i (S, W) of a song's windows; a silent mixture counts as a source that sounds, so that it is never mined."""
    stems = np.stack([resample(downmix(stem)[None], song.sample_rate, SAMPLE_RATE)[0] for stem in song.read()])
    return np.nan_to_num(window_volumes_db(torch.from_numpy(stems)).numpy(), nan=0.0, neginf=-200.0)


def _purity(folder: Path, source: str, truth: dict[str, StemTrack]) -> dict[str, float]:
    seconds, volumes = [], []
    for path in shard_paths(folder):
        with Shard(path) as shard:
            for row in shard.excerpts if shard.source == source else []:
                song = truth[Path(os.fsdecode(row["track"])).stem]
                start = round(float(row["start_seconds"]) * song.sample_rate)
                length = min(round(int(row["frames"]) * song.sample_rate / shard.sample_rate), song.frames - start)
                stems = song.read(start, length).mean(axis=1, dtype=np.float64)
                energy, total = (stems[SOURCES.index(source)] ** 2).sum(), (stems.sum(axis=0) ** 2).sum()
                volumes.append(10 * np.log10(max(energy, 1e-20) / max(total, 1e-20)))
                seconds.append(int(row["frames"]) / shard.sample_rate)
    weights = np.array(seconds)
    return {
        "excerpts": len(seconds),
        "seconds": round(float(weights.sum()), 1),
        "share_above_-20_db": round(float(weights[np.array(volumes) > -20].sum() / weights.sum()), 4),
        "median_volume_db": round(float(np.median(volumes)), 1),
    }


def read_excerpts(out: Path) -> dict[str, dict[str, dict[str, float]]]:
    """What `describe` wrote."""
    found: dict[str, dict[str, dict[str, float]]] = json.loads((out / "excerpts.json").read_text())
    return found
