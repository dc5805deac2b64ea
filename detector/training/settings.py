"""Settings of a detector's training, and the learning rate at each step."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np

from remix_miner.config import AN_HOUR, LEVEL_DB, PROBABILITY, Bounds, Seed, Settings
from remix_miner.detector.features import Level
from remix_miner.detector.networks import Network
from remix_miner.detector.training.mixing import DetectorMixingSettings
from remix_miner.runs.precision import Precision
from remix_miner.volume import SILENT_TRAINING_DB

Count = Annotated[int, Bounds(1, 1_000_000_000)]


@dataclass(frozen=True)
class NetworkSettings(Settings):
    """Constructor settings of `SilentSourceDetector`; None takes the network's own width and hidden size."""

    network: Network = "small"
    width: Annotated[int, Bounds(1, 4096)] | None = None
    hidden: Annotated[int, Bounds(1, 65536)] | None = None
    dropout: Annotated[float, Bounds(0, below=1)] = 0.18
    level: Level = "local"
    level_frames: Annotated[int, Bounds(1, 1_000_000)] = 255
    floor: Annotated[float, Bounds(above=0, most=1)] = 3e-5


@dataclass(frozen=True)
class DetectorTrainingSettings(Settings):
    """Settings of a training run that determine the weights, beside the material.

    The run has ``steps``, or, where that is None, ``epochs`` passes over as many segments as the songs have at
    ``stride_seconds`` (the paper's epoch, section 5.2). ``silent_db``: V_i at or below it is the label 'silent'.
    ``teacher_share``: share of the teacher's probability in a label, where there is a teacher. ``checkpoint_every``
    is in steps; a checkpoint is also written every ten minutes and on Ctrl-C.
    """

    network: NetworkSettings = field(default_factory=NetworkSettings)
    mixing: DetectorMixingSettings = field(default_factory=DetectorMixingSettings)
    steps: Count | None = None
    epochs: Annotated[int, Bounds(1, 1_000_000)] = 40
    stride_seconds: Annotated[float, AN_HOUR] = 0.5
    batch_size: Annotated[int, Bounds(1, 65536)] = 32
    learning_rate: Annotated[float, Bounds(above=0, most=10)] = 5e-4
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_steps: Annotated[int, Bounds(0, 1_000_000_000)] = 100
    weight_decay: Annotated[float, Bounds(0, 10)] = 0.0
    clip_norm: Annotated[float, Bounds(above=0, most=1_000_000)] = 5.0
    ema_decay: Annotated[float, Bounds(0, below=1)] = 0.998
    silent_db: Annotated[float, LEVEL_DB] = SILENT_TRAINING_DB
    teacher_share: Annotated[float, PROBABILITY] = 0.5
    precision: Precision = "float32"
    validate_every: Count = 250
    checkpoint_every: Count = 250
    seed: Seed = 0


def learning_rate(settings: DetectorTrainingSettings, step: int, steps: int) -> float:
    """Return the rate at ``step``: linear warm-up, then constant (the paper's) or half a cosine to zero."""
    warm = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    if settings.schedule == "constant":
        return settings.learning_rate * warm
    return settings.learning_rate * warm * 0.5 * (1 + float(np.cos(np.pi * step / steps)))
