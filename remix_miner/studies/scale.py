"""The scale of a study: the model, the length of training and the amount of test music, as one TOML file.

`cpu` and `gpu` are built in (`remix_miner/studies/scales`). A copy of either file, changed, is a scale of one's own.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from remix_miner.config import Bounds, Seed, Settings, from_mapping
from remix_miner.errors import UsageError
from remix_miner.settings_files import read_toml
from remix_miner.studies.plan import Arm
from remix_miner.training.settings import TrainingSettings

SCALES = Path(__file__).parent / "scales"
Updates = Annotated[int, Bounds(1, 10**9)]


@dataclass(frozen=True)
class Scale(Settings):
    """``updates``: optimiser steps of a run. ``seeds``: runs of each arm. ``test_seconds``: from the middle of a song.

    ``folds``: parts into which the artists are dealt where the corpus has no split 'test'; each seed tests one part.
    ``training``: settings of `remix-miner train` that all arms share. ``studies``: for single studies, other values of
    ``updates``, ``seeds``, ``test_seconds`` and ``training``, whose tables (``mixing``, ``separator``, ...) replace
    those of all.
    ``options``: what only one study uses, such as `remix_miner.studies.papers.kuielab.MixerOptions`.
    """

    name: str
    updates: Updates
    seeds: tuple[int, ...]
    training: dict[str, Any]
    test_seconds: Annotated[float, Bounds(above=0, most=1e6)] = 30.0
    folds: Annotated[int, Bounds(2, 1000)] = 3
    split_seed: Seed = 0
    studies: dict[str, dict[str, Any]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def for_study(self, name: str) -> "Scale":
        """Return the scale with the values of one study."""
        own = self.studies.get(name, {})
        unknown = set(own) - {"updates", "seeds", "test_seconds", "training", "options"}
        if unknown:
            raise UsageError(f"[studies.{name}] of the scale {self.name} has no {', '.join(sorted(unknown))}")
        return replace(
            self,
            updates=own.get("updates", self.updates),
            seeds=tuple(own.get("seeds", self.seeds)),
            test_seconds=own.get("test_seconds", self.test_seconds),
            training={**self.training, **own.get("training", {})},
            options={**self.options, **own.get("options", {})},
            studies={},
        )

    @property
    def model(self) -> dict[str, Any]:
        """Settings of the separator, among them its sample rate and channels."""
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
        fixed: dict[str, Any] = {"epochs": 1, "steps_per_epoch": self.updates, "seed": seed}
        values = merged(merged(self.training, arm.settings), {**fixed, "validation": {"every_epochs": 0}})
        if not arm.remixed:
            values = merged(values, {"remix": {"probability": 0.0}})
        if arm.unique_share is not None:
            mixes = max(round(arm.unique_share * self.updates * int(values["batch_size"])), 1)
            values = merged(values, {"mixing": {"unique_mixes": mixes}})
        if arm.music_share is not None:
            stride = float(values["segment_seconds"]) / arm.music_share
            values = merged(values, {"mixing": {"order": "extracts", "stride_seconds": stride}})
        if arm.width is not None:
            channels = round(arm.width * int(values["separator"]["settings"]["channels"]))
            values = merged(values, {"separator": {"settings": {"channels": channels}}})
        return from_mapping(TrainingSettings, values)


def load_scale(name: str) -> Scale:
    """Return a built-in scale or one from a TOML file; `UsageError` names what is wrong with it."""
    path = SCALES / f"{name}.toml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in SCALES.glob("*.toml")))
        raise UsageError(f"--scale is {known} or a TOML file; {name!r} is neither")
    return from_mapping(Scale, read_toml(path))


def merged(first: Any, second: Any) -> dict[str, Any]:
    """Return two nested mappings as one; the second one decides, and another separator takes no settings over."""
    result = dict(first)
    for name, value in second.items():
        before = result.get(name)
        if not isinstance(value, dict) or not isinstance(before, dict):
            result[name] = value
            continue
        other = name == "separator" and value.get("name", before.get("name")) != before.get("name")
        result[name] = value if other else merged(before, value)
    return result
