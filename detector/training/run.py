"""Start of a detector's training run, new or resumed: checks, initial weights, run folder."""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from remix_miner.config import to_mapping
from remix_miner.detector.description import DETECTOR_NAME
from remix_miner.detector.loading import LoadedDetector
from remix_miner.detector.networks import SilentSourceDetector, build_detector
from remix_miner.detector.training.loop import DetectorTraining
from remix_miner.detector.training.material import Material, Song
from remix_miner.detector.training.settings import DetectorTrainingSettings
from remix_miner.errors import DataError, UsageError
from remix_miner.runs.folder import RunFolder
from remix_miner.runs.resuming import require_changeable

CHANGEABLE = ("validate_every", "checkpoint_every")
"""Settings that a resumed run may change; they do not affect the optimiser steps."""


def train_detector(
    material: Material,
    validation_songs: list[Song],
    settings: DetectorTrainingSettings,
    out: str | Path,
    *,
    device: str = "cpu",
    workers: int = 0,
    resume: bool = False,
    initial: LoadedDetector | None = None,
    teacher: LoadedDetector | None = None,
    description: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train into the run folder ``out``, new or resumed, and return the number of steps and best validation areas.

    ``initial``: start from these weights instead of random ones. ``teacher``, ``description``: see `DetectorTraining`.
    Raises `UsageError` when ``out`` holds a run and ``resume`` is not set, or the run to resume has other settings or
    another teacher; `DataError` when its material differs, or a loss is not finite.
    """
    folder = RunFolder(out, kind="detector")
    folder.require_run() if resume else folder.require_new()
    roles = {"initial": initial, "teacher": teacher}
    origins = {role: {"name": found.name, "sha256": found.sha256} for role, found in roles.items() if found is not None}
    if resume:
        _check_same_run(folder, settings, origins, material.fingerprint())
    torch.manual_seed(settings.seed)
    training = DetectorTraining(
        _initial_network(settings, initial),
        material,
        validation_songs,
        settings,
        folder,
        device=torch.device(device),
        teacher=None if teacher is None else teacher.model,
        description={**(description or {}), **origins},
    )
    if resume:
        training.resume()
    data = {"fingerprint": material.fingerprint(), **(description or {})}
    folder.write_description(
        to_mapping(settings), data, {"name": DETECTOR_NAME, "settings": training.model.settings, **origins}, resume
    )
    return training.run(workers)


def _initial_network(settings: DetectorTrainingSettings, initial: LoadedDetector | None) -> SilentSourceDetector:
    model = build_detector(dataclasses.asdict(settings.network))
    if initial is not None:
        if initial.model.settings != model.settings:
            raise UsageError(
                f"{initial.name} has other network settings ({initial.model.settings}) than {model.settings}"
            )
        model.load_state_dict(initial.model.state_dict())
    return model


def _check_same_run(
    folder: RunFolder, settings: DetectorTrainingSettings, origins: dict[str, Any], fingerprint: str
) -> None:
    """Raise an error for a run to resume that has other settings, another teacher or other material."""
    require_changeable(folder, settings, CHANGEABLE)
    before = folder.read_description()
    teachers = [(part.get("teacher") or {}).get("sha256") for part in (before["model"], origins)]
    if teachers[0] != teachers[1]:
        raise UsageError(f"{folder.path} was run with another teacher; name the same one, or choose another --out")
    if before["data"].get("fingerprint") != fingerprint:
        raise DataError(
            f"the material is not what {folder.path} was run with; give the same folders, or choose another --out"
        )
