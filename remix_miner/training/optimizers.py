"""Optimisers by name, and the learning rate as a function of the epoch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from remix_miner.config import Bounds, Settings
from remix_miner.errors import UsageError


@dataclass(frozen=True)
class OptimizerSettings(Settings):
    """Défossez et al. 2019, section 5.2: Adam at 5e-4, 'decaying [...] every 160 epochs by a factor of 5'."""

    name: str = "adam"
    learning_rate: Annotated[float, Bounds(above=0, most=10)] = 5e-4
    decay_every_epochs: Annotated[int, Bounds(0, 1_000_000)] = 160  # 0: never
    decay: Annotated[float, Bounds(above=0, most=1)] = 0.2
    betas: Annotated[tuple[float, float], Bounds(0, below=1)] = (0.9, 0.999)  # of adam and adamw
    weight_decay: Annotated[float, Bounds(0, 10)] = 0.0
    clip_norm: Annotated[float, Bounds(above=0, most=1_000_000)] | None = (
        None  # bound on the norm of all gradients together
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name not in OPTIMIZERS:
            raise UsageError(f"unknown optimizer.name {self.name!r}; choose among {', '.join(OPTIMIZERS)}")


Factory = Callable[[list[Parameter], OptimizerSettings, float], Optimizer]

OPTIMIZERS: dict[str, Factory] = {
    "adam": lambda parameters, settings, rate: torch.optim.Adam(
        parameters, lr=rate, betas=settings.betas, weight_decay=settings.weight_decay
    ),
    "adamw": lambda parameters, settings, rate: torch.optim.AdamW(
        parameters, lr=rate, betas=settings.betas, weight_decay=settings.weight_decay
    ),
    "rmsprop": lambda parameters, settings, rate: torch.optim.RMSprop(
        parameters, lr=rate, weight_decay=settings.weight_decay
    ),
}


def build_optimizer(parameters: Iterable[Parameter], settings: OptimizerSettings, rate_ratio: float = 1.0) -> Optimizer:
    """Return an optimiser over the parameters that are trained, at ``rate_ratio`` times the settings' learning rate."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return OPTIMIZERS[settings.name](trained, settings, rate_ratio * settings.learning_rate)


def learning_rate(settings: OptimizerSettings, epoch: int) -> float:
    """Return the main learning rate in epoch 0, 1, 2, ...

    >>> learning_rate(OptimizerSettings(), 159), round(learning_rate(OptimizerSettings(), 160), 7)
    (0.0005, 0.0001)
    """
    if not settings.decay_every_epochs:
        return settings.learning_rate
    return settings.learning_rate * settings.decay ** (epoch // settings.decay_every_epochs)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate from the next step on."""
    group: dict[str, Any]
    for group in optimizer.param_groups:
        group["lr"] = rate
