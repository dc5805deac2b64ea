"""Remix Miner: from a folder of unlabelled music to a better source separator.

The data flow, in reading order:

==========================================  ==================================================================
``remix_miner.sources``                     drums, bass, other, vocals: their names and their order
``remix_miner.audio``                       decode, resample, downmix, write
``remix_miner.volume``                      the relative volume V_i of a source in a mixture
``remix_miner.datasets``                    labelled stems, the unlabelled library, synthetic songs, shards
``remix_miner.detector``                    scattering, networks, training, calibration, silent spans
``remix_miner.mining``                      library -> shards: the scan of one file, workers, the catalogue
``remix_miner.separators``                  Demucs and the others behind one interface
``remix_miner.training``                    random mixes, the remix batch, the remix loss, the loop
``remix_miner.evaluation``                  separate, score, ensemble, compare
``remix_miner.commands``                    the verbs of ``remix-miner``
==========================================  ==================================================================

Names below are imported when first used, so ``import remix_miner`` costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

PUBLIC = {
    "SOURCES": "remix_miner.sources",
    "relative_volume_db": "remix_miner.volume",
    "Scattering": "remix_miner.detector.scattering.transform",
    "SilentSourceDetector": "remix_miner.detector.networks",
    "load_detector": "remix_miner.detector.loading",
    "Calibration": "remix_miner.detector.calibration",
    "MinedExcerpts": "remix_miner.mined.excerpts",
    "build": "remix_miner.separators",
    "load_separator": "remix_miner.separators.loading",
}

__all__ = [*PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'remix_miner' has no attribute {name!r}; its public names are {sorted(PUBLIC)}")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
