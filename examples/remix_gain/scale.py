"""Settings of the experiment: one TOML file a scale, which also states its runs and their order."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remix_miner.config import from_mapping
from remix_miner.training.settings import TrainingSettings


@dataclass(frozen=True)
class Block:
    """Runs of ``arms`` for one target with the labelled songs ``folds[0]`` to ``folds[1]`` - 1, fold by fold.

    Arms are named in `arms`, labelled songs are numbered by `songs.folds`.
    """

    target: str
    arms: tuple[str, ...]
    folds: tuple[int, int]
    seed: int = 0


@dataclass(frozen=True)
class Scale:
    """``training``: settings of `remix-miner train` that all runs share, without the target.

    ``updates``: optimiser steps of every arm but the ceiling, which takes ``ceiling_updates`` and is scored after each
    multiple of ``updates``. ``share``: of the examples that excerpts make, in the arms that have excerpts.
    ``test_seconds``: from the middle of each test song. ``blocks``: the runs, the most important first.
    """

    name: str
    updates: int
    ceiling_updates: int
    share: float
    test_seconds: float
    training: dict[str, Any]
    blocks: tuple[Block, ...]
    channels: int = 1

    @property
    def sample_rate(self) -> int:
        return int(self.training["separator"]["settings"]["sample_rate"])

    def run_settings(self, target: str, seed: int, epochs: int = 1, by_track: bool = False) -> TrainingSettings:
        """Settings of a run: epochs of ``updates`` steps, no validation, so that the last weights count."""
        separator = self.training["separator"]
        separator = {**separator, "settings": {**separator["settings"], "sources": [target]}}
        fixed = {"epochs": epochs, "steps_per_epoch": self.updates, "seed": seed, "resample": True}
        excerpts = {"share": self.share, "draw_by": "tracks" if by_track else "seconds"}
        parts = {"target": target, "separator": separator, "excerpts": excerpts, "validation": {"every_epochs": 0}}
        return from_mapping(TrainingSettings, {**self.training, **fixed, **parts})


def load_scale(path: Path) -> Scale:
    return from_mapping(Scale, tomllib.loads(path.read_text(encoding="utf-8")))
