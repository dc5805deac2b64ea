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
    """Write weights and description, so that a model can be read after a kill at any moment: the new one or the old.

    ``path``: a folder (``model.*`` inside it) or a ``.safetensors`` file. ``description`` holds at least ``name`` and
    ``settings`` (what the constructor takes); versions and the weights' SHA-256 are added. The description appears
    first, with that of the weights it replaces under ``previous``, which is removed once the new weights are there.
    """
    from safetensors.torch import save_file

    weights = weights_path(path)
    beside = weights.with_suffix(".json")
    previous = _previous_description(weights)
    with atomic_path(weights) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(_separate_tensors(state), temporary)
        temporary.chmod(mode)  # save_file makes files that only their owner can read
        complete = {**description, "versions": versions(), "sha256": sha256_of_file(temporary)}
        write_json(beside, complete if previous is None else {**complete, "previous": previous})
    if previous is not None:
        write_json(beside, complete)


def _separate_tensors(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return tensors on the CPU of which no two share memory, as safetensors requires; tied weights are copied."""
    tensors, seen = {}, set()
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return tensors


def load_model(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (state, description) of a saved model, after checking that weights and description belong together."""
    description = describe_model(path)
    return load_weights(weights_path(path)), description


def load_weights(weights: Path) -> dict[str, Any]:
    """Return the tensors of a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: dict[str, Any] = load_file(weights)
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(f"{weights}: cannot be read as a model: {error}") from error
    return state


def describe_model(path: str | Path) -> dict[str, Any]:
    """Return the description of a saved model, as `load_model` does, without its weights and without torch."""
    weights = weights_path(path)
    if not weights.is_file():
        raise DataError(f"no model at {path}: {weights} does not exist")
    try:
        return _description_of(weights, sha256_of_file(weights))
    except (OSError, ValueError) as error:
        raise DataError(f"{weights}: cannot be read as a model: {error}") from error


def _description_of(weights: Path, digest: str) -> dict[str, Any]:
    """Return the description of the weights with SHA-256 ``digest``: the file's, or the previous one in it."""
    described = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    if not isinstance(described, dict):
        raise DataError(f"{weights.with_suffix('.json')} does not describe a model: it is not a JSON object")
    previous = described.pop("previous", None)
    if isinstance(previous, dict) and previous.get("sha256") == digest:
        described = previous
    if described.get("sha256") not in (None, digest):
        raise DataError(
            f"{weights} has SHA-256 {digest[:12]}..., but {weights.with_suffix('.json').name} describes "
            f"{str(described['sha256'])[:12]}...: the two files are of different models; copy both again"
        )
    return {**described, "sha256": digest}


def _previous_description(weights: Path) -> dict[str, Any] | None:
    """Return the description of the model that is about to be replaced; None where there is none that can be read."""
    try:
        return _description_of(weights, sha256_of_file(weights))
    except (OSError, ValueError, DataError):
        return None


def weights_path(path: str | Path) -> Path:
    """Return the safetensors file that a folder, weights or description path names."""
    path = Path(path)
    if path.suffix in (".safetensors", ".json"):
        return path.with_suffix(".safetensors")
    return path / "model.safetensors"


def sha256_of_file(path: str | Path) -> str:
    """Return the hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in VERSIONED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
