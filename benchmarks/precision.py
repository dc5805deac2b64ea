"""What a scan with the convolutions in bfloat16 harvests, beside the same scan in float32.

    python benchmarks/precision.py AUDIO [--detector default] [--threshold 0.9]

Every file under AUDIO is scanned both ways with the detector's own thresholds, or with one for all sources. Printed
are how far probabilities move, and for each source the seconds that float32, bfloat16 and both would mine.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from remix_miner.datasets.library import find_audio
from remix_miner.detector.loading import load_detector
from remix_miner.mining.detect import choose_thresholds
from remix_miner.mining.records import ScanSettings
from remix_miner.mining.scan import ScannedAudio, scan_audio

PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path, nargs="+", help="files and folders of music")
    parser.add_argument("--detector", default="default")
    parser.add_argument("--threshold", type=float, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    detectors = [load_detector(options.detector, precision=precision) for precision in PRECISIONS]
    thresholds, _, _ = choose_thresholds(detectors[0], None)
    if options.threshold is not None:
        thresholds = dict.fromkeys(thresholds, options.threshold)
    settings = ScanSettings(thresholds)
    moved, minutes = [], 0.0
    seconds = {source: dict.fromkeys((*PRECISIONS, "both"), 0.0) for source in thresholds}
    for file in find_audio(options.audio)[0]:
        exact, rounded = (scan_audio(file.path, detector.model, settings) for detector in detectors)
        moved.append(np.abs(exact.probabilities - rounded.probabilities).ravel())
        minutes += exact.seconds / 60
        for source, row in seconds.items():
            ours, theirs = (mined_frames(scan, source) for scan in (exact, rounded))
            for name, frames in zip((*PRECISIONS, "both"), (ours, theirs, ours & theirs), strict=True):
                row[name] += np.count_nonzero(frames) / exact.sample_rate
    difference = np.concatenate(moved)
    result = {
        "files": len(moved),
        "minutes": round(minutes, 1),
        "probability_moves_by": {"mean": float(difference.mean()), "most": float(difference.max())},
        "seconds_mined": {
            source: {name: round(value, 2) for name, value in row.items()} for source, row in seconds.items()
        },
    }
    print(json.dumps(result, indent=2))


def mined_frames(scan: ScannedAudio, source: str) -> np.ndarray:
    """For each frame of a track, whether an excerpt without the source holds it."""
    frames = np.zeros(scan.frames, dtype=bool)
    for one in scan.found:
        if one.source == source:
            frames[one.start_frame : one.start_frame + one.frames] = True
    return frames


if __name__ == "__main__":
    main()
