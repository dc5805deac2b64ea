"""Speed of a scan and of its stages, compared with two baselines in one run.

    python benchmarks/speed/scan.py AUDIO [--minutes 30] [--baseline-minutes 1] [--rounds 3] [--processes 2]
        [--json FILE]

AUDIO is a folder of music. It is brought to each of mp3, ogg, flac and wav (``--minutes`` of each, in songs of four
minutes, in ``--work``), so that every format holds the same music. Then, in processes of one thread each:

* ``detect``: `remix-miner detect` on all of it, per format, as typed: with fingerprints, and the second network where
  it is installed. Speed counts from the first block that a worker reports, since starting Python and PyTorch takes
  equally long in all of them; the wall time with the start is stated too.
* ``straightforward``: librosa.load, kymatio's Scattering1D at the chunk length that is its best here, the same network
  and thresholds on the same 16 kHz audio.
* ``separate``: Hybrid Demucs (torchaudio's hdemucs_high architecture, chunks of 10 s with overlap 0.1 as in its
  tutorial), then the relative volume of each estimate against -20 dB. Weights do not change the cost: they are random.

The baselines read ``--baseline-minutes`` at a time: their cost per second of audio does not depend on the length. The
straightforward scan is the faster baseline. It reads this from ten files per process, so that its run is long enough.
The baselines and `detect` on mp3 alternate for ``--rounds`` rounds. A round's ratio compares the mean of the runs of
`detect` just before and just after with the baseline. The output has medians and ranges of ratios. Speeds are seconds
of audio per second.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from remix_miner.audio import AudioReader, StreamResampler, downmix, read_audio, resample, to_channels
from remix_miner.datasets.library import content_hash, find_audio
from remix_miner.detector.loading import load_detector
from remix_miner.detector.scattering.filters import CHANNELS, FIRST_ORDER, paths
from remix_miner.detector.spans import silent_spans
from remix_miner.detector.stream import ProbabilityStream
from remix_miner.detector.window_volumes import window_volumes_db
from remix_miner.detector.windows import SAMPLE_RATE
from remix_miner.device import Precision
from remix_miner.duplicates.fingerprints import FingerprintStream
from remix_miner.mined.shards.writer import ShardWriter
from remix_miner.mining.engines.local import LocalProcesses
from remix_miner.mining.jobs.queue import Counts
from remix_miner.mining.jobs.run import Watch, run_jobs
from remix_miner.mining.messages import JobSetup
from remix_miner.mining.plan import tasks_for
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.thresholds import choose_thresholds, fusion_for
from remix_miner.mining.track.cut import cut, excerpt_audio
from remix_miner.mining.track.out_of_phase import PhaseCheck
from remix_miner.mining.track.scan import scan_audio
from remix_miner.mining.track.window_validity import WindowValidity
from remix_miner.processes.environment import one_thread_each, worker_environment
from remix_miner.separators.torchaudio_loader import load_torchaudio
from remix_miner.sources import SOURCES

FORMATS = ("mp3", "ogg", "flac", "wav")
RATE = 44100
SONG_SECONDS = 240
KYMATIO_CHUNKS = (2, 5, 10, 20, 30)
CHUNK_SECONDS, CHUNK_OVERLAP = 10.0, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path, help="a folder of music")
    parser.add_argument("--minutes", type=float, default=30.0, help="of each format")
    parser.add_argument("--baseline-minutes", type=float, default=1.0, help="at a time")
    parser.add_argument("--rounds", type=int, default=3, help="of baselines and detect in turn")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--detector", default="default")
    parser.add_argument("--device", default="cpu", help="of detect")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"], help="of detect")
    parser.add_argument("--work", type=Path, default=None, help="keep the prepared files here for the next run")
    parser.add_argument("--baselines", nargs="*", default=list(BASELINES), choices=list(BASELINES))
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        prepare(options.audio, work, options.minutes)
        result: dict[str, Any] = {
            "machine": {
                "processor": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "load_before": os.getloadavg()[0],
                "torch": torch.__version__,
            },
            "processes": options.processes,
            "minutes_per_format": options.minutes,
            "precision": options.precision,
            "detect": detect(work, Path(temporary) / "before", options),
            "stages": {},
        }
        if options.device == "cpu":
            with worker_environment(), multiprocessing.get_context("spawn").Pool(1) as pool:
                result["stages"] = pool.apply(stages, (work / "mp3", options.detector, options.precision))
        if options.baselines:
            result["kymatio_chunk_seconds"] = best_kymatio_chunk()
            result["mp3_in_turn"] = in_turn(work, Path(temporary), options, result["kymatio_chunk_seconds"])
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


def prepare(audio: Path, work: Path, minutes: float) -> None:
    """Write ``minutes`` of the music under ``audio`` in each format, repeated if it is shorter."""
    wanted = round(minutes * 60 * RATE)
    marks = [work / suffix / f"{minutes:g} minutes" for suffix in FORMATS]
    if all(mark.exists() for mark in marks):
        return
    if any(work.glob("*/*.*")):
        raise SystemExit(f"{work} holds other files than {minutes:g} minutes of music: choose another --work")
    for suffix in FORMATS:
        (work / suffix).mkdir(parents=True, exist_ok=True)
    for number, song in enumerate(_songs(audio, wanted)):
        for suffix in FORMATS:
            with soundfile.SoundFile(work / suffix / f"{number:03d}.{suffix}", "w", RATE, 2) as file:
                for start in range(0, len(song), 10 * RATE):
                    file.write(song[start : start + 10 * RATE])
    for mark in marks:
        mark.touch()


def _songs(audio: Path, wanted: int) -> Iterator[np.ndarray]:
    files = [file.path for file in find_audio(audio)[0]]
    if not files:
        raise SystemExit(f"{audio} holds no audio")
    held: list[np.ndarray] = []
    given = 0
    for path in itertools.cycle(files):
        samples, rate = read_audio(path)
        held.append(resample(to_channels(samples, 2), rate, RATE).T)
        while sum(map(len, held)) >= SONG_SECONDS * RATE or given + sum(map(len, held)) >= wanted:
            joined = np.concatenate(held)
            song, rest = joined[: min(SONG_SECONDS * RATE, wanted - given)], joined[SONG_SECONDS * RATE :]
            held = [rest]
            given += len(song)
            yield song
            if given >= wanted:
                return


def detect(work: Path, out: Path, options: Any, formats: tuple[str, ...] = FORMATS) -> dict[str, Any]:
    """Measure the whole scan per format, with workers and shards."""
    detector = load_detector(options.detector)
    thresholds = choose_thresholds(detector, None)
    found = {}
    for suffix in formats:
        tasks = tasks_for(find_audio(work / suffix)[0])
        settings = ScanSettings(
            thresholds.of_sources, precision=options.precision, fusion=fusion_for(thresholds, min_seconds=5.0)
        )
        setup = JobSetup(
            out / suffix,
            options.detector,
            detector.sha256,
            options.device,
            settings,
            {},
            "bench",
            thresholds.calibration,
            fingerprints=True,
        )
        clock = Clock()
        begun = time.perf_counter()
        batches = list(run_jobs(setup, LocalProcesses(setup, options.processes), tasks, Watch(clock)))
        ended = time.perf_counter()
        excerpts = [row for batch in batches for shard in batch.shards for row in shard.excerpts]
        found[suffix] = {
            "speed": clock.later_seconds / (ended - clock.first),
            "seconds_of_audio": clock.first_seconds + clock.later_seconds,
            "wall_seconds_with_start": ended - begun,
            "excerpts": len(excerpts),
            "excerpt_seconds": sum(row["frames"] for row in excerpts) / settings.sample_rate,
        }
    found["peak_memory_of_a_worker_mib"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return found


class Clock:
    """Clock that starts with the first reported progress: time and audio count from there on."""

    def __init__(self) -> None:
        self.first = self.first_seconds = self.later_seconds = 0.0

    def __call__(self, counts: Counts) -> None:
        if not self.first and counts.seconds:
            self.first, self.first_seconds = time.perf_counter(), counts.seconds
        self.later_seconds = counts.seconds - self.first_seconds


def in_turn(work: Path, out: Path, options: Any, chunk: int) -> dict[str, list[float]]:
    """Measure speeds on mp3 in alternation: `detect` runs once before and once after each baseline."""
    speeds: dict[str, list[float]] = {name: [] for name in ("detect", *options.baselines)}
    for number in range(options.rounds + 1):
        speeds["detect"].append(detect(work, out / f"{number}", options, FORMATS[:1])["mp3"]["speed"])
        if number < options.rounds:
            for name in options.baselines:
                speeds[name].append(in_processes(*BASELINES[name], work / "mp3", options, chunk))
    return speeds


def ratios(speeds: dict[str, list[float]], baseline: str) -> list[float]:
    """Return for each round the mean of `detect` just before and just after, relative to the baseline."""
    around = map(statistics.fmean, itertools.pairwise(speeds["detect"]))
    return [mean / speed for mean, speed in zip(around, speeds[baseline], strict=True)]


def stages(folder: Path, detector: str, precision: Precision) -> dict[str, float]:
    """Measure each step alone on one song, in this process with one thread, in multiples of real time."""
    torch.set_num_threads(1)
    path = sorted(folder.glob("0*"))[0]
    model = load_detector(detector, precision=precision).model
    thresholds = choose_thresholds(load_detector(detector), None)
    settings = ScanSettings(thresholds.of_sources, fusion=fusion_for(thresholds, min_seconds=5.0))
    with AudioReader(path) as reader:
        blocks = [block.copy() for block in reader.blocks()]
    seconds = sum(map(len, blocks)) / RATE
    mono = [downmix(block.T) for block in blocks]
    validity, phase = WindowValidity(RATE), PhaseCheck(RATE, 2)
    resampler = StreamResampler(RATE, SAMPLE_RATE, 1)
    low = np.concatenate([resampler(block[:, None])[:, 0] for block in mono])
    scattering = model.features.scattering
    tensor = torch.from_numpy(low)[None]
    with torch.inference_mode():
        coefficients = scattering(tensor)
        features = model.features.compress(coefficients)

    def decode() -> None:
        with AudioReader(path) as reader:
            for _ in reader.blocks():
                pass

    def fingerprint() -> None:
        peaks = FingerprintStream(RATE)
        for block in mono:
            peaks.push(block)
        peaks.finish()

    def network() -> None:
        stream = ProbabilityStream(model)
        stream.push(low)
        stream.finish()

    @torch.inference_mode()
    def only_network() -> None:
        windows = [model.windows(features[..., start : start + 1920]) for start in range(0, features.shape[-1], 1920)]
        for part in windows:
            model.sequence(part)

    scanned = scan_audio(path, model, settings)

    def store() -> None:
        with tempfile.TemporaryDirectory() as out:
            writer = ShardWriter(Path(out), "drums", detector_sha256="", threshold=0, settings={}, shard_id="a")
            for span, audio in cut(scanned.held.blocks(), scanned.found):
                writer.append(
                    excerpt_audio(audio, RATE, settings),
                    track="",
                    track_sha256="",
                    start_seconds=0,
                    probability_mean=span.probability_mean,
                    probability_min=span.probability_min,
                )
            writer.close()

    steps: dict[str, Callable[[], Any]] = {
        "decode mp3": decode,
        "downmix": lambda: [downmix(block.T) for block in blocks],
        "copy for excerpts": lambda: [block.copy() for block in blocks],
        "validity of windows": lambda: validity.receive(low),
        "channels that cancel": lambda: [phase.push(block) for block in blocks],
        "resample to 16 kHz": lambda: resample(np.concatenate(mono)[None], RATE, SAMPLE_RATE),
        "scattering": lambda: scattering(tensor),
        "level and logarithm": lambda: model.features.compress(coefficients),
        "network": only_network,
        "detector as a stream (the three above)": network,
        "fingerprint": fingerprint,
        "hash of the file": lambda: content_hash(path),
        "cut and store excerpts": store,
        "scan of the track": lambda: scan_audio(path, model, settings, with_fingerprint=True),
    }
    result = {}
    for name, step in steps.items():
        times = []
        for _ in range(3):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        result[name] = seconds / min(times)
    return result


def best_kymatio_chunk() -> int:
    """Return the chunk length (s) at which kymatio is fastest on this machine at present."""
    from kymatio.torch import Scattering1D

    speed = {}
    for chunk in KYMATIO_CHUNKS:
        transform, audio = Scattering1D(J=8, shape=chunk * SAMPLE_RATE, Q=8), torch.randn(chunk * SAMPLE_RATE)
        transform(audio)
        start = time.perf_counter()
        for _ in range(max(1, 20 // chunk)):
            transform(audio)
        speed[chunk] = chunk * max(1, 20 // chunk) / (time.perf_counter() - start)
    return max(speed, key=lambda chunk: speed[chunk])


def in_processes(
    function: Callable[..., tuple[float, float]], times: int, folder: Path, options: Any, chunk: int
) -> float:
    """Measure the total speed of a baseline in as many processes as `detect`; each reads ``times`` files."""
    files = itertools.islice(itertools.cycle(sorted(folder.glob("0*"))), times * options.processes)
    tasks = [(file, options.detector, 60 * options.baseline_minutes, chunk) for file in files]
    with one_thread_each(), multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        audio, wall = zip(*pool.starmap(function, tasks, chunksize=1), strict=True)
    return options.processes * sum(audio) / sum(wall)


def straightforward(path: Path, detector: str, seconds: float, chunk: int) -> tuple[float, float]:
    """Scan with librosa, kymatio and the same network. Return seconds of audio and of work."""
    import librosa
    from kymatio.torch import Scattering1D

    torch.set_num_threads(1)
    loaded = load_detector(detector)
    thresholds = choose_thresholds(loaded, None).of_sources
    transform = Scattering1D(J=8, shape=chunk * SAMPLE_RATE, Q=8)
    places = {(n1, n2): channel * FIRST_ORDER + n1 for channel, n1, n2 in paths()}
    keys, scales = transform.meta()["key"], transform.meta()["j"]
    kept = [index for index, key in enumerate(keys) if len(key)]
    rows = torch.tensor([places[(keys[i][0], keys[i][1] if len(keys[i]) > 1 else -1)] for i in kept])
    gains = torch.tensor([2.0 ** np.nansum(scales[i]) for i in kept], dtype=torch.float32)[:, None]
    librosa.load(path, sr=SAMPLE_RATE, mono=True, duration=1.0)
    transform(torch.zeros(chunk * SAMPLE_RATE))
    start = time.perf_counter()
    audio, _ = librosa.load(path, sr=SAMPLE_RATE, mono=True, duration=seconds)
    length = chunk * SAMPLE_RATE
    padded = torch.from_numpy(np.pad(audio, (0, -len(audio) % length)))
    with torch.inference_mode():
        pieces = []
        for piece in padded.view(-1, length):
            cells = torch.zeros(CHANNELS * FIRST_ORDER, length // 256)
            cells[rows] = transform(piece)[kept] * gains
            pieces.append(cells)
        features = loaded.model.features
        whole = torch.cat(pieces, dim=-1).view(1, CHANNELS, FIRST_ORDER, -1)[:, list(features.scattering.channels)]
        probabilities = torch.sigmoid(loaded.model.logits(features.compress(whole)))[0].numpy()
    for source, threshold in thresholds.items():
        silent_spans(probabilities[SOURCES.index(source)], threshold, len(audio) / SAMPLE_RATE)
    return len(audio) / SAMPLE_RATE, time.perf_counter() - start


def separate(path: Path, detector: str, seconds: float, chunk: int) -> tuple[float, float]:
    """Separate with Hybrid Demucs and measure levels. Return seconds of audio and of work."""
    torch.set_num_threads(1)
    model = load_torchaudio().models.hdemucs_high(list(SOURCES)).eval()
    segment, overlap = round(CHUNK_SECONDS * RATE), round(CHUNK_SECONDS * CHUNK_OVERLAP * RATE)
    with torch.inference_mode():
        model(torch.zeros(1, 2, segment))
        start = time.perf_counter()
        with AudioReader(path) as reader:
            audio = next(iter(reader.blocks(round(seconds * RATE)))).T
        mixture = torch.from_numpy(np.ascontiguousarray(audio))
        estimates = torch.zeros(len(SOURCES), 2, mixture.shape[-1])
        for first in range(0, mixture.shape[-1], segment - overlap):
            part = mixture[None, :, first : first + segment]
            fade = torch.ones(part.shape[-1])
            fade[:overlap] = torch.linspace(0, 1, overlap)[: len(fade)] if first else 1.0
            estimates[..., first : first + segment] += model(part)[0] * fade
        mono = estimates.mean(dim=1).numpy()
        low = torch.from_numpy(resample(mono, RATE, SAMPLE_RATE))
        silent = (window_volumes_db(low) <= -20).float().numpy()
    for row in silent:
        silent_spans(row, 0.5, mixture.shape[-1] / RATE)
    return mixture.shape[-1] / RATE, time.perf_counter() - start


# name: (function, files that each process reads)
BASELINES = {"straightforward": (straightforward, 10), "separate": (separate, 1)}


def table(result: dict[str, Any]) -> str:
    lines = ["stage (one process, one thread)                times real time"]
    lines += [f"  {name:44s} {speed:10.0f}" for name, speed in result["stages"].items()]
    lines.append(
        f"\nwhole scan, {result['processes']} processes                     times real time   with start   excerpts"
    )
    for suffix in FORMATS:
        row = result["detect"][suffix]
        whole = row["seconds_of_audio"] / row["wall_seconds_with_start"]
        lines.append(f"  {suffix:44s} {row['speed']:10.0f} {whole:13.0f} {row['excerpts']:10d}")
    lines.append(f"  peak memory of a worker {result['detect']['peak_memory_of_a_worker_mib']:.0f} MiB")
    if "mp3_in_turn" in result:
        speeds = result["mp3_in_turn"]
        lines.append(f"\nmp3 in turn, median of {len(speeds['detect']) - 1} rounds")
        lines.append(f"  {'detect':44s} {statistics.median(speeds['detect']):10.0f}")
        names = {
            "straightforward": f"librosa + kymatio ({result['kymatio_chunk_seconds']} s) + same network",
            "separate": "Hybrid Demucs + levels",
        }
        for key, name in names.items():
            if key in speeds:
                found = ratios(speeds, key)
                ratio = f"detect is {statistics.median(found):.1f} times faster ({min(found):.1f} to {max(found):.1f})"
                lines.append(f"  {name:44s} {statistics.median(speeds[key]):10.1f}    {ratio}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
