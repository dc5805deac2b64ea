"""Description files of models in TOML: a separator's name and settings, and the file of foreign weights.

    name = "bs_roformer"
    weights = "model_bs_roformer.ckpt"   # relative to this file

    [settings]
    sources = ["vocals"]
    dim = 512
    depth = 12

For checkpoints of other trainers. Weights are read as safetensors, or by torch's restricted unpickler.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from remix_miner.config import from_mapping
from remix_miner.errors import DataError
from remix_miner.paths import display_name
from remix_miner.separators import build
from remix_miner.separators.external.module import ModuleSeparator
from remix_miner.separators.external.onnx_model import load_onnx
from remix_miner.settings_files import read_toml

WRAPPERS = ("state_dict", "state", "model_state_dict", "model", "ema")
"""Keys under which trainers store the weights beside other things."""

PREFIXES = ("module.", "model.", "_orig_mod.")
"""Prefixes that wrappers of modules add to the names of weights."""


@dataclass(frozen=True)
class ModelDescription:
    """``name``: a separator, or 'onnx'. ``weights``: their file, relative to the description."""

    name: str
    weights: str
    settings: dict[str, Any] = field(default_factory=dict)


def load_described(path: Path) -> Any:
    """Return the separator that a description names, with its weights.

    Raises `UsageError` for invalid settings, `DataError` for weights that are missing or do not fit.
    """
    description = from_mapping(ModelDescription, read_toml(path))
    weights = path.parent / description.weights
    if not weights.is_file():
        raise DataError(f"{display_name(path)} names the weights {display_name(weights)}, which do not exist")
    if description.name == "onnx":
        return load_onnx(weights, description.settings)
    model = build(description.name, **description.settings)
    network = model.network if isinstance(model, ModuleSeparator) else model
    state = read_weights(weights)
    try:
        network.load_state_dict(_matching(state, network.state_dict()))
    except RuntimeError as error:
        raise DataError(
            f"{display_name(weights)} does not fit {description.name} with these settings: {str(error)[:800]}"
        ) from error
    return model


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights in a safetensors file or a checkpoint of torch; nothing else is unpickled."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        document: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both raise many kinds for a file that is not their own
        raise DataError(f"{display_name(path)} cannot be read as weights: {str(error)[:300]}") from error
    for key in WRAPPERS:
        if isinstance(document, Mapping) and isinstance(document.get(key), Mapping):
            document = document[key]
    if not isinstance(document, Mapping) or not all(isinstance(value, Tensor) for value in document.values()):
        raise DataError(f"{display_name(path)} holds no weights by name")
    return dict(document)


def _matching(state: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``state`` without the prefix of a wrapper, where that makes more names match."""
    candidates = [state, *({name.removeprefix(each): value for name, value in state.items()} for each in PREFIXES)]
    return max(candidates, key=lambda each: len(set(each) & set(wanted)))


def weights_of(path: Path) -> Path:
    """Return the file of weights that a description names."""
    return path.parent / from_mapping(ModelDescription, read_toml(path)).weights
