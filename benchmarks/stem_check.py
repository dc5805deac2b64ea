"""Findings of `check-data --listen` in unchanged songs, with swapped stems, and with bleed added at known levels.

    python benchmarks/stem_check.py STEMS [--seconds 40] [--levels -12,-20,-30]

Bleed: another stem of the song, added to a whole stem at a level relative to that stem's own energy. It counts as
found if the added source is reported for five seconds or more, or as the likely content of the stem.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from remix_miner.calibration.songs.labelled import mono_stems
from remix_miner.calibration.stem_check import check_stem
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.detector.loading import load_detector
from remix_miner.sources import SOURCES


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("stems", type=Path)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--levels", default="-12,-20,-30")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_detector().model
    levels = [float(level) for level in arguments.levels.split(",")]
    counts = {"stems": 0, "flagged as they are": 0, "swapped": 0, "swaps found": 0}
    planted = dict.fromkeys(levels, 0)
    found = dict.fromkeys(levels, 0)
    by_guest = {source: dict.fromkeys(levels, (0, 0)) for source in SOURCES}
    for track in load_stem_tracks(arguments.stems):
        stems = mono_stems(replace(track, frames=min(track.frames, round(arguments.seconds * track.sample_rate))))
        sounding = {s: x for s, x in zip(SOURCES, stems, strict=True) if np.abs(x).max() > 1e-3}
        for host, audio in sounding.items():
            check = check_stem(model, track.name, host, audio)
            counts["stems"] += 1
            counts["flagged as they are"] += check.flagged
            if check.flagged:
                print(track.name, host, check.sounds_like, check.bleed, flush=True)
            for name in SOURCES:
                if name != host:
                    swapped = check_stem(model, track.name, name, audio)
                    counts["swapped"] += 1
                    counts["swaps found"] += swapped.sounds_like == host
                    break
            for guest, other in sounding.items():
                if guest == host:
                    continue
                gain = np.sqrt(np.mean(audio**2) / np.mean(other**2))
                for level in levels:
                    mixed = (audio + gain * 10 ** (level / 20) * other).astype(np.float32)
                    check = check_stem(model, track.name, host, mixed)
                    hit = check.sounds_like == guest or any(bleed.source == guest for bleed in check.bleed)
                    planted[level] += 1
                    found[level] += hit
                    total, hits = by_guest[guest][level]
                    by_guest[guest][level] = (total + 1, hits + hit)
        print(track.name, counts, planted, found, flush=True)
    print(by_guest)


if __name__ == "__main__":
    main()
