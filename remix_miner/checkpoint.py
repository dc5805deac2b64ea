"""Models on disk: safetensors for weights, JSON for everything needed to build the model again. Nothing unpickles code.

A model is a folder with ``model.safetensors`` and ``model.json``, or the pair ``<name>.safetensors`` and
``<name>.json``; either file's path, or the folder's, names it.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from remix_miner.atomic import atomic_path, write_json
from remix_miner.errors import DataError

VERSIONED_PACKAGES = ("remix-miner", "torch", "torchaudio", "kymatio", "numpy", "scipy", "soundfile", "soxr", "h5py")


def save_model(path: str | Path, state: Mapping[str, Any], description: Mapping[str, Any]) -> None:
    """Write weights and description; each file appears whole or not at all, the weights first.

    ``path``: a folder (``model.*`` inside it) or a ``.safetensors`` file. ``description`` holds at least ``name`` and
    ``settings`` (what the constructor takes); versions and the weights' SHA-256 are added.
    """
    from safetensors.torch import save_file

    weights = weights_path(path)
    with atomic_path(weights) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, temporary)
    write_json(weights.with_suffix(".json"), {**description, "versions": versions(), "sha256": sha256_of_file(weights)})


def load_model(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(state, description) of a saved model; checks that weights and description belong together."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    weights = weights_path(path)
    if not weights.is_file():
        raise DataError(f"no model at {path}: {weights} does not exist")
    try:
        description = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
        state = load_file(weights)
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(f"{weights}: cannot be read as a model: {error}") from error
    digest = sha256_of_file(weights)
    if description.get("sha256") not in (None, digest):
        raise DataError(
            f"{weights} has SHA-256 {digest[:12]}..., but {weights.with_suffix('.json').name} describes "
            f"{description['sha256'][:12]}...: the two files are of different models; copy both again"
        )
    description["sha256"] = digest
    return state, description


def weights_path(path: str | Path) -> Path:
    """The safetensors file that a folder, weights or description path names."""
    path = Path(path)
    if path.suffix in (".safetensors", ".json"):
        return path.with_suffix(".safetensors")
    return path / "model.safetensors"


def sha256_of_file(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in VERSIONED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
