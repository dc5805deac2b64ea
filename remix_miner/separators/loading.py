"""Separators on disk: save, load and identify them by run folder, file or built-in name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor

from remix_miner.checkpoint import load_model, save_model, sha256_of_file, weights_path
from remix_miner.errors import DataError, UsageError
from remix_miner.paths import display_name
from remix_miner.schema import checked, load_json
from remix_miner.separators import build
from remix_miner.separators.base import Separator
from remix_miner.separators.external.description import load_described, weights_of
from remix_miner.separators.external.onnx_model import load_onnx
from remix_miner.separators.external.published import PUBLISHED, load_demucs_file, load_published, published_model


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
        """Return name, identity and constructor settings, as results state them."""
        settings = getattr(self.model, "settings", None)
        return {
            "name": self.name,
            "identity": self.identity,
            "settings": settings if isinstance(settings, dict) else None,
        }


class SeparatorDescription(TypedDict):
    """Required fields of the JSON file beside the weights."""

    name: str
    settings: dict[str, Any]


def open_separator(name_or_path: str, device: str = "cpu", download: bool = False) -> LoadedSeparator:
    """Load a separator and identify it by its name and the first 12 digits of its weights' SHA-256."""
    model = load_separator(name_or_path, device, download)
    path = Path(name_or_path)
    published = None if path.exists() else published_model(name_or_path)
    name = published.name if published else str(getattr(model, "name", "")) or path.stem
    files = published.places if published else _weights(path)
    digests = "+".join(sha256_of_file(file)[:12] for file in files if file.is_file())
    return LoadedSeparator(model, name, f"{name}:{digests}" if digests else name, _provenance(files))


def _weights(path: Path) -> list[Path]:
    if path.suffix == ".toml" and path.is_file():
        return [weights_of(path), path]
    files = [path, weights_path(path)] if path.exists() else []
    return [file for file in files if file.is_file() and file.suffix != ".json"][:1]


def _provenance(weights: list[Path]) -> dict[str, Any]:
    description = weights[0].with_suffix(".json") if weights else None
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


def load_separator(path_or_name: str | Path, device: str | torch.device = "cpu", download: bool = False) -> Any:
    """Return a trained separator in evaluation mode.

    ``path_or_name``: a run folder, a ``.safetensors`` file, a ``.toml`` that names a separator and foreign weights, an
    ``.onnx`` model, a checkpoint of demucs (``.th``), torchaudio's published Hybrid Demucs (``.pt``), or a built-in
    name, one of `PUBLISHED`. Nothing is downloaded unless ``download``. Raises `DataError` when there is
    no such model or its weights do not fit, `UsageError` for a name that is not built in.
    """
    path = Path(path_or_name)
    return _load(str(path_or_name), path, download).to(device).eval()


def _load(name: str, path: Path, download: bool) -> Any:
    if path.suffix == ".pt":
        from remix_miner.separators.hdemucs import load_published as load_hdemucs

        return load_hdemucs(path)
    if not path.exists() and published_model(name) is not None:
        return load_published(name, download)
    if not path.exists() and not path.suffix and len(path.parts) == 1:
        raise UsageError(no_model_message(name))
    if path.suffix in (".th", ".onnx", ".toml"):
        if not path.is_file():
            raise DataError(f"{display_name(path)} does not exist")
        return {".th": load_demucs_file, ".onnx": load_onnx, ".toml": load_described}[path.suffix](path)
    state, document = load_model(path)
    if document.get("kind", "separator") != "separator":
        raise DataError(f"{path} holds a {document['kind']}, not a separator")
    description = checked(document, SeparatorDescription, f"{display_name(path)}: its description is damaged")
    model = build(description["name"], **description["settings"])
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"{path}: its weights do not fit {description['name']}: {error}") from error
    return model


def missing_models(models: Mapping[str, str]) -> dict[str, str]:
    """Return the members of an ensemble whose model is missing, each with a remedy, without loading any."""
    absent = {}
    for member, name in models.items():
        published = None if Path(name).exists() else published_model(name)
        if published is not None and published.missing:
            absent[member] = published.explain()
        elif published is None and len(Path(name).parts) > 1 and not Path(name).exists():
            absent[member] = f"{display_name(name)} does not exist"
    return absent


def no_model_message(name: str) -> str:
    """Return a message on how to obtain the missing model ``name``."""
    names = ", ".join(model.name for model in PUBLISHED)
    return (
        f"no model {name!r}: neither a run folder, a file, nor a built-in name ({names}). Train one: remix-miner train "
        "--stems SONGS --out RUN; or take a published one: remix-miner separate htdemucs SONG --out OUT --download"
    )
