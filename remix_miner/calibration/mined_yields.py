"""What remains of a mined folder when thresholds and lengths are made stricter, read from its catalogue alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from remix_miner.calibration.harvest import HarvestRule
from remix_miner.calibration.yields import OperatingPoint
from remix_miner.detector.calibration import Calibration
from remix_miner.errors import DataError
from remix_miner.mined.catalogue_db import LIVE, connect_to_read

MIN_SECONDS = (3.0, 5.0, 8.0, 10.0, 15.0, 20.0)
THRESHOLDS = 8


@dataclass(frozen=True)
class MinedExcerptTable:
    """Per excerpt: seconds, mean and least probability of silence."""

    seconds: Float[np.ndarray, " N"]
    probability_mean: Float[np.ndarray, " N"]
    probability_min: Float[np.ndarray, " N"]


@dataclass(frozen=True)
class Mined:
    """Excerpts per source, seconds of audio scanned, and the detector that found them."""

    excerpts: Mapping[str, MinedExcerptTable]
    seconds: float
    detector_sha256: str


def read_mined(folder: Path) -> Mined:
    """Excerpts that are neither rejected nor superseded; `DataError` when the catalogue holds none, or no run."""
    database = connect_to_read(folder)
    try:
        rows = database.execute(
            f"SELECT source, seconds, probability_mean, probability_min FROM excerpts WHERE {LIVE}"
        ).fetchall()
        (seconds,) = database.execute("SELECT coalesce(sum(seconds), 0) FROM tracks WHERE status = 'done'").fetchone()
        detectors = [sha for (sha,) in database.execute("SELECT DISTINCT detector_sha256 FROM runs")]
    finally:
        database.close()
    if not rows or not detectors:
        raise DataError(f"{folder} holds no excerpts yet: scan a library into it with remix-miner detect")
    excerpts = {}
    for source in {row[0] for row in rows}:
        columns = np.array([row[1:] for row in rows if row[0] == source], dtype=np.float64).T
        excerpts[source] = MinedExcerptTable(*columns)
    return Mined(excerpts, float(seconds), str(detectors[0]))


def mined_points(excerpts: MinedExcerptTable, source: str, calibration: Calibration | None) -> list[OperatingPoint]:
    """Whole excerpts with P_min at or above stricter thresholds, and longer ones.

    A stricter scan would also keep parts of excerpts whose minimum is too low, so this is a lower bound of its
    harvest. ``purity`` and ``volume_p95_db`` are what ``calibration`` expects of the excerpts' mean probabilities
    (None without one); ``recall`` is relative to all that was mined.
    """
    points = []
    lowest = excerpts.probability_min.min()
    thresholds = np.unique([lowest, *np.quantile(excerpts.probability_min, np.linspace(0, 0.9, THRESHOLDS))])
    for threshold in thresholds:
        for min_seconds in MIN_SECONDS:
            kept = (excerpts.probability_min >= threshold) & (excerpts.seconds >= min_seconds - 1e-9)
            seconds = excerpts.seconds[kept]
            purity = volume = None
            if calibration is not None and source in calibration.sources and kept.any():
                means = excerpts.probability_mean[kept]
                silent = np.array([calibration.expected_silent(source, mean) for mean in means])
                volumes = np.array([calibration.expected_volume_db(source, mean) for mean in means])
                purity = float(np.average(silent, weights=seconds))
                volume = float(np.sort(volumes)[int(np.ceil(0.95 * len(volumes))) - 1])
            points.append(
                OperatingPoint(
                    rule=HarvestRule(float(threshold), min_seconds),
                    seconds=float(seconds.sum()),
                    purity=purity,
                    volume_p95_db=volume,
                    recall=float(seconds.sum() / excerpts.seconds.sum()),
                )
            )
    return points
