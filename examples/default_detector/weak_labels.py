"""Agreement of a detector's probabilities of silence with partially labelled records.

    python examples/default_detector/weak_labels.py DETECTOR... --weak weak/labels.csv

Per record, source and detector: the labelled windows, the share of them that is silent, and the area under the ROC
curve of the probability against the labels (`train-detector --weak` has the table's format). The detectors must not
be trained on these records.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from remix_miner.detector.loading import load_detector
from remix_miner.detector.stream import track_probabilities
from remix_miner.detector.training.material import PEAK, load_weak
from remix_miner.sources import SOURCES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+", metavar="DETECTOR")
    parser.add_argument("--weak", type=Path, required=True, metavar="CSV")
    options = parser.parse_args()
    songs = load_weak(options.weak)
    for name in options.detectors:
        model = load_detector(name).model
        for song in songs:
            probabilities = track_probabilities(model, song.audio.astype(np.float32) / PEAK)
            for source, heard, silent in zip(SOURCES, probabilities, song.silent, strict=True):
                labelled = ~np.isnan(silent)
                truth = silent[labelled] == 1
                if 0 < truth.sum() < len(truth):
                    area = roc_auc_score(truth, heard[labelled])
                    shares = f"{len(truth)} windows, {truth.mean():.0%} silent"
                    print(f"{name}  {song.name}  {source}: {shares}, AUC {area:.3f}")


if __name__ == "__main__":
    main()
