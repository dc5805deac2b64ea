"""Settings of a run that is resumed: its own, with the changes that were asked for and may be made."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from remix_miner.config import from_mapping, to_mapping
from remix_miner.errors import UsageError
from remix_miner.runs.folder import RunFolder
from remix_miner.settings_files import load_settings

Kind = TypeVar("Kind")


def settings_of_run(folder: RunFolder, kind: type[Kind]) -> Kind:
    """Return the settings that a run was last started with."""
    return from_mapping(kind, folder.read_description()["settings"])


def settings_to_resume(
    folder: RunFolder,
    kind: type[Kind],
    config: str | Path | None = None,
    overrides: Iterable[str] = (),
) -> Kind:
    """Return the settings of a run, changed by a settings file and by ``--set``; see `require_changeable`."""
    return load_settings(kind, config, overrides, base=folder.read_description()["settings"])


def require_changeable(folder: RunFolder, settings: Any, changeable: Sequence[str]) -> None:
    """Raise `UsageError` where ``settings`` differ from the run's in more than the sections or names ``changeable``."""
    before = to_mapping(settings_of_run(folder, type(settings)))
    changes = changed_settings(before, to_mapping(settings))
    fixed = {name: values for name, values in changes.items() if name.split(".")[0] not in changeable}
    if fixed:
        differences = "; ".join(f"{name} was {was!r}, is {now!r}" for name, (was, now) in fixed.items())
        raise UsageError(
            f"{folder.path} was run with other settings: {differences}. A resumed run may change "
            f"{', '.join(changeable)}; for the rest start anew with another --out"
        )


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any], where: str = "") -> dict[str, tuple[Any, Any]]:
    """Return (before, now) of each setting that differs, by its name as ``--set`` takes it.

    >>> changed_settings({"seed": 0, "ema": {"decay": 0.9}}, {"seed": 0, "ema": {"decay": 0.5}})
    {'ema.decay': (0.9, 0.5)}
    """
    changes: dict[str, tuple[Any, Any]] = {}
    for name in [*before, *(name for name in now if name not in before)]:
        was, is_now = before.get(name), now.get(name)
        if isinstance(was, Mapping) and isinstance(is_now, Mapping):
            changes |= changed_settings(was, is_now, f"{where}{name}.")
        elif was != is_now:
            changes[f"{where}{name}"] = (was, is_now)
    return changes
