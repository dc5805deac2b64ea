"""Mean of the weights of trained detectors with one architecture: OUT.safetensors and its description.

    python examples/default_detector/average_weights.py runs/ten default OUT.safetensors

Useful for runs that start from one network. The songs of all detectors count as having trained the mean.
"""

import argparse
from pathlib import Path

import torch

from remix_miner.checkpoint import load_model, save_model
from remix_miner.detector.description import PRETRAINED


def mean_of(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the mean of each floating-point tensor as float16, others from the first.

    Raises SystemExit where names or shapes differ.
    """
    shapes = [{name: value.shape for name, value in state.items()} for state in states]
    if any(shape != shapes[0] for shape in shapes):
        raise SystemExit("the detectors have different architectures; their weights have no mean")
    return {
        name: torch.stack([state[name].float() for state in states]).mean(dim=0).half()
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "detectors", nargs="+", metavar="DETECTOR", help="run folders, files, or names of the package's"
    )
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    paths = [PRETRAINED / f"{name}.safetensors" if "/" not in name else Path(name) for name in options.detectors]
    loaded = [load_model(path) for path in paths]
    description = dict(loaded[0][1])
    description.pop("sha256")
    songs = [song for _, other in loaded for song in other["songs"]]
    description["songs"] = list(dict.fromkeys(songs))
    description["mean_of"] = [
        {"detector": name, "sha256": other["sha256"]}
        for name, (_, other) in zip(options.detectors, loaded, strict=True)
    ]
    save_model(options.out, mean_of([state for state, _ in loaded]), description)


if __name__ == "__main__":
    main()
