"""Harvest of a scan with a sparsely sampled transform, or a network in bfloat16, compared with kymatio's transform.

    python benchmarks/precision.py AUDIO [--detector default] [--threshold 0.9]

Every file under AUDIO is scanned in each variant with the detector's own thresholds, or with one for all sources. The
output has the deviation of probabilities from those of kymatio's sampling in float32. For each source, it also has the
seconds mined in the variant, and those mined in both.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from remix_miner.datasets.library import find_audio
from remix_miner.detector.loading import load_detector
from remix_miner.device import Precision, Sampling
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.thresholds import choose_thresholds
from remix_miner.mining.track.scan import ScannedAudio, scan_audio

REFERENCE = "kymatio"
WAYS: dict[str, tuple[Precision, Sampling]] = {
    REFERENCE: ("float32", "kymatio"),
    "sparse": ("float32", "sparse"),
    "sparse bfloat16": ("bfloat16", "sparse"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path, nargs="+", help="files and folders of music")
    parser.add_argument("--detector", default="default")
    parser.add_argument("--threshold", type=float, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    detectors = {
        name: load_detector(options.detector, precision=precision, sampling=sampling)
        for name, (precision, sampling) in WAYS.items()
    }
    thresholds = choose_thresholds(detectors[REFERENCE], None).of_sources
    if options.threshold is not None:
        thresholds = dict.fromkeys(thresholds, options.threshold)
    settings = ScanSettings(thresholds)
    files = find_audio(options.audio)[0]
    minutes = 0.0
    moved: dict[str, list[np.ndarray]] = {name: [] for name in WAYS if name != REFERENCE}
    columns = (*WAYS, *map(both, moved))
    seconds = {source: dict.fromkeys(columns, 0.0) for source in thresholds}
    for file in files:
        scans = {name: scan_audio(file.path, detector.model, settings) for name, detector in detectors.items()}
        reference = scans.pop(REFERENCE)
        minutes += reference.seconds / 60
        for name, scan in scans.items():
            moved[name].append(np.abs(reference.probabilities - scan.probabilities).ravel())
        for source, row in seconds.items():
            expected = mined_frames(reference, source)
            row[REFERENCE] += np.count_nonzero(expected) / reference.sample_rate
            for name, scan in scans.items():
                frames = mined_frames(scan, source)
                row[name] += np.count_nonzero(frames) / reference.sample_rate
                row[both(name)] += np.count_nonzero(frames & expected) / reference.sample_rate
    result = {
        "files": len(files),
        "minutes": round(minutes, 1),
        "probability_moves_by": {
            name: {"mean": float(np.concatenate(by).mean()), "most": float(np.concatenate(by).max())}
            for name, by in moved.items()
        },
        "seconds_mined": {
            source: {name: round(value, 2) for name, value in row.items()} for source, row in seconds.items()
        },
    }
    print(json.dumps(result, indent=2))


def both(name: str) -> str:
    return f"{REFERENCE} and {name}"


def mined_frames(scan: ScannedAudio, source: str) -> np.ndarray:
    """Return for each frame of a track whether it is in an excerpt without the source."""
    frames = np.zeros(scan.frames, dtype=bool)
    for span in scan.found:
        if span.source == source:
            frames[span.start_frame : span.start_frame + span.frames] = True
    return frames


if __name__ == "__main__":
    main()
