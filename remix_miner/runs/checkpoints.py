"""Checkpoints of a run: one file from which training continues exactly where it stopped, and when to write it."""

import time
from pathlib import Path
from typing import Any

import torch

from remix_miner.atomic import atomic_path
from remix_miner.errors import DataError

FORMAT_VERSION = 2
NAME = "resume.pt"
EVERY_SECONDS = 600.0
STOPPING = "stopping after this step and saving a checkpoint; press Ctrl-C again to stop at once without one"


class CheckpointSchedule:
    """Times of checkpoints: every ``every_steps`` steps, and ``every_seconds`` after the last one."""

    def __init__(self, every_steps: int, every_seconds: float = EVERY_SECONDS) -> None:
        self.every_steps = every_steps
        self.every_seconds = every_seconds
        self._saved = time.monotonic()

    def due(self, step: int) -> bool:
        """Return whether to save a checkpoint after ``step``."""
        return step % self.every_steps == 0 or time.monotonic() - self._saved >= self.every_seconds

    def saved(self) -> None:
        """Count the time to the next checkpoint from now."""
        self._saved = time.monotonic()


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, text, lists and dicts of them) to ``folder``, in place of the last one.

    Weights, averages, optimisers and random states are in one file and therefore always of the same step.
    """
    with atomic_path(folder / NAME) as temporary:
        torch.save({"format_version": FORMAT_VERSION, **state}, temporary)


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """Return the state that `save_checkpoint` wrote last, on the CPU. No code from the file is run."""
    path = folder / NAME
    if not path.is_file():
        raise DataError(f"{folder} holds no run that can be resumed ({NAME} is missing); start one without --resume")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for a damaged file
        raise DataError(f"{path} cannot be read: {str(error)[:300]}; start again with another --out") from error
    if state.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{path} has format {state.get('format_version')}, this version reads {FORMAT_VERSION}; finish the run "
            "with the version that began it, or start again with another --out"
        )
    return state


def random_state(device: torch.device) -> dict[str, Any]:
    """Return torch's random states. Training draws nothing from Python's or NumPy's global generators."""
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Restore the random states that `random_state` returned."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
