"""Separator under training, its average, and an optimiser for each of the two kinds of step."""

import contextlib
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from remix_miner.runs.average import Ema
from remix_miner.runs.precision import autocast, gradient_scaler
from remix_miner.separators.base import Separator
from remix_miner.training.optimizers import build_optimizer, learning_rate, set_learning_rate
from remix_miner.training.run.distributed import Ranks
from remix_miner.training.settings import TrainingSettings


class Learner:
    """A separator under training. ``frames``: length of its estimates; its mixtures have ``context_frames``."""

    def __init__(self, model: Separator, settings: TrainingSettings, ranks: Ranks) -> None:
        self.model = model.to(ranks.device).train()
        self.settings = settings
        self.ranks = ranks
        self.frames = round((settings.segment_seconds or model.segment_seconds) * model.sample_rate)
        self.context_frames = max(self.frames, model.valid_length(self.frames))
        self.network: nn.Module = ranks.wrap(self.model)
        self.ema = Ema(self.model, settings.ema.decay) if settings.ema.decay else None
        self.optimizer = build_optimizer(model.parameters(), settings.optimizer)
        self.remix_optimizer = build_optimizer(
            model.parameters(), settings.optimizer, settings.remix.learning_rate_ratio
        )
        self.scaler = gradient_scaler(ranks.device, settings.precision)

    def start_epoch(self, epoch: int) -> None:
        """Set both learning rates."""
        rate = learning_rate(self.settings.optimizer, epoch)
        set_learning_rate(self.optimizer, rate)
        set_learning_rate(self.remix_optimizer, rate * self.settings.remix.learning_rate_ratio)

    def estimate(
        self, mixture: Float[Tensor, "B C V"], model: nn.Module | None = None, frames: int | None = None
    ) -> Float[Tensor, "B S C T"]:
        """Return estimates of the centre of the mixture, computed in the run's precision, as float32."""
        with autocast(self.ranks.device, self.settings.precision):
            estimates: Tensor = (model or self.network)(mixture, frames or self.frames)
        return estimates.float()

    def backward(self, loss: Float[Tensor, ""]) -> None:
        """Add the gradients of the loss to those of the step."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def part(self, last: bool) -> contextlib.AbstractContextManager[None]:
        """Return the context of a part of a step: ranks average gradients in the last part only."""
        if last or not isinstance(self.network, DistributedDataParallel):
            return contextlib.nullcontext()
        return self.network.no_sync()

    def update(self, optimizer: Optimizer) -> None:
        """Make an optimiser step with the gradients, clipped after their scaling is undone."""
        if self.settings.optimizer.clip_norm is not None:
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.optimizer.clip_norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def update_average(self) -> None:
        """Add the current weights to the averaged model, if there is one."""
        if self.ema is not None:
            self.ema.update(self.model)

    def candidates(self) -> dict[str, Separator]:
        """Return the models that validation chooses between."""
        return {"raw": self.model} | ({"ema": self.ema.model} if self.ema is not None else {})

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "remix_optimizer": self.remix_optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.remix_optimizer.load_state_dict(state["remix_optimizer"])
        self.scaler.load_state_dict(state["scaler"])
