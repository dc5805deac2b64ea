"""Separators on disk: save one, load one by run folder, file or built-in name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from remix_miner.checkpoint import load_model, save_model
from remix_miner.errors import DataError, UsageError
from remix_miner.separators import build
from remix_miner.separators.base import Separator


def save_separator(
    path: str | Path, model: Separator, state: Mapping[str, Tensor] | None = None, **provenance: Any
) -> None:
    """Write ``model`` (with the weights ``state``, if given) as safetensors + JSON; ``provenance`` goes to the JSON."""
    description = {"kind": "separator", "name": model.name, "settings": model.settings, **provenance}
    save_model(path, model.state_dict() if state is None else state, description)


def load_separator(path_or_name: str | Path, device: str | torch.device = "cpu") -> Separator:
    """A trained separator in evaluation mode.

    ``path_or_name``: a run folder, a ``.safetensors`` file, torchaudio's published Hybrid Demucs (a ``.pt`` file), or
    ``hdemucs`` for that file where torch keeps its downloads. Nothing is downloaded. Raises `DataError` when there is
    no such model or its weights do not fit, `UsageError` for a name that is not built in.
    """
    path = Path(path_or_name)
    if str(path_or_name) == "hdemucs" or path.suffix in (".pt", ".th"):
        from remix_miner.separators.hdemucs import load_published

        return load_published(None if str(path_or_name) == "hdemucs" else path).to(device).eval()
    if not path.exists() and not path.suffix and len(path.parts) == 1:
        raise UsageError(f"no model {path_or_name!r}: neither a run folder, a file, nor a built-in name (hdemucs)")
    state, description = load_model(path)
    if description.get("kind", "separator") != "separator":
        raise DataError(f"{path} holds a {description['kind']}, not a separator")
    model = build(description["name"], **description["settings"])
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"{path}: its weights do not fit {description['name']}: {error}") from error
    return model.to(device).eval()
