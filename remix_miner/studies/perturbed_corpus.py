"""A stem corpus whose stems are shifted in time and pitch, written as a test set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from remix_miner.audio import write_audio
from remix_miner.datasets.tracks import StemTrack
from remix_miner.progress import track as progress
from remix_miner.sources import SOURCES
from remix_miner.studies.perturbation import Perturbation, perturb


def write_perturbed(tracks: Sequence[StemTrack], out: Path, perturbation: Perturbation, seed: int) -> list[Path]:
    """Write ``out/[<split>/]<track>/{drums,bass,other,vocals}.wav``, float32; the mixture is the sum of the stems.

    The draws of a song depend on ``seed`` and its name alone. Songs that are there whole are kept; a source that a song
    lacks is written as digital silence.
    """
    folders = []
    for track in progress(tracks, "perturbed songs"):
        folder = out / (track.split or "") / track.name.replace("/", "_")
        folders.append(folder)
        paths = [folder / f"{source}.wav" for source in SOURCES]
        if all(path.is_file() for path in paths):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([seed, *track.name.encode()])
        for path, stem in zip(paths, perturb(track.read(), track.sample_rate, perturbation, rng), strict=True):
            write_audio(path, stem, track.sample_rate)
    return folders
