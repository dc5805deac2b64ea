"""Remix Miner: from a folder of unlabelled music to a better source separator.

The data flow, in reading order:

===========================  ===============================================================================
``remix_miner.sources``      drums, bass, other, vocals: their names and their order
``remix_miner.audio``        decode, resample, downmix, write
``remix_miner.volume``       the relative volume V_i of a source in a mixture
``remix_miner.datasets``     songs with stems, and the unlabelled library
``remix_miner.synthesis``    generated songs, for tests and demonstrations
``remix_miner.detector``     scattering, networks, training, silent spans
``remix_miner.calibration``  thresholds and what they promise; scores of a detector
``remix_miner.duplicates``   copies of recordings, and test songs to leave out
``remix_miner.mining``       library -> shards: the scan of one file, jobs, the report
``remix_miner.mined``        shards, catalogue and excerpts, where mining and training meet
``remix_miner.separators``   Demucs and the others behind one interface
``remix_miner.training``     random mixes, the remix batch, the remix loss, the loop
``remix_miner.evaluation``   scores, ensembles, leaderboard
``remix_miner.api``          functions for notebooks and scripts
``remix_miner.commands``     the verbs of ``remix-miner``
===========================  ===============================================================================

The names in `PUBLIC` are imported when they are first used, so ``import remix_miner`` itself takes no time.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

PUBLIC = {
    "Detector": "remix_miner.api.detector",
    "scan": "remix_miner.api.scan",
    "separate": "remix_miner.api.separation",
    "evaluate": "remix_miner.api.evaluation",
    "MinedExcerpts": "remix_miner.mined.excerpts",
    "Calibration": "remix_miner.detector.calibration",
    "build": "remix_miner.separators",
    "load_separator": "remix_miner.separators.loading",
    "SOURCES": "remix_miner.sources",
    "relative_volume_db": "remix_miner.volume",
    "Scattering": "remix_miner.detector.scattering.transform",
    "SilentSourceDetector": "remix_miner.detector.networks",
}
"""Public names and the modules that define them. `__init__.pyi` states the same for type checkers."""

__all__ = [*PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'remix_miner' has no attribute {name!r}; its public names are {sorted(PUBLIC)}")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
