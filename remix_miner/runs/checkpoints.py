"""The state from which a run goes on as if it had not stopped: one file, written whole or not at all."""

from pathlib import Path
from typing import Any

import torch

from remix_miner.atomic import atomic_path
from remix_miner.errors import DataError

FORMAT_VERSION = 1
NAME = "resume.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, text, lists and dicts of them) to ``folder``; the last one is replaced.

    Weights, averages, optimisers and random states are in one file, so that they are always of the same step.
    """
    with atomic_path(folder / NAME) as temporary:
        torch.save({"format_version": FORMAT_VERSION, **state}, temporary)


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The state that `save_checkpoint` wrote last, on the CPU. Runs no code from the file."""
    path = folder / NAME
    if not path.is_file():
        raise DataError(f"{folder} holds no run that can be resumed ({NAME} is missing); start one without --resume")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for a damaged file
        raise DataError(f"{path} cannot be read: {str(error)[:300]}; start again with another --out") from error
    if state.get("format_version") != FORMAT_VERSION:
        raise DataError(f"{path} has format {state.get('format_version')}, this version reads {FORMAT_VERSION}")
    return state


def random_state(device: torch.device) -> dict[str, Any]:
    """torch's random states; nothing in training draws from Python's or numpy's global ones."""
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
