"""Does remixing mined excerpts help? A controlled experiment on synthetic songs; see docs/background/remix_gain.md.

    python examples/remix_gain/run.py --scale cpu --out runs/remix_gain --workers 2

makes the songs and excerpts, tunes the two learning rates, trains and scores every arm with every seed, one JSON
document each below OUT/arms, and can be stopped and started again at any time. `report.py` makes tables of them.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from scales import SCALES, Scale

from remix_miner.atomic import write_json

TUNING_ARMS = ("supervised", "oracle")
PAPER_DOSE = {"rate_ratio": 0.1, "probability": 0.25}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=SCALES, default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/remix_gain"))
    parser.add_argument("--detector", default="default", help="for the arm 'mined'; 'none' leaves that arm out")
    parser.add_argument(
        "--workers", type=int, default=1, help="arms at a time, each a process of one CPU thread; 0: here"
    )
    parser.add_argument("--only", default="", metavar="ARM,...", help="these arms alone")
    parser.add_argument("--job", default=None, help=argparse.SUPPRESS)  # one job of a worker, as JSON
    options = parser.parse_args()
    scale = SCALES[options.scale]
    options.out.mkdir(parents=True, exist_ok=True)
    if options.job:
        _run_job(options.out, scale, json.loads(options.job))
        return
    _claim(options.out, options.scale)
    from songs import prepare

    started = time.monotonic()
    prepare(options.out, scale, options.detector)
    print(f"songs and excerpts after {time.monotonic() - started:.0f} s", file=sys.stderr)
    _run(options, tuning_jobs(scale))
    choice = choose(options.out, scale)
    write_json(options.out / "tuned.json", choice)
    print(f"tuned: {choice}, after {time.monotonic() - started:.0f} s", file=sys.stderr)
    only = [name for name in options.only.split(",") if name]
    _run(options, [job for job in final_jobs(options.out, scale, choice) if not only or job["arm"] in only])
    print(f"all done after {time.monotonic() - started:.0f} s", file=sys.stderr)


def tuning_jobs(scale: Scale) -> list[dict[str, Any]]:
    """Short runs on a labelled set of their own: every learning rate, and with remix steps every ratio too."""
    jobs = []
    for rate in scale.learning_rates:
        for arm in TUNING_ARMS:
            for ratio in scale.rate_ratios if arm != "supervised" else scale.rate_ratios[:1]:
                rates = {"learning_rate": rate, "rate_ratio": ratio, "probability": scale.remix_probability}
                name = f"tuning/{arm}-{rate:g}-{ratio:g}"
                jobs.append(
                    {"name": name, "arm": arm, "seed": max(scale.seeds) + 1, "epochs": scale.tuning_epochs, **rates}
                )
    return jobs


def choose(out: Path, scale: Scale) -> dict[str, dict[str, float]]:
    """Rates by validation uSDR; arms other than 'supervised' and 'all-labelled' take those of 'oracle'."""
    choice = {}
    for arm in TUNING_ARMS:
        results = [_read(out, job) for job in tuning_jobs(scale) if job["arm"] == arm]
        best = max(results, key=lambda result: result["valid_usdr"])
        choice[arm] = {name: best[name] for name in ("learning_rate", "rate_ratio", "valid_usdr")}
    return choice


def final_jobs(out: Path, scale: Scale, choice: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Every arm with every seed, seed by seed within an arm, the most telling arms first."""
    from arms import arms

    jobs = []
    for arm in arms(scale):
        if arm.excerpts == "mined" and not list((out / "mined/mined/shards").glob("*.h5")):
            print("nothing was mined: the arm 'mined' is left out", file=sys.stderr)
            continue
        rates = choice["supervised" if arm.excerpts is None else "oracle"]
        for seed in scale.seeds:
            job = {"name": f"arms/{arm.name}-seed{seed}", "arm": arm.name, "seed": seed, "epochs": scale.epochs}
            dose = PAPER_DOSE if arm.name == "oracle-paper" else {"rate_ratio": rates["rate_ratio"]}
            jobs.append(
                {**job, "learning_rate": rates["learning_rate"], "probability": scale.remix_probability, **dose}
            )
    return jobs


def _run(options: argparse.Namespace, jobs: list[dict[str, Any]]) -> None:
    """Run what is not done yet, ``--workers`` processes at a time; stops when one fails."""
    waiting = [job for job in jobs if not _path(options.out, job).exists()]
    if options.workers == 0:
        for job in waiting:
            _run_job(options.out, SCALES[options.scale], job)
        return
    running: list[tuple[dict[str, Any], subprocess.Popen[bytes]]] = []
    try:
        while waiting or running:
            while waiting and len(running) < options.workers:
                job = waiting.pop(0)
                arguments = ["--scale", options.scale, "--out", str(options.out), "--job", json.dumps(job)]
                environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
                log = options.out / "logs" / f"{job['name'].replace('/', '-')}.txt"
                log.parent.mkdir(exist_ok=True)
                with open(log, "ab") as file:
                    process = subprocess.Popen([sys.executable, __file__, *arguments], stderr=file, env=environment)
                running.append((job, process))
            for job, process in list(running):
                if process.poll() is not None:
                    running.remove((job, process))
                    if process.returncode:
                        sys.exit(f"{job['name']} failed, see {options.out / 'logs'}; run again to go on")
                    result = _read(options.out, job)
                    print(
                        f"{job['name']}: valid {result['valid_usdr']:.2f} dB, {result['seconds']:.0f} s",
                        file=sys.stderr,
                    )
            time.sleep(0.2)
    finally:
        for _, process in running:
            process.terminate()


def _run_job(out: Path, scale: Scale, job: dict[str, Any]) -> None:
    import torch
    from arms import arms, run_arm, settings_of

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    arm = next(arm for arm in arms(scale) if arm.name == job["arm"])
    settings = settings_of(scale, job)
    workers = 4 if torch.cuda.is_available() else 0
    write_json(_path(out, job), run_arm(out, arm, settings, out / "runs" / job["name"], workers))


def _claim(out: Path, scale: str) -> None:
    path = out / "scale.json"
    if path.exists() and json.loads(path.read_text())["scale"] != scale:
        sys.exit(f"{out} holds an experiment of another scale; give another --out")
    write_json(path, {"scale": scale})


def _path(out: Path, job: dict[str, Any]) -> Path:
    return out / f"{job['name']}.json"


def _read(out: Path, job: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(_path(out, job).read_text())
    return result


if __name__ == "__main__":
    main()
