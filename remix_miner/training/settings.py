"""Settings of a separator's training run, as recipes state them, in sections."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from remix_miner.config import Bounds, Renamed, Seed, Settings
from remix_miner.errors import UsageError
from remix_miner.runs.precision import Precision
from remix_miner.sources import SOURCES
from remix_miner.training.batches.augment import AugmentSettings
from remix_miner.training.batches.mixing import MixingSettings
from remix_miner.training.batches.rests import RemixSettings
from remix_miner.training.losses import loss_function
from remix_miner.training.optimizers import OptimizerSettings
from remix_miner.training.remix import RemixStepSettings


@dataclass(frozen=True)
class SeparatorSettings(Settings):
    """Name of the separator, and constructor settings beside its defaults."""

    name: str = "demucs"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EmaSettings(Settings):
    """Averaged model, validated beside the trained one. Later Demucs: 0.9995 and 0.9999 per batch."""

    decay: Annotated[float, Bounds(0, below=1)] = 0.999  # 0: no averaged model


@dataclass(frozen=True)
class ValidationSettings(Settings):
    """uSDR on whole songs that are not trained on. The best model by it is kept."""

    every_epochs: Annotated[int, Bounds(0, 1_000_000)] = 1  # 0: never; then the last model is kept
    held_out: Annotated[float, Bounds(0, below=1)] = 0.15  # share of the artists, where stems have no split 'valid'
    budget_seconds: Annotated[float, Bounds(above=0, most=1e9)] = 600.0  # per model; songs beyond it are left out
    seconds_per_track: Annotated[float, Bounds(above=0, most=1e9)] | None = None  # from the middle of each song
    overlap: Annotated[float, Bounds(0, below=1)] = 0.25
    shifts: Annotated[int, Bounds(0, 1000)] = 0


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """Settings of a run. The defaults are those of Défossez et al. 2019, section 5.2, and an averaged model."""

    separator: SeparatorSettings = field(default_factory=SeparatorSettings)
    mixing: MixingSettings = field(default_factory=MixingSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    excerpts: RemixSettings = field(default_factory=RemixSettings)
    target: str | None = None  # train this source against the rest; see `remix_miner.training.targets`
    remix: RemixStepSettings = field(default_factory=RemixStepSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    ema: EmaSettings = field(default_factory=EmaSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    seed: Seed = 0
    split_seed: Seed | None = None  # of the artists held out; None: seed
    epochs: Annotated[int, Bounds(1, 1_000_000)] = 400
    steps_per_epoch: Annotated[int, Bounds(0, 1_000_000_000)] = 0  # 0: as many as the mixes of an epoch need
    batch_size: Annotated[int, Bounds(0, 65536), Renamed({"auto": 0})] = 128  # per step, all processes and parts
    accumulate: Annotated[int, Bounds(1, 65536)] = 1  # parts of a step, to save memory; a remix step is one such part
    segment_seconds: Annotated[float, Bounds(above=0, most=3600)] | None = None  # of the estimates; None: the model's
    corpus_weights: Annotated[
        tuple[float, ...], Bounds(0, 1_000_000)
    ] = ()  # share of each --stems folder; none: by its songs
    resample: bool = False  # bring songs and excerpts of another rate or channel count to the model's
    loss: str = "l1"
    loss_quantile: Annotated[float, Bounds(above=0, most=1)] = 1.0  # per part and source, only examples up to here
    precision: Precision = "float32"
    check_memory: bool = True  # refuse a batch that does not fit into memory, before the first step
    log_every_steps: Annotated[int, Bounds(1, 1_000_000_000)] = 10
    checkpoint_every_steps: Annotated[int, Bounds(1, 1_000_000_000)] = 1000  # also every ten minutes and each epoch

    def __post_init__(self) -> None:
        super().__post_init__()
        loss_function(self.loss)
        if self.target is not None and self.target not in SOURCES:
            raise UsageError(f"target is one of {', '.join(SOURCES)}, got {self.target!r}")
        if self.target and self.excerpts.weigh_by_volume:
            raise UsageError("excerpts.weigh_by_volume weighs remix steps; a run with a target has none")
        if self.remix.teacher_weight and not self.ema.decay:
            raise UsageError("remix.teacher_weight needs the averaged model as a teacher: set ema.decay, such as 0.999")

    def items_per_part(self, world_size: int) -> int:
        """Return the examples that one process computes at once; `UsageError` when they cannot be shared out evenly."""
        items, left = divmod(self.batch_size, world_size * self.accumulate)
        if left or not items:
            raise UsageError(
                f"batch_size {self.batch_size} cannot be shared by {world_size} processes x accumulate "
                f"{self.accumulate}; change one of them"
            )
        return items
