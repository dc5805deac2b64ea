"""Batch size against memory: refuse what does not fit before the first step, and pick what fits for 'auto'."""

import dataclasses

import torch

from remix_miner.errors import UsageError
from remix_miner.runs.free_memory import free_memory
from remix_miner.training.run.memory import MemoryEstimate, gibibytes
from remix_miner.training.settings import TrainingSettings
from remix_miner.training.targets import build_model

LARGEST_AUTOMATIC_PART = 64
SHARE_TO_FILL = 0.8  # of the free memory, by an automatic batch size
NOT_EVEN_ONE = "Not even one example fits: use a smaller network or a smaller segment_seconds"


def require_buildable(settings: TrainingSettings, device: torch.device) -> None:
    """Raise `UsageError` where the separator's weights and their optimiser alone do not fit; nothing is allocated."""
    try:
        with torch.device("meta"):
            model = build_model(settings)
        count = sum(parameter.numel() for parameter in model.parameters())
    except (RuntimeError, OverflowError) as error:
        raise UsageError(f"separator.settings describe a network that cannot be built: {error}") from error
    free, needed = free_memory(device), 16 * count  # weights, gradients, two moments
    if free is not None and needed > free:
        raise UsageError(
            f"separator.settings describe {settings.separator.name} with {count / 1e6:,.0f} M parameters, which take "
            f"{gibibytes(needed)} to train; {gibibytes(free)} are free: make the network smaller"
        )


def fit_batch(settings: TrainingSettings, estimate: MemoryEstimate, world_size: int) -> TrainingSettings:
    """Return ``settings`` with a batch size in place of 'auto': the largest power of two that fits, up to 64 a part.

    Raises `UsageError` with advice where a given batch does not fit.
    """
    if settings.batch_size:
        _require_fit(settings, estimate, world_size)
        return settings
    most = min(estimate.most_items(SHARE_TO_FILL), LARGEST_AUTOMATIC_PART)
    if not most:
        raise UsageError(_too_large(estimate, 1, f". {NOT_EVEN_ONE}"))
    items = 2 ** (most.bit_length() - 1)
    group = settings.augment.remix_group
    if group and items % group:
        items = max(items // group * group, group)
    return dataclasses.replace(settings, batch_size=items * world_size * settings.accumulate)


def _require_fit(settings: TrainingSettings, estimate: MemoryEstimate, world_size: int) -> None:
    items = settings.items_per_part(world_size)
    most = estimate.most_items()
    if not settings.check_memory or estimate.free is None or items <= most:
        return
    if not most:
        raise UsageError(_too_large(estimate, items, f". {NOT_EVEN_ONE}"))
    most = estimate.most_items(SHARE_TO_FILL) or most  # advice leaves some room
    total = items * settings.accumulate
    parts = next(count for count in range(2, total + 1) if total % count == 0 and total // count <= most)
    choices = {
        f"accumulate={parts}": f"the same steps, computed in parts of {total // parts}",
        f"batch_size={most * world_size * settings.accumulate}": "smaller steps",
        "batch_size=auto": "what fits",
        "check_memory=false": "try it all the same",
    }
    lines = [f"  --set {setting:20} {words}" for setting, words in choices.items()]
    raise UsageError(_too_large(estimate, items, ". Choose one:\n" + "\n".join(lines)))


def _too_large(estimate: MemoryEstimate, items: int, advice: str) -> str:
    return (
        f"{items} examples at once need about {gibibytes(estimate.of(items))} of memory, "
        f"{gibibytes(estimate.free or 0)} are free{advice}"
    )
