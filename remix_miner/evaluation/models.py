"""Whatever separates, under one name: a trained separator, a finished set of estimates, or an oracle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remix_miner.checkpoint import sha256_of_file, weights_path
from remix_miner.separators.loading import load_separator


@dataclass(frozen=True)
class LoadedModel:
    """A separator in evaluation mode, and text that identifies its weights in records and results."""

    model: Any
    name: str
    identity: str

    @property
    def description(self) -> dict[str, Any]:
        settings = getattr(self.model, "settings", None)
        return {
            "name": self.name,
            "identity": self.identity,
            "settings": settings if isinstance(settings, dict) else None,
        }


def load_model(name_or_path: str, device: str = "cpu") -> LoadedModel:
    """Load a separator; its identity is its name and the first 12 digits of the weights' SHA-256."""
    model = load_separator(name_or_path, device)
    name = str(getattr(model, "name", "")) or type(model).__name__
    path = Path(name_or_path)
    files = [path, weights_path(path)] if path.exists() else []
    weights = next((file for file in files if file.is_file() and file.suffix != ".json"), None)
    digest = f":{sha256_of_file(weights)[:12]}" if weights else ""
    return LoadedModel(model, name, f"{name}{digest}")
