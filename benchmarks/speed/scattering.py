"""Speed of the scattering transform compared with kymatio's, in one run on one thread.

    python benchmarks/speed/scattering.py [--seconds 60] [--repeats 5] [--json]

Each round times every variant once, so that other load on the machine affects all of them alike. The table has the best
of the rounds. The input is noise, since no cost depends on the signal. tests/test_scattering.py checks that the results
with kymatio's sampling are equal, and bounds the loss with sparse sampling.
"""

import argparse
import json
import platform
import time
from typing import get_args

import torch
from kymatio.torch import Scattering1D

from remix_miner.detector.scattering.transform import Scattering
from remix_miner.device import Sampling

KYMATIO_CHUNKS = (5, 10, 20, 30, 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="length of the audio")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    audio = torch.randn(1, options.seconds * 16_000, generator=torch.Generator().manual_seed(0))
    samplings = get_args(Sampling)
    variants = {f"remix_miner, {name}": (lambda s=Scattering(sampling=name): s(audio)) for name in samplings}
    for chunk in KYMATIO_CHUNKS:
        if options.seconds % chunk == 0:
            transform = Scattering1D(J=8, shape=chunk * 16_000, Q=8)
            pieces = audio.view(-1, 1, chunk * 16_000)
            variants[f"kymatio, {chunk} s"] = lambda t=transform, p=pieces: [t(piece) for piece in p]
    times = {name: [] for name in variants}
    with torch.no_grad():
        for run in variants.values():
            run()
        for _ in range(options.repeats):
            for name, run in variants.items():
                start = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - start)
    speed = {name: options.seconds / min(values) for name, values in times.items()}
    best = max(value for name, value in speed.items() if name.startswith("kymatio"))
    at_10 = speed.get("kymatio, 10 s", float("nan"))
    result = {
        "times_real_time": {name: round(value, 1) for name, value in speed.items()},
        "ratio_to_kymatio_at_10_s": {name: round(speed[f"remix_miner, {name}"] / at_10, 2) for name in samplings},
        "ratio_to_kymatio_at_its_best": {name: round(speed[f"remix_miner, {name}"] / best, 2) for name in samplings},
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": options.threads,
            "torch": torch.__version__,
        },
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name, value in speed.items():
        print(f"{name:24} {value:7.1f} x real time")
    for name in samplings:
        at_10, best = (result[f"ratio_to_kymatio_at_{where}"][name] for where in ("10_s", "its_best"))
        print(f"{name}: ratio to kymatio at 10 s chunks {at_10}, at its best {best}")


if __name__ == "__main__":
    main()
