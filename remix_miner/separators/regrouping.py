"""Separators with regrouped sources: the estimates of a model, summed under new names, or as two stems."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.errors import UsageError
from remix_miner.separators.base import centre_fit


class RegroupedModel(nn.Module):
    """Base of modules that regroup the estimates of ``model``. A subclass defines `forward`.

    ``sources``: names along the new source axis. All other properties are the model's own.
    """

    def __init__(self, model: Any, sources: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.sources = tuple(sources)
        self.sample_rate: int = model.sample_rate
        self.audio_channels: int = model.audio_channels
        self.segment_seconds = getattr(model, "segment_seconds", None)

    def valid_length(self, frames: int) -> int:
        """Return the model's own valid length."""
        length: int = self.model.valid_length(frames)
        return length


class StemSums(RegroupedModel):
    """Sums of the model's estimates, such as six sources scored as four.

    ``sums``: new name -> the model's sources whose estimates are added up, in the order of the new source axis.
    Raises `UsageError` for sources that the model does not separate.
    """

    def __init__(self, model: Any, sums: Mapping[str, Sequence[str]]) -> None:
        unknown = sorted({part for parts in sums.values() for part in parts} - set(model.sources))
        if unknown or not sums:
            raise UsageError(f"the model separates {', '.join(model.sources)}, not {', '.join(unknown) or 'nothing'}")
        super().__init__(model, tuple(sums))
        self.rows = [[list(model.sources).index(part) for part in parts] for parts in sums.values()]

    def forward(self, mixture: Float[Tensor, "B C T"], frames: int | None = None) -> Float[Tensor, "B S C frames"]:
        """Return the summed estimates of the ``frames`` in the centre of the mixture (default: all T)."""
        estimates = self.model(mixture, frames)
        return torch.stack([estimates[:, rows].sum(dim=1) for rows in self.rows], dim=1)


class TwoStems(RegroupedModel):
    """The model's estimate of ``target``, and the sum of its other estimates, ``no_<target>`` as in Demucs.

    Where the model estimates the target alone, the rest is the mixture less the estimate. Raises `UsageError` for a
    target that the model does not separate.
    """

    def __init__(self, model: Any, target: str) -> None:
        if target not in model.sources:
            raise UsageError(f"--two-stems {target}: the model separates {', '.join(model.sources)}")
        super().__init__(model, (target, f"no_{target}"))
        self.index = list(model.sources).index(target)

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


def four_of_more(sources: Sequence[str], four: Sequence[str]) -> dict[str, list[str]] | None:
    """Return sums that make ``four`` of a model of more sources: 'other' takes the rest. None for other models.

    >>> four_of_more(("drums", "bass", "other", "vocals", "guitar"), ("drums", "bass", "other", "vocals"))["other"]
    ['other', 'guitar']
    """
    rest = [source for source in sources if source not in four]
    if not rest or not set(four) <= set(sources):
        return None
    return {source: ["other", *rest] if source == "other" else [source] for source in four}
