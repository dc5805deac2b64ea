"""An exponential moving average of a model's weights, corrected for its start."""

import copy
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from remix_miner.errors import UsageError

Model = TypeVar("Model", bound=nn.Module)


class Ema(Generic[Model]):
    """After n updates: sum_k decay^(n-k) w_k / sum_k decay^(n-k), in place of an average that starts at random weights.

    `model` is the average, in evaluation mode and without gradients. Buffers that hold real numbers (batch norm's
    statistics) are averaged too, others copied.
    """

    def __init__(self, model: Model, decay: float) -> None:
        if not 0 < decay < 1:
            raise UsageError(f"ema.decay must lie between 0 and 1, got {decay}; for no average set it to 0")
        self.decay = decay
        self.updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Take the model's present weights into the average."""
        self.updates += 1
        weight = (1 - self.decay) / (1 - self.decay**self.updates)
        averages, currents = [], []
        for average, current in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if average.is_floating_point():
                averages.append(average)
                currents.append(current)
            else:
                average.copy_(current)
        torch._foreach_lerp_(averages, currents, weight)

    def state_dict(self) -> dict[str, Any]:
        return {"decay": self.decay, "updates": self.updates, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.decay = state["decay"]
        self.updates = state["updates"]
        self.model.load_state_dict(state["model"])
