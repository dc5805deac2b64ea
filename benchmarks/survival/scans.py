"""Scans of generated noise in which every valid span is mined, and the content of the mined folder.

The built-in detector scans with thresholds of 0, so that every song gives excerpts: what is mined has no meaning here,
and the storing path is always taken.
"""

import dataclasses
import hashlib
import time
from pathlib import Path

import numpy as np
import soundfile

from remix_miner.detector.description import describe_detector
from remix_miner.duplicates.scan_filter import ScanFilter
from remix_miner.errors import DataError
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.inspection import inspect_folder
from remix_miner.mined.shards.files import shard_paths, temporary_paths
from remix_miner.mined.shards.reader import Shard
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.report import ScanReport
from remix_miner.mining.settings import BatchLimits
from remix_miner.sources import MINED_SOURCES, SOURCES

RATE = 16_000
STEM_RATE = 8_000
Harvest = dict[tuple[str, str, int], str]


def write_songs(folder: Path, count: int, seconds: float) -> Path:
    """Write songs of noise whose level changes every half second."""
    folder.mkdir()
    for number in range(count):
        soundfile.write(folder / f"{number:03d}.wav", noise(number, seconds), RATE)
    return folder


def noise(seed: int, seconds: float) -> np.ndarray:
    generator = np.random.default_rng(seed)
    levels = np.repeat(generator.uniform(0.02, 0.3, int(2 * seconds) + 1), RATE // 2)[: int(seconds * RATE), None]
    return generator.normal(0, 1, (int(seconds * RATE), 2)) * levels


def write_stems(folder: Path, songs: int, seconds: float, rate: int = STEM_RATE) -> Path:
    """Write labelled songs whose stems are noise."""
    for song in range(songs):
        for place, source in enumerate(SOURCES):
            path = folder / f"Artist {song} - Song" / f"{source}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, noise(10 * song + place, seconds)[: int(rate * seconds)], rate, subtype="FLOAT")
    return folder


def scan(library: Path, out: Path, workers: int, rate: int = RATE, duplicates: bool = True) -> ScanReport:
    """Scan so that every valid span is mined. Waits where a killed scan still holds the folder."""
    calibration = describe_detector().calibration
    assert calibration is not None
    sources = {
        name: dataclasses.replace(source, threshold=0.0 if name in MINED_SOURCES else None)
        for name, source in calibration.sources.items()
    }
    settings = MineSettings(
        calibration=dataclasses.replace(calibration, sources=sources, fused={}),
        min_seconds=1.0,
        sample_rate=rate,
        engine=Engine(workers=workers),
        retry_failed=True,
        scan_filter=ScanFilter(out, duplicates=duplicates),
        limits=BatchLimits(excerpts=4),
    )
    while True:
        try:
            return mine([library], out, settings)
        except DataError as error:
            if "in use" not in str(error):
                raise
            time.sleep(0.02)


def harvest(out: Path) -> Harvest:
    """Return a hash of each live excerpt's audio; fails where anything in the folder is broken, unknown or doubled."""
    damage = inspect_folder(out, verify=True).damage
    assert not damage, damage
    assert not temporary_paths(out)
    found: Harvest = {}
    with CatalogueView.read(out) as catalogue:
        rows = catalogue.database.execute(
            "SELECT path, source, start_seconds, shard, shard_start FROM excerpts JOIN tracks ON tracks.id = track_id "
            "WHERE review IS NULL"
        ).fetchall()
    shards = {path.name: Shard(path) for path in shard_paths(out)}
    for track, source, start, name, first in rows:
        (row,) = np.flatnonzero(shards[name].excerpts["start_frame"] == first)
        audio = shards[name].read(int(row))
        peak = float(np.abs(audio).max())
        assert 0 < peak < np.inf, (track, source, start)
        key = (track, source, round(1000 * start))
        assert key not in found, key
        found[key] = hashlib.sha256(audio.tobytes()).hexdigest()
    return found
