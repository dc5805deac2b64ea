"""Settings of the experiment: one TOML file a scale."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remix_miner.config import from_mapping
from remix_miner.training.settings import TrainingSettings


@dataclass(frozen=True)
class Scale:
    """``training``: settings of `remix-miner train` that all arms share, the target among them.

    ``updates``: optimiser steps of every arm but the ceiling, which takes ``ceiling_updates`` and is scored after each
    multiple of ``updates``. ``share``: of the examples that excerpts make, in the arms that have excerpts.
    ``dose_minutes``: smaller libraries. ``contaminations``: shares of the excerpts in which the target sounds.
    ``test_seconds``: from the middle of each test song.
    """

    name: str
    updates: int
    ceiling_updates: int
    share: float
    seeds: tuple[int, ...]
    dose_minutes: tuple[float, ...]
    contaminations: tuple[float, ...]
    test_seconds: float
    training: dict[str, Any]
    channels: int = 1
    folds: int = 12

    @property
    def sample_rate(self) -> int:
        return int(self.training["separator"]["settings"]["sample_rate"])

    @property
    def target(self) -> str:
        return str(self.training["target"])

    def run_settings(self, seed: int, epochs: int = 1) -> TrainingSettings:
        """Settings of a run: epochs of ``updates`` steps, no validation, so that the last weights count."""
        fixed = {"epochs": epochs, "steps_per_epoch": self.updates, "seed": seed, "resample": True}
        parts = {"excerpts": {"share": self.share}, "validation": {"every_epochs": 0}}
        return from_mapping(TrainingSettings, {**self.training, **fixed, **parts})


def load_scale(path: Path) -> Scale:
    return from_mapping(Scale, tomllib.loads(path.read_text(encoding="utf-8")))
