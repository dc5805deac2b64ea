"""Publication of a trained detector in the package: float16 weights beside their description.

    python examples/default_detector/publish.py RUN [--name default]

Run `remix-miner calibrate` on the published name afterwards: a calibration is valid for exactly these weights.
"""

import argparse
from pathlib import Path

from remix_miner.checkpoint import load_model, save_model
from remix_miner.detector.description import PRETRAINED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", default="default")
    options = parser.parse_args()
    state, description = load_model(options.run)
    halved = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    description.pop("sha256")
    description["songs"] = list(dict.fromkeys(description["songs"]))
    path = PRETRAINED / f"{options.name}.safetensors"
    save_model(path, halved, description)
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
