"""The scale of a study: the model, the length of training and the amount of test music, as one TOML file.

`cpu` and `gpu` are built in (`remix_miner/studies/scales`). A copy of either file, changed, is a scale of one's own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from remix_miner.config import Bounds, Settings, from_mapping, read_toml
from remix_miner.errors import UsageError
from remix_miner.studies.plan import Arm
from remix_miner.training.settings import TrainingSettings

SCALES = Path(__file__).parent / "scales"


@dataclass(frozen=True)
class Scale(Settings):
    """``updates``: optimiser steps of a run. ``seeds``: runs of each arm. ``test_seconds``: from the middle of a song.

    ``test_share``: share of the artists that are held out where the corpus has no split 'test'. ``training``:
    settings of `remix-miner train` that all arms share.
    """

    name: str
    updates: Annotated[int, Bounds(1, 10**9)]
    seeds: tuple[int, ...]
    training: dict[str, Any]
    test_seconds: Annotated[float, Bounds(above=0, most=1e6)] = 30.0
    test_share: Annotated[float, Bounds(above=0, below=1)] = 0.34
    split_seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0

    @property
    def model(self) -> dict[str, Any]:
        """Settings of the separator that say at which rate and with how many channels it works."""
        settings: dict[str, Any] = self.training.get("separator", {}).get("settings", {})
        return settings

    @property
    def sample_rate(self) -> int:
        return int(self.model.get("sample_rate", 44100))

    @property
    def channels(self) -> int:
        return int(self.model.get("audio_channels", 2))

    def settings_of(self, arm: Arm, seed: int) -> TrainingSettings:
        """Return the training settings of one run: one epoch of ``updates`` steps, no validation."""
        fixed = {"epochs": 1, "steps_per_epoch": self.updates, "seed": seed, "validation": {"every_epochs": 0}}
        merged = _merged(_merged(self.training, arm.settings), fixed)
        if arm.unique_share is not None:
            mixes = max(round(arm.unique_share * self.updates * int(merged["batch_size"])), 1)
            merged = _merged(merged, {"mixing": {"unique_mixes": mixes}})
        return from_mapping(TrainingSettings, merged)


def load_scale(name: str) -> Scale:
    """Return a built-in scale or one from a TOML file; `UsageError` names what is wrong with it."""
    path = SCALES / f"{name}.toml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in SCALES.glob("*.toml")))
        raise UsageError(f"--scale is {known} or a TOML file; {name!r} is neither")
    return from_mapping(Scale, read_toml(path))


def _merged(first: Any, second: Any) -> dict[str, Any]:
    """Two nested mappings as one; the second one decides."""
    merged = dict(first)
    for name, value in second.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged
