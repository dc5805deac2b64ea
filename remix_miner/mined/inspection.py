"""Inspection of a mined folder: totals per source, and a check of every shard against the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.checkpoint import sha256_of_file
from remix_miner.errors import DataError
from remix_miner.mined.catalogue_db import CATALOGUE_NAME, reading_errors
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.shards.files import shard_path, shard_paths, temporary_paths
from remix_miner.mined.shards.reader import Shard
from remix_miner.mined.uncompared import uncompared_tracks
from remix_miner.sources import SOURCES


@dataclass
class Inspection:
    """Result of `inspect_folder`. ``damage`` needs a repair; ``remarks`` are harmless."""

    folder: Path
    catalogued: bool
    sources: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of each source: live excerpts, tracks they come from, seconds, shards, bytes."""
    tracks: dict[str, int] = field(default_factory=dict)
    """Number of tracks by status."""
    seconds_scanned: float = 0.0
    troubles: list[tuple[str, str, str]] = field(default_factory=list)
    """(track, status, what was wrong)."""
    runs: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    shards: int = 0
    unread_bytes: int = 0
    """Of audio in the shards that no reader takes: of copies, and of files that have changed since."""
    verified: bool = False
    """Whether every byte was read and compared."""

    @property
    def quarantined(self) -> list[tuple[str, str]]:
        """Return the files that could not be scanned at all, each with the reason."""
        return [(track, error) for track, status, error in self.troubles if status != "done"]


def inspect_folder(
    folder: Path, *, verify: bool = False, on_shard: Callable[[int], None] = lambda total: None
) -> Inspection:
    """Check a mined folder: open each shard and compare its table with its audio and with the catalogue.

    ``verify`` also reads every shard whole and compares its SHA-256 with the catalogue's. ``on_shard`` is called after
    each shard with the number of all shards. A folder of shards without a catalogue works, too. Raises `DataError` for
    a folder without shards and catalogue.
    """
    if not (folder / CATALOGUE_NAME).is_file():
        return _inspect_shards_alone(folder, on_shard)
    with reading_errors(folder / CATALOGUE_NAME), CatalogueView.read(folder) as catalogue:
        inspection = Inspection(folder, catalogued=True, verified=verify)
        known, harvest = catalogue.shards(), catalogue.harvest()
        inspection.sources = {
            source: {
                **{"excerpts": 0, "tracks": 0, "seconds": 0.0},
                **harvest.get(source, {}),
                "shards": sum(shard["source"] == source for shard in known.values()),
                "bytes": sum(shard["bytes"] for shard in known.values() if shard["source"] == source),
            }
            for source in SOURCES
            if source in harvest or any(shard["source"] == source for shard in known.values())
        }
        inspection.tracks = catalogue.track_counts()
        inspection.seconds_scanned = catalogue.seconds_scanned()
        inspection.troubles = catalogue.troubles()
        inspection.runs = catalogue.runs
        inspection.settings = catalogue.settings
        inspection.shards = len(known)
        inspection.unread_bytes = catalogue.unread_bytes()
        if new := uncompared_tracks(catalogue.database):
            inspection.remarks.append(
                f"{len(new)} tracks are not yet compared for copies: a scan is going on, or was interrupted; the same "
                "command completes it"
            )
        for name, facts in known.items():
            path = shard_path(folder, name)
            inspection.damage += _check(path, facts, catalogue.excerpt_places(name), verify)
            on_shard(len(known))
    if inspection.settings.get("labels_only"):
        inspection.remarks.append("mined without audio (detect --no-audio); remine cuts it")
    unknown = [path.name for path in shard_paths(folder) if path.name not in known]
    if unknown:
        inspection.remarks.append(
            f"{len(unknown)} shards are not in the catalogue ({unknown[0]}...): a scan is going on, or was killed; the "
            "next one removes them"
        )
    if left := temporary_paths(folder):
        inspection.remarks.append(f"{len(left)} temporary files: a scan is going on, or was killed")
    return inspection


def _check(path: Path, facts: dict[str, Any], places: np.ndarray, verify: bool) -> list[str]:
    """Return the problems of one shard; ``places``: (start_frame, frames) of its excerpts in the catalogue."""
    name = f"shards/{path.name}"
    if not path.is_file():
        return [f"{name} is missing; copy it, or run `remix-miner detect` again: its tracks are then scanned anew"]
    if (size := path.stat().st_size) != facts["bytes"]:
        return [f"{name} has {size} bytes, the catalogue states {facts['bytes']}; {_WAY_OUT}"]
    try:
        with Shard(path) as shard:
            found = [f"{name}: {problem}; {_WAY_OUT}" for problem in shard.problems()]
            stored = np.stack([shard.excerpts["start_frame"], shard.excerpts["frames"]], axis=1)
            if shard.source != facts["source"] or len(stored) != facts["excerpts"]:
                found.append(
                    f"{name} holds {len(stored)} excerpts without {shard.source}, the catalogue states "
                    f"{facts['excerpts']} without {facts['source']}; {_WAY_OUT}"
                )
            elif lost := {tuple(row) for row in places.tolist()} - {tuple(row) for row in stored.tolist()}:
                found.append(f"{name} lacks {len(lost)} excerpts that the catalogue places in it; {_WAY_OUT}")
    except DataError as error:
        return [str(error)]
    if verify and not found and (digest := sha256_of_file(path)) != facts["sha256"]:
        found.append(f"{name} has SHA-256 {digest[:12]}..., the catalogue states {facts['sha256'][:12]}...; {_WAY_OUT}")
    return found


_WAY_OUT = "delete it and run `remix-miner detect` again: its tracks are then scanned anew"


def _inspect_shards_alone(folder: Path, on_shard: Callable[[int], None]) -> Inspection:
    inspection = Inspection(folder, catalogued=False)
    paths = shard_paths(folder)
    if not paths:
        raise DataError(f"{folder} holds neither catalogue nor shards; name a folder written by `remix-miner detect`")
    tracks: dict[str, set[bytes]] = {}
    for path in paths:
        try:
            with Shard(path) as shard:
                row = inspection.sources.setdefault(
                    shard.source, {"excerpts": 0, "tracks": 0, "seconds": 0.0, "shards": 0, "bytes": 0}
                )
                row["excerpts"] += len(shard.excerpts)
                row["seconds"] += shard.frames / shard.sample_rate
                row["shards"] += 1
                row["bytes"] += path.stat().st_size
                tracks.setdefault(shard.source, set()).update(shard.excerpts["track"].tolist())
                inspection.damage += [f"shards/{path.name}: {problem}" for problem in shard.problems()]
        except DataError as error:
            inspection.damage.append(str(error))
        on_shard(len(paths))
    for source, names in tracks.items():
        inspection.sources[source]["tracks"] = len(names)
    inspection.sources = {source: inspection.sources[source] for source in SOURCES if source in inspection.sources}
    inspection.shards = len(paths)
    inspection.remarks.append(f"there is no {CATALOGUE_NAME}: reviews, failures and SHA-256 are unknown")
    return inspection
