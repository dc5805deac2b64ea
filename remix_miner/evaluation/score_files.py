"""Score one track from files: what a scoring process runs. It imports torch only for BSSEval."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.datasets.tracks import StemTrack
from remix_miner.evaluation.estimates import read_estimate
from remix_miner.evaluation.scores import score_track

Files = Mapping[str, Path]
"""Source -> file of its estimate."""


def score_files(track: StemTrack, files: Files, sources: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    """The row of one track in a result."""
    estimates = np.stack(
        [read_estimate(files[source], track.sample_rate, track.channels, track.frames) for source in sources]
    )
    references = track.read(sources=sources)
    scores = score_track(references, estimates, track.read_mixture(), sources, track.sample_rate, metrics)
    return {"name": track.name, "seconds": round(track.seconds, 3), "sources": scores}
