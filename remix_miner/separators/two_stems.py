"""Two stems of any separator: a target and what remains, called ``no_<target>`` as by Demucs."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.errors import UsageError
from remix_miner.separators.base import centre_fit


class TwoStems(nn.Module):
    """``model``'s estimate of ``target``, and the sum of its other estimates.

    Where the model estimates the target alone, the rest is the mixture less the estimate. Raises `UsageError` for a
    target that the model does not separate.
    """

    def __init__(self, model: Any, target: str) -> None:
        super().__init__()
        if target not in model.sources:
            raise UsageError(f"--two-stems {target}: the model separates {', '.join(model.sources)}")
        self.model = model
        self.index = list(model.sources).index(target)
        self.sources = (target, f"no_{target}")
        self.sample_rate: int = model.sample_rate
        self.audio_channels: int = model.audio_channels
        self.segment_seconds = getattr(model, "segment_seconds", None)

    def valid_length(self, frames: int) -> int:
        """Return the model's own valid length."""
        length: int = self.model.valid_length(frames)
        return length

    def forward(self, mixture: Float[Tensor, "B C T"], frames: int | None = None) -> Float[Tensor, "B 2 C frames"]:
        """Return the two estimates of the ``frames`` in the centre of the mixture (default: all T)."""
        frames = mixture.shape[-1] if frames is None else frames
        estimates = self.model(mixture, frames)
        target = estimates[:, self.index : self.index + 1]
        if estimates.shape[1] == 1:
            rest = centre_fit(mixture, frames)[:, None] - target
        else:
            rest = estimates.sum(dim=1, keepdim=True) - target
        both: Tensor = target.new_empty(len(target), 2, *target.shape[2:])
        both[:, :1], both[:, 1:] = target, rest
        return both
