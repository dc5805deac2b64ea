"""Exponential moving average of a model's weights, without a bias towards the initial weights."""

import copy
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import nn

from remix_miner.errors import UsageError

Model = TypeVar("Model", bound=nn.Module)
Memory = Literal["full", "growing"]


class Ema(Generic[Model]):
    """Averaged copy of a model; `model` is the average, in evaluation mode and without gradients.

    After n updates with weights w_1 ... w_n it is, by ``memory``:

    - ``full``: sum_k decay^(n-k) w_k, divided by the sum of its coefficients. Early weights count in full at first.
    - ``growing``: the decay of update n is min(decay, n / (n + 9)). The average covers the last tenth of a short run,
      so that it follows the fast changes at the start.

    Buffers of real numbers (batch norm's statistics) are averaged too; other buffers are copied.
    """

    def __init__(self, model: Model, decay: float, memory: Memory = "full") -> None:
        if not 0 < decay < 1:
            raise UsageError(f"ema.decay must lie between 0 and 1, got {decay}; for no average set it to 0")
        self.decay = decay
        self.memory = memory
        self.updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Add the model's current weights to the average."""
        self.updates += 1
        averages, currents = [], []
        for average, current in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if average.is_floating_point() and self.updates > 1:
                averages.append(average)
                currents.append(current)
            else:
                average.copy_(current)
        if averages:
            torch._foreach_lerp_(averages, currents, self._weight())

    def _weight(self) -> float:
        """Return the share of the current weights in the average of all updates so far."""
        if self.memory == "growing":
            return 1 - min(self.decay, self.updates / (self.updates + 9))
        return (1 - self.decay) / (1 - self.decay**self.updates)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of updates and the averaged weights."""
        return {"decay": self.decay, "updates": self.updates, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state``."""
        self.decay = state["decay"]
        self.updates = state["updates"]
        self.model.load_state_dict(state["model"])
