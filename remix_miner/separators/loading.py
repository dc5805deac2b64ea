"""Separators on disk: save, load and identify them by run folder, file or built-in name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from remix_miner.checkpoint import load_model, save_model, sha256_of_file, weights_path
from remix_miner.errors import DataError, UsageError
from remix_miner.schema import load_json
from remix_miner.separators import build
from remix_miner.separators.base import Separator


@dataclass(frozen=True)
class LoadedSeparator:
    """A separator in evaluation mode, its name, and the text that identifies its weights in records and results."""

    model: Any
    name: str
    identity: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """What its JSON states beside name and settings: training songs, settings, versions."""

    @property
    def description(self) -> dict[str, Any]:
        """Name, identity and constructor settings, as results state them."""
        settings = getattr(self.model, "settings", None)
        return {
            "name": self.name,
            "identity": self.identity,
            "settings": settings if isinstance(settings, dict) else None,
        }


def open_separator(name_or_path: str, device: str = "cpu") -> LoadedSeparator:
    """Load a separator and identify it by its name and the first 12 digits of its weights' SHA-256."""
    model = load_separator(name_or_path, device)
    name = str(getattr(model, "name", "")) or type(model).__name__
    path = Path(name_or_path)
    files = [path, weights_path(path)] if path.exists() else []
    weights = next((file for file in files if file.is_file() and file.suffix != ".json"), None)
    digest = f":{sha256_of_file(weights)[:12]}" if weights else ""
    return LoadedSeparator(model, name, f"{name}{digest}", _provenance(weights))


def _provenance(weights: Path | None) -> dict[str, Any]:
    description = None if weights is None else weights.with_suffix(".json")
    if description is None or not description.is_file():
        return {}
    document = load_json(description, "a model's description")
    return document if isinstance(document, dict) else {}


def save_separator(
    path: str | Path, model: Separator, state: Mapping[str, Tensor] | None = None, **provenance: Any
) -> None:
    """Write ``model`` (with the weights ``state``, if given) as safetensors + JSON; ``provenance`` goes to the JSON."""
    description = {"kind": "separator", "name": model.name, "settings": model.settings, **provenance}
    save_model(path, model.state_dict() if state is None else state, description)


def load_separator(path_or_name: str | Path, device: str | torch.device = "cpu") -> Separator:
    """Return a trained separator in evaluation mode.

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
