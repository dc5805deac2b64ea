"""Fixtures and settings of all test files."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from threadpoolctl import threadpool_limits

from remix_miner.datasets.library import LibraryFile
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_rows import ScannedTrack
from remix_miner.mined.shards.writer import ShardWriter


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes tens of seconds; leave out with -m 'not slow'")
    use_one_thread()


def use_one_thread() -> None:
    """Limit this process and those that it starts to one thread each.

    The tensors of the tests are so small that two threads take four times the CPU time of one.
    """
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")  # libraries that are imported later, and child processes
    threadpool_limits(1)  # libraries that are imported already


MINED_RATE = 8000
MINED_SETTINGS = {"detector_sha256": "d" * 64, "min_seconds": 5.0, "thresholds": {"drums": 0.9, "bass": 0.9}}


def mined_audio(track: str, source: str, number: int, seconds: float) -> np.ndarray:
    """Audio (frames, 2) of the ``number``-th excerpt without ``source`` of a track in `mine`'s folders."""
    seed = sum(map(ord, f"{track}{source}{number}"))
    return np.random.default_rng(seed).normal(size=(round(seconds * MINED_RATE), 2)).astype(np.float32) / 8


@pytest.fixture
def mine() -> Callable[..., Catalogue]:
    """A function that makes a mined folder, or adds to it, through the same steps as a scan; returns its catalogue.

    ``tracks``: for each track's name the seconds of its excerpts per source, as {"a.mp3": {"drums": [5.0, 7.5]}}.
    """

    def make(
        folder: Path,
        tracks: Mapping[str, Mapping[str, list[float]]],
        *,
        shard_id: str = "a",
        settings: Mapping[str, Any] = MINED_SETTINGS,
        mtime_ns: int = 1,
        expected_volume_db: float = -31.5,
    ) -> Catalogue:
        catalogue = Catalogue.open(folder, settings)
        run = catalogue.start_run({"python": "3"}, "d" * 64)
        files = [LibraryFile(Path("/") / name, name, 1000, mtime_ns) for name in tracks]
        wanted = {file.name for file in catalogue.register(files)}
        writers: dict[str, ShardWriter] = {}
        for name in sorted(wanted):
            for source, lengths in tracks[name].items():
                if source not in writers:
                    writers[source] = ShardWriter(
                        folder,
                        source,
                        sample_rate=MINED_RATE,
                        detector_sha256="d" * 64,
                        threshold=0.9,
                        settings=settings,
                        shard_id=shard_id,
                    )
                for number, seconds in enumerate(lengths):
                    writers[source].append(
                        mined_audio(name, source, number, seconds),
                        track=name,
                        track_sha256=f"{abs(hash((name, mtime_ns))):064x}",
                        start_seconds=10.0 * number,
                        probability_mean=0.97,
                        probability_min=0.91,
                        expected_volume_db=expected_volume_db,
                    )
        scanned = [
            ScannedTrack(name, f"{abs(hash((name, mtime_ns))):064x}", 180.0, 44100, 2) for name in sorted(wanted)
        ]
        catalogue.finish_tracks(scanned, [shard for writer in writers.values() if (shard := writer.close())])
        catalogue.finish_run(run)
        return catalogue

    return make


# --- for the tests of scans --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a very small detector, untrained but lively, and a calibration that mines three sources.

    Its last layer is scaled so that every source's P is spread around 0.5 on `noise_song`.
    """
    import torch

    from remix_miner.checkpoint import load_model, save_model
    from remix_miner.detector.calibration import Calibration, SourceCalibration
    from remix_miner.detector.networks import SilentSourceDetector

    folder = tmp_path_factory.mktemp("detector") / "tiny"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = SilentSourceDetector(width=4, hidden=8).eval()
    with torch.no_grad():
        for name, parameter in model.recurrent.named_parameters():
            parameter.mul_(4 if "weight" in name else 1)
        logits = model(torch.from_numpy(make_noise_song(9, 24.0, 16000))[:1])[0]
        head, scale = model.head[-1], 1 / logits.std(dim=1)
        head.weight.mul_(scale[:, None, None])
        head.bias.copy_((head.bias - logits.median(dim=1).values) * scale)
    torch.set_num_threads(threads)
    save_model(folder, model.state_dict(), {"name": "silent-source-detector", "settings": model.settings})
    counts = dict.fromkeys(
        ("windows", "silent_windows", "accepted_windows", "tracks", "artists", "artists_accepted"), 9
    )
    shared = {"volume_db": -20.0, "precision_target": 0.95, "precision": 0.97, "precision_lower_bound": 0.95}
    shared |= {"held_out_precision": None, "recall": 0.5, "silence_rate": 0.3, "assumed_silence_rate": 0.3, **counts}
    tables = {"probability": [0.0, 1.0], "expected_volume_db": [0.0, -40.0], "expected_silent": [0.0, 1.0]}
    sources = {
        source: SourceCalibration(threshold=0.3, reason=None, spans=None, **shared, **tables)
        for source in ("drums", "bass", "vocals")
    }
    sources["other"] = SourceCalibration(threshold=None, reason="95% is out of reach", spans=None, **shared, **tables)
    Calibration("tiny", load_model(folder)[1]["sha256"], {"confidence": 0.95}, {}, sources).save(
        folder / "calibration.json"
    )
    return folder


def make_noise_song(seed: int, seconds: float, sample_rate: int, channels: int = 2) -> np.ndarray:
    """(channels, frames): noise, tones and clicks, another every three seconds."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(3 * sample_rate)) / sample_rate
    pieces = []
    while sum(map(len, pieces)) < seconds * sample_rate:
        kind = generator.integers(4)
        noise = generator.standard_normal(len(time))
        tone = np.sin(2 * np.pi * generator.uniform(*((60, 300) if kind == 1 else (1000, 3500))) * time)
        pieces.append(noise * (np.sin(2 * np.pi * 4 * time) > 0.9) if kind == 3 else noise if kind == 0 else tone)
    mono = np.concatenate(pieces)[: round(seconds * sample_rate)]
    gains = np.linspace(0.3, 0.2, channels)[:, None]
    return (gains * mono).astype(np.float32)


@pytest.fixture(scope="session")
def noise_song() -> Callable[..., np.ndarray]:
    """`make_noise_song`: (seed, seconds, sample_rate, channels=2) -> (channels, frames)."""
    return make_noise_song


@pytest.fixture(scope="session")
def noise_library(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A function that makes a new folder ``library`` of so many noise songs of 3 s and more, 0.wav and on."""

    def make(count: int) -> Path:
        folder = tmp_path_factory.mktemp("songs") / "library"
        folder.mkdir()
        for number in range(count):
            soundfile.write(folder / f"{number}.wav", 0.5 * make_noise_song(number, 3.0 + number / 2, 16000).T, 16000)
        return folder

    return make


@pytest.fixture(scope="session")
def write_with_pyav() -> Callable[..., bytes]:
    """A function that encodes (channels, frames) as aac into a file of the name's format, tables first.

    Returns the file's bytes. Skips where the extra ``media`` is not installed.
    """
    av = pytest.importorskip("av")

    def write(path: Path, audio: np.ndarray, sample_rate: int) -> bytes:
        container_format = "adts" if path.suffix == ".aac" else "mp4"
        with av.open(str(path), "w", format=container_format, options={"movflags": "faststart"}) as container:
            stream = container.add_stream("aac", rate=sample_rate, layout="stereo" if len(audio) == 2 else "mono")
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio), "fltp", stream.layout.name)
            frame.sample_rate, frame.time_base, frame.pts = sample_rate, Fraction(1, sample_rate), 0
            container.mux([*stream.encode(frame), *stream.encode(None)])
        return path.read_bytes()

    return write


@pytest.fixture(scope="session")
def harvest_of() -> Callable[[Path], dict[tuple[str, str, int], str]]:
    """A function that reads a mined folder and checks that nothing in it is broken, unknown or doubled.

    Returns, for each live excerpt, (track, source, first millisecond): hash of its audio.
    """
    import hashlib

    from remix_miner.mined.shards.files import shard_paths, temporary_paths
    from remix_miner.mined.shards.reader import Shard

    def read(folder: Path) -> dict[tuple[str, str, int], str]:
        found: dict[tuple[str, str, int], str] = {}
        with Catalogue.read(folder) as catalogue:
            rows = catalogue.database.execute(
                "SELECT path, source, start_seconds, shard, shard_start FROM excerpts JOIN tracks "
                "ON tracks.id = track_id WHERE review IS NULL"
            ).fetchall()
            known = {name for (name,) in catalogue.database.execute("SELECT name FROM shards")}
        assert {path.name for path in shard_paths(folder)} == known
        assert not temporary_paths(folder)
        shards = {name: Shard(folder / "shards" / name) for name in known}
        for track, source, start, name, first in rows:
            table = shards[name].excerpts
            (row,) = np.flatnonzero(table["start_frame"] == first)
            audio = shards[name].read(int(row))
            assert np.isfinite(audio).all()
            key = (track, source, round(1000 * start))
            assert key not in found
            found[key] = hashlib.sha256(audio.tobytes()).hexdigest()
        for shard in shards.values():
            assert not shard.problems()
            shard.close()
        return found

    return read


# --- for the tests of training ------------------------------------------------------------------------------------


@pytest.fixture
def stem_corpus() -> Callable[..., Path]:
    """A function that writes a corpus of stereo wav stems and returns its folder.

    Drums are noise, bass, other and vocals tones of their own range: a small separator learns them in a few steps.
    ``songs``: artist - title, each ``seconds`` long; ``folder`` may be a split's.
    """
    import soundfile

    from remix_miner.sources import SOURCES

    def write(folder: Path, songs: Mapping[str, float], sample_rate: int = MINED_RATE) -> Path:
        for number, (name, seconds) in enumerate(songs.items()):
            generator = np.random.default_rng(number)
            time = np.arange(round(seconds * sample_rate)) / sample_rate
            for place, source in enumerate(SOURCES):
                tone = np.sin(2 * np.pi * generator.uniform(0.8, 1.2) * (100, 80, 600, 1800)[place] * time)
                signal = generator.standard_normal(len(time)) if source == "drums" else tone
                path = folder / name / f"{source}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, 0.2 * np.stack([signal, 0.5 * signal], axis=1), sample_rate, subtype="FLOAT")
        return folder

    return write


# --- for the tests of merging ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def killed_merges() -> Callable[..., None]:
    """A function that starts ``remix-miner merge [options] parts... --out out`` again and again, and kills each one.

    The kill falls between the appearance of ``out`` and ``longest_seconds`` later, at random.
    """

    def run(out: Path, parts: list[Path], *options: str, times: int, longest_seconds: float, seed: int) -> None:
        code = "import sys; from remix_miner.cli import main; main(sys.argv[1:])"
        arguments = [sys.executable, "-c", code, "merge", *options, *map(str, parts), "--out", str(out)]
        generator = np.random.default_rng(seed)
        for _ in range(times):
            process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not out.exists() and process.poll() is None:
                time.sleep(0.002)
            time.sleep(generator.uniform(0, longest_seconds))
            process.kill()
            process.wait()

    return run


# --- for the tests of calibration ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def labelled_songs() -> Callable[..., list[Any]]:
    """A function that simulates labelled songs: P and V of four sources that pause at random, without audio.

    ``skill``: how far P keeps silent and sounding windows apart, in logits; ``artists``: songs per name, round robin.
    """
    from remix_miner.calibration.songs.labelled import LabelledSong
    from remix_miner.detector.windows import HOP_SECONDS
    from remix_miner.sources import SOURCES

    def make(
        count: int, seed: int = 0, skill: float = 4.0, windows: int = 900, artists: int | None = None
    ) -> list[Any]:
        generator = np.random.default_rng(seed)
        songs = []
        for number in range(count):
            volumes = np.empty((len(SOURCES), windows), dtype=np.float32)
            for source in range(len(SOURCES)):
                lengths = generator.integers(100, 250, windows // 100 + 1)
                quiet = np.repeat((np.arange(len(lengths)) + generator.integers(2)) % 2 == 0, lengths)[:windows]
                volumes[source] = np.where(quiet, generator.normal(-45, 8, windows), generator.normal(-8, 3, windows))
            noise = generator.normal(0, 1.5, volumes.shape) + generator.normal(0, 0.7, (len(SOURCES), 1))
            logits = np.clip((-20 - volumes) / 4, -skill, skill) + noise
            probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
            artist = f"artist {number % (artists or count)}"
            songs.append(LabelledSong(f"song {number}", artist, windows * HOP_SECONDS, probabilities, volumes))
        return songs

    return make


# --- generated songs and real recordings --------------------------------------------------------------------------


@pytest.fixture(scope="session")
def songs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """stems/{train,valid,test} (2, 1 and 1 songs of 10 s), library (4 songs: wav, flac, ogg, mp3), library_truth."""
    from remix_miner.synthesis.corpus import write_corpus

    folder = tmp_path_factory.mktemp("songs")
    write_corpus(folder, songs=4, seconds=10.0, seed=3)
    return folder


@pytest.fixture(scope="session")
def audio_dir() -> Path:
    """The folder of real recordings: REMIX_MINER_AUDIO, or ../shared/audio beside the repository; skips without it."""
    folder = Path(os.environ.get("REMIX_MINER_AUDIO", Path(__file__).parents[1] / ".." / "shared" / "audio")).resolve()
    if not (folder / "stems").is_dir():
        pytest.skip("no real recordings here: set REMIX_MINER_AUDIO to a folder with stems/ and library/")
    return folder
