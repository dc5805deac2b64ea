"""Levels of the estimates: python examples/remix_gain/levels.py small.toml RUNS --target drums

separates the test songs with the models of each arm and prints the median, over folds and songs, of the level of the
estimate relative to the reference, and of the weights of target and rest in it (least squares): 0 dB, 1 and 0 are best.
Folds count that have all arms.
"""

import argparse
from pathlib import Path

import numpy as np
from differences import Document, read_results
from scale import Scale, load_scale
from songs import Song, middle

from remix_miner.separators.loading import load_separator
from remix_miner.separators.overlap_add import separate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--target", default="drums")
    parser.add_argument("--arms", nargs="+", default=("control", "mined-by-track"))
    parser.add_argument("--folds", type=int, help="this many at most, by name")
    options = parser.parse_args()
    scale, runs = load_scale(options.scale), options.runs / options.target
    documents = read_results(runs)
    folds = [{each["fold"] for each in documents if each["arm"] == arm} for arm in options.arms]
    kept = sorted(set.intersection(*folds))[: options.folds]
    for arm in options.arms:
        chosen = [each for each in documents if each["arm"] == arm and each["fold"] in kept]
        rows = [row for document in chosen for row in levels(document, runs, scale)]
        level, target, rest = np.median(np.array(rows), axis=0)
        weights = f"weight of {options.target} {target:.2f}, of the rest {rest:.2f}"
        print(f"{arm}: {level:+.1f} dB, {weights}, {len(kept)} folds")


def levels(document: Document, runs: Path, scale: Scale) -> list[tuple[float, float, float]]:
    """Level in dB and both weights of the estimate of each test song."""
    name = f"{document['arm']}-{document['fold']}-seed{document['seed']}"
    model = load_separator(runs / "runs" / name / "ema")
    found = []
    for song in document["scores"]["ema"]:
        pair = Song(song, "", "", None, runs / "songs" / song, document["target"])
        references = middle(pair.read(), round(scale.test_seconds * scale.sample_rate))
        estimate = separate(model, references.sum(axis=0))[model.sources.index(document["target"])].numpy().ravel()
        columns = references.reshape(2, -1).astype(np.float64)
        weights = np.linalg.lstsq(columns.T, estimate, rcond=None)[0]
        level = 10 * np.log10(np.sum(estimate**2, dtype=np.float64) / np.sum(columns[0] ** 2))
        found.append((float(level), float(weights[0]), float(weights[1])))
    return found


if __name__ == "__main__":
    main()
