"""All settings of a training run, as recipes state them: one section for each thing that can be changed on its own."""

from dataclasses import dataclass, field
from typing import Any, Literal

from remix_miner.errors import UsageError
from remix_miner.training.batches.augment import AugmentSettings
from remix_miner.training.batches.mixing import MixingSettings
from remix_miner.training.batches.samplers import RemixSettings
from remix_miner.training.losses import loss_function
from remix_miner.training.optimizers import OptimizerSettings
from remix_miner.training.remix import RemixStepSettings

Precision = Literal["float32", "bf16", "fp16"]


@dataclass(frozen=True)
class SeparatorSettings:
    """Which separator, and what its constructor is given beyond its defaults."""

    name: str = "demucs"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EmaSettings:
    """The averaged model, which is validated beside the trained one. Later Demucs: 0.9995 and 0.9999 per batch."""

    decay: float = 0.999  # 0: no averaged model

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise UsageError(f"ema.decay must be at least 0 and below 1, got {self.decay}")


@dataclass(frozen=True)
class ValidationSettings:
    """uSDR on whole songs that are not trained on. The best model by it is the one that is kept."""

    every_epochs: int = 1  # 0: never; then the last model is kept
    held_out: float = 0.15  # share of the artists to hold out where the stems have no split 'valid'
    budget_seconds: float = 600.0  # per validation of one model; songs that do not fit in are left out from then on
    seconds_per_track: float | None = None  # only so much from the middle of each song
    overlap: float = 0.25
    shifts: int = 0

    def __post_init__(self) -> None:
        if self.every_epochs < 0 or not 0 <= self.held_out < 1 or not self.budget_seconds > 0:
            raise UsageError("validation: every_epochs >= 0, 0 <= held_out < 1 and budget_seconds > 0 are needed")
        if self.seconds_per_track is not None and not self.seconds_per_track > 0:
            raise UsageError(f"validation.seconds_per_track must be above 0, got {self.seconds_per_track}")


@dataclass(frozen=True)
class TrainingSettings:
    """A run. The defaults are those of Défossez et al. 2019, section 5.2, and an averaged model beside."""

    separator: SeparatorSettings = field(default_factory=SeparatorSettings)
    mixing: MixingSettings = field(default_factory=MixingSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    excerpts: RemixSettings = field(default_factory=RemixSettings)
    remix: RemixStepSettings = field(default_factory=RemixStepSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    ema: EmaSettings = field(default_factory=EmaSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    seed: int = 0
    epochs: int = 400
    steps_per_epoch: int = 0  # 0: as many as the mixes of an epoch need
    batch_size: int = 128  # examples per step, over all processes and accumulated parts
    accumulate: int = 1  # parts that a step is computed in, to save memory; a remix step takes the examples of one
    segment_seconds: float | None = None  # of the estimates; None: what the separator is meant for
    corpus_weights: tuple[float, ...] = ()  # relative share of each --stems folder; none: by its number of songs
    resample: bool = False  # bring songs and excerpts of another rate or channel count to the model's
    loss: str = "l1"
    loss_quantile: float = 1.0  # below 1: per part and source, only examples at or below this quantile of the loss
    precision: Precision = "float32"
    log_every_steps: int = 10
    checkpoint_every_steps: int = 1000  # and at the end of each epoch

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "log_every_steps", "checkpoint_every_steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.steps_per_epoch < 0 or self.seed < 0:
            raise UsageError("steps_per_epoch and seed must be 0 or more")
        if self.segment_seconds is not None and not self.segment_seconds > 0:
            raise UsageError(f"segment_seconds must be above 0, got {self.segment_seconds}")
        if not 0 < self.loss_quantile <= 1:
            raise UsageError(f"loss_quantile must be in (0, 1], got {self.loss_quantile}")
        loss_function(self.loss)
        if self.remix.teacher_weight and not self.ema.decay:
            raise UsageError("remix.teacher_weight needs the averaged model as a teacher: set ema.decay, such as 0.999")

    def items_per_part(self, world_size: int) -> int:
        """Examples that one process computes at once; `UsageError` when they cannot be shared out evenly."""
        items, left = divmod(self.batch_size, world_size * self.accumulate)
        if left or not items:
            raise UsageError(
                f"batch_size {self.batch_size} cannot be shared by {world_size} processes x accumulate "
                f"{self.accumulate}; change one of them"
            )
        return items
