"""Time, peak memory and agreement of our BSSEval v4 and museval's, on the same excerpt in one run.

    python benchmarks/speed/bsseval.py --seconds 60                       # synthetic song, noisy estimates
    python benchmarks/speed/bsseval.py --stems STEMS/song --estimates ESTIMATES/song --seconds 60

Each runs in a process of its own with the same number of threads. On a busy machine, compare the CPU times. museval's
metrics.py is loaded by path, since importing the package needs ffmpeg. For songs with two equal channels, museval's
equations are singular and it uses a slow solver; ``equal_channels`` marks such songs.
"""

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RATE = 44100
NAMES = ("sdr", "isr", "sir", "sar")


def excerpt(arguments: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return references and estimates (S, C, T) as float64."""
    frames = round(arguments.seconds * RATE)
    if arguments.stems is None:
        from remix_miner.synthesis.song import synthesize_song

        references = synthesize_song(seed=0, seconds=arguments.seconds).stems[..., :frames].astype(np.float64)
        noise = np.random.default_rng(0).standard_normal(references.shape)
        # A little noise in the references too: a reference that is digital silence has no score.
        references += 1e-3 * noise[::-1]
        return references, references + 0.1 * references.sum(axis=0) + 1e-2 * noise
    from remix_miner.audio import read_audio
    from remix_miner.evaluation.estimates import find_estimates
    from remix_miner.sources import SOURCES

    pairs = []
    for folder in (arguments.stems, arguments.estimates):
        files = find_estimates(folder.parent).tracks[folder.name]
        begin = round(arguments.start_seconds * RATE)
        pairs.append(np.stack([read_audio(files[source], begin, frames)[0] for source in SOURCES]).astype(np.float64))
    sounding = pairs[0].any(axis=(1, 2))  # museval refuses a song with a silent source
    return pairs[0][sounding], pairs[1][sounding]


def run_remix_miner(references: np.ndarray, estimates: np.ndarray) -> list[np.ndarray]:
    from remix_miner.evaluation.metrics.bsseval import bsseval

    scores = bsseval(references, estimates, RATE)
    return [getattr(scores, name) for name in NAMES]


def run_museval(references: np.ndarray, estimates: np.ndarray) -> list[np.ndarray]:
    package = importlib.util.find_spec("museval")
    if package is None or not package.submodule_search_locations:
        sys.exit("museval is not installed: pip install 'remix-miner[eval]'")
    path = Path(package.submodule_search_locations[0]) / "metrics.py"
    spec = importlib.util.spec_from_file_location("museval_metrics", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    signals = references.transpose(0, 2, 1), estimates.transpose(0, 2, 1)
    return list(module.bss_eval(*signals, window=RATE, hop=RATE)[:4])


def child(which: str, data: Path, out: Path) -> None:
    """Run one implementation, twice if it is fast, and write its scores, best time and memory."""
    loaded = np.load(data)
    references, estimates = loaded["references"], loaded["estimates"]
    run = {"remix_miner": run_remix_miner, "museval": run_museval}[which]
    noise = np.random.default_rng(0).standard_normal((len(references), 2, RATE // 2))
    run(noise, noise[::-1])  # imports and first calls are not timed
    seconds = []
    for _ in range(3 if which == "remix_miner" else 1):
        started, worked = time.perf_counter(), time.process_time()
        scores = run(references, estimates)
        seconds.append((time.perf_counter() - started, time.process_time() - worked))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, cpu = np.min(seconds, axis=0)
    np.savez(out, scores=np.stack(scores), seconds=wall, cpu_seconds=cpu, peak_mib=peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--start-seconds", type=float, default=0.0)
    parser.add_argument("--stems", type=Path, help="folder of one song's stems")
    parser.add_argument("--estimates", type=Path, help="folder of its estimates")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], Path(arguments.child[1]), Path(arguments.child[2]))
        return
    threads = {name: str(arguments.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        references, estimates = excerpt(arguments)
        np.savez(data, references=references, estimates=estimates)
        found = {}
        for which in ("remix_miner", "museval"):
            out = Path(folder) / f"{which}.npz"
            command = [sys.executable, __file__, "--child", which, str(data), str(out)]
            subprocess.run(command, check=True, env={**os.environ, **threads})
            found[which] = dict(np.load(out))
    measured, reference = found["remix_miner"], found["museval"]
    scored = np.isfinite(reference["scores"])
    report = {
        "seconds_of_audio": references.shape[-1] / RATE,
        "threads": arguments.threads,
        "remix_miner_seconds": float(measured["seconds"]),
        "museval_seconds": float(reference["seconds"]),
        "speed_up": float(reference["seconds"] / measured["seconds"]),
        "remix_miner_cpu_seconds": float(measured["cpu_seconds"]),
        "museval_cpu_seconds": float(reference["cpu_seconds"]),
        "speed_up_in_cpu_time": float(reference["cpu_seconds"] / measured["cpu_seconds"]),
        "remix_miner_peak_mib": float(measured["peak_mib"]),
        "museval_peak_mib": float(reference["peak_mib"]),
        "frames_scored": int(scored[0].sum()),
        "same_frames_excluded": bool((np.isfinite(measured["scores"]) == scored).all()),
        "largest_difference_db": {
            name: float(np.abs(measured["scores"][index] - reference["scores"][index])[scored[index]].max())
            for index, name in enumerate(NAMES)
        },
        "equal_channels": bool(any(np.array_equal(reference[0], reference[-1]) for reference in references)),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
