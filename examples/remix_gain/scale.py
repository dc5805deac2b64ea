"""Settings of the experiment: one TOML file a scale, which also states its runs and their order."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arms import Arm, Variant
from songs import FOUR

from remix_miner.config import from_mapping
from remix_miner.settings_files import load_settings
from remix_miner.sources import SOURCES
from remix_miner.training.settings import TrainingSettings


@dataclass(frozen=True)
class Block:
    """Runs of ``arms`` for one target with the labelled songs ``folds[0]`` to ``folds[1]`` - 1, fold by fold.

    Arms are named in `arms` or among the scale's variants, labelled songs are numbered by `songs.folds`. A ``target``
    is a source, or `songs.FOUR`: all sources, with remix steps.
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
    ``test_seconds``: from the middle of each test song. ``blocks``: the runs, the most important first. ``variants``:
    further arms, by name.
    """

    name: str
    updates: int
    ceiling_updates: int
    share: float
    test_seconds: float
    training: dict[str, Any]
    blocks: tuple[Block, ...]
    channels: int = 1
    variants: dict[str, Variant] = field(default_factory=dict)

    @property
    def sample_rate(self) -> int:
        return int(self.training["separator"]["settings"]["sample_rate"])

    def arm(self, name: str) -> Arm:
        """Return an arm or a variant by its name."""
        return Arm.of(name, self.variants)

    def described(self) -> dict[str, Any]:
        """What `report.py` states of the runs; those of one folder share it."""
        return {"scale": self.name, "updates": self.updates, "share": self.share, "sample_rate": self.sample_rate}

    def run_settings(self, target: str, seed: int, epochs: int, arm: Arm) -> TrainingSettings:
        """Settings of a run: epochs of ``updates`` steps, no validation, so that the last weights count."""
        sources = list(SOURCES) if target == FOUR else [target]
        separator = self.training["separator"]
        separator = {**separator, "settings": {**separator["settings"], "sources": sources}}
        fixed = {"epochs": epochs, "steps_per_epoch": self.updates, "seed": seed, "resample": True}
        excerpts = {"share": self.share, "draw_by": "tracks" if arm.by_track else "seconds"}
        parts: dict[str, Any] = {"separator": separator, "excerpts": excerpts, "validation": {"every_epochs": 0}}
        if target != FOUR:
            parts["target"] = target
        return load_settings(TrainingSettings, None, arm.settings.set, base={**self.training, **fixed, **parts})


def load_scale(path: Path) -> Scale:
    """Read a scale. Where it ``extends`` another file beside it, that one states what it leaves out.

    Settings of all arms are checked.
    """
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    if "extends" in values:
        values = tomllib.loads((path.parent / values.pop("extends")).read_text(encoding="utf-8")) | values
    scale = from_mapping(Scale, values)
    for block in scale.blocks:
        for arm in map(scale.arm, block.arms):
            scale.run_settings(block.target, block.seed, arm.settings.epochs, arm)
    return scale
