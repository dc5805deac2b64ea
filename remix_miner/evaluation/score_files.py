"""Scores of one track, read from files: the job of a scoring process. torch is imported only for BSSEval."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.datasets.tracks import Track
from remix_miner.evaluation.estimates import read_estimate
from remix_miner.evaluation.references import read_reference
from remix_miner.evaluation.scores import score_track

Files = Mapping[str, Path]
"""Source -> file of its estimate."""


def score_files(track: Track, files: Files, sources: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    """Return the row of one track in a result."""
    estimates = np.stack(
        [read_estimate(files[source], track.sample_rate, track.channels, track.frames) for source in sources]
    )
    references = np.stack([read_reference(track, source, sources) for source in sources])
    scores = score_track(references, estimates, track.read_mixture(), sources, track.sample_rate, metrics)
    return {"name": track.name, "seconds": round(track.seconds, 3), "sources": scores}
