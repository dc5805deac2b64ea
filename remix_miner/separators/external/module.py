"""Separators of other libraries: any `torch.nn.Module` from (B, C, T) to (B, S, C, T), by its dotted name.

``name = "module:bs_roformer.BSRoformer"`` in a recipe, with the module's own arguments under ``arguments``.
"""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from remix_miner.config import Bounds
from remix_miner.errors import DataError, UsageError
from remix_miner.separators.base import Seconds, Separator
from remix_miner.sources import SOURCES

PREFIX = "module:"


class ModuleSeparator(Separator):
    """A foreign network behind our interface.

    ``network``: the module; built from ``target`` and ``arguments`` by `build_module`. ``multiple``: length (in frames)
    to a multiple of which mixtures are padded, such as the hop of the network's transform. ``least_frames``: the
    shortest mixture that the network accepts, such as a window. Output that is still shorter than the input is padded
    with zeros at its end; longer output is cut at its end. A network of a single source may return (B, C, T).
    """

    def __init__(
        self,
        network: nn.Module,
        sources: Sequence[str],
        audio_channels: int,
        sample_rate: int,
        segment_seconds: float,
        normalize: bool = False,
        multiple: int = 1,
        least_frames: int = 1,
    ) -> None:
        super().__init__(sources, audio_channels, sample_rate, segment_seconds, normalize)
        self.network = network
        self.multiple, self.least_frames = multiple, least_frames

    def valid_length(self, frames: int) -> int:
        """Return the least multiple of ``multiple`` that holds ``frames`` and ``least_frames``."""
        length = max(frames, self.least_frames)
        return -(-length // self.multiple) * self.multiple

    def estimate(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C V"]:
        """Apply the network and restore the input's length."""
        estimates: Tensor = self.network(mixture)
        if estimates.ndim == 3 and len(self.sources) == 1:
            estimates = estimates[:, None]
        expected = (len(mixture), len(self.sources), self.audio_channels)
        if estimates.ndim != 4 or tuple(estimates.shape[:3]) != expected:
            raise DataError(
                f"{type(self.network).__name__} gives {tuple(estimates.shape)} for a mixture {tuple(mixture.shape)}; "
                f"needed is (batch, {len(self.sources)} sources, {self.audio_channels} channels, frames)"
            )
        missing = mixture.shape[-1] - estimates.shape[-1]
        return F.pad(estimates, (0, missing)) if missing >= 0 else estimates[..., :missing]


class NamedModule(ModuleSeparator):
    """A module by its dotted name; ``arguments`` are its constructor's, lists where it takes tuples."""

    def __init__(
        self,
        target: str,
        arguments: Mapping[str, Any] | None = None,
        sources: Sequence[str] = SOURCES,
        audio_channels: Annotated[int, Bounds(1, 8)] = 2,
        sample_rate: Annotated[int, Bounds(1, 10**6)] = 44100,
        segment_seconds: Seconds = 10.0,
        normalize: bool = False,
        multiple: Annotated[int, Bounds(1, 10**7)] = 1,
        least_frames: Annotated[int, Bounds(1, 10**7)] = 1,
    ) -> None:
        network = build_module(target, arguments or {})
        super().__init__(
            network, sources, audio_channels, sample_rate, segment_seconds, normalize, multiple, least_frames
        )


def build_module(target: str, arguments: Mapping[str, Any], tuples: bool = True) -> nn.Module:
    """Return an instance of the module class with a dotted name.

    Only subclasses of `torch.nn.Module` are called. Lists become tuples, since settings files have none. Raises
    `UsageError` where the class cannot be imported, is no module, or refuses the arguments.
    """
    kind = _module_class(target)
    converted = {
        name: tuple(value) if tuples and isinstance(value, list) else value for name, value in arguments.items()
    }
    known = inspect.signature(kind).parameters
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())
    unknown = [name for name in converted if name not in known]
    if unknown and not takes_any:
        raise UsageError(f"{target} has no argument {', '.join(unknown)}; it has {', '.join(known)}")
    try:
        network: nn.Module = kind(**converted)
    except Exception as error:  # foreign constructors raise many kinds, beartype's among them
        raise UsageError(f"{target} cannot be built: {type(error).__name__}: {str(error)[:500]}") from error
    return network


def _module_class(target: str) -> type[nn.Module]:
    module, _, attribute = target.rpartition(".")
    if not module or not all(part.isidentifier() for part in target.split(".")):
        raise UsageError(f"{target!r} is not the dotted name of a class, such as bs_roformer.BSRoformer")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{target} cannot be imported: {error}; install its package, or correct the name") from error
    if not (isinstance(kind, type) and issubclass(kind, torch.nn.Module)):
        raise UsageError(f"{target} is not a subclass of torch.nn.Module")
    return kind
