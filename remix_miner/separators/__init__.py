"""Separators: one file per model, one interface (`remix_miner.separators.base.Separator`), one table.

>>> from remix_miner.separators import build
>>> build("demucs", channels=4, depth=2).settings["context"]
3
"""

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from remix_miner.config import check_arguments, suggestion
from remix_miner.errors import UsageError

if TYPE_CHECKING:
    from remix_miner.separators.base import Separator

SEPARATORS = {
    "demucs": "remix_miner.separators.demucs.Demucs",
    "demucs_v1": "remix_miner.separators.demucs_v1.DemucsV1",
    "demucs_v2": "remix_miner.separators.demucs_v2.DemucsV2",
    "hdemucs": "remix_miner.separators.hdemucs.HDemucs",
    "htdemucs": "remix_miner.separators.external.htdemucs.HTDemucs",
    "bs_roformer": "remix_miner.separators.external.roformer.BsRoformer",
    "mel_band_roformer": "remix_miner.separators.external.roformer.MelBandRoformer",
    "tfc_tdf_v1": "remix_miner.separators.tfc_tdf.v1.TfcTdfV1",
    "tfc_tdf_v2": "remix_miner.separators.tfc_tdf.v2.TfcTdfV2",
    "tfc_tdf_v3": "remix_miner.separators.tfc_tdf.v3.TfcTdfV3",
    "kuielab_mdx_net": "remix_miner.separators.tfc_tdf.kuielab_mdx_net.KuielabMdxNet",
}
"""Name -> class. To add a separator: one file and one line here; the shared tests pick it up."""

MODULE_PREFIX = "module:"
MODULE_CLASS = "remix_miner.separators.external.module.NamedModule"
"""'module:package.Class' is any `torch.nn.Module` from (B, C, T) to (B, S, C, T)."""


def build(name: str, **settings: Any) -> "Separator":
    """Build the separator ``name`` with random weights and the ``settings`` of its constructor (default: published).

    Raises `UsageError` for an unknown name or setting, with the nearest known one. Weights follow torch's global random
    state: seed it for the same weights.
    """
    kind = separator_class(name)
    named = {"target": name.removeprefix(MODULE_PREFIX)} if name.startswith(MODULE_PREFIX) else {}
    known = [each for each in inspect.signature(kind).parameters if each not in named]
    for setting in settings:
        if setting not in known:
            near = suggestion(setting, known)
            raise UsageError(f"{name} has no setting {setting!r}{near}; it has {', '.join(known)}")
    bound = inspect.signature(kind).bind(**check_arguments(kind, {**named, **settings}))
    bound.apply_defaults()
    model = kind(**bound.arguments)
    model.name = name
    model.settings = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in bound.arguments.items()
        if key not in named
    }
    return model


def separator_class(name: str) -> "type[Separator]":
    """Import and return the class of a separator."""
    if name not in SEPARATORS and not name.startswith(MODULE_PREFIX):
        raise UsageError(
            f"unknown separator {name!r}{suggestion(name, SEPARATORS)}; choose among {', '.join(SEPARATORS)}, or name "
            f"a class of another package as {MODULE_PREFIX}package.Class"
        )
    module, _, attribute = SEPARATORS.get(name, MODULE_CLASS).rpartition(".")
    kind: type[Separator] = getattr(importlib.import_module(module), attribute)
    return kind
