"""Settings from TOML files, built-in recipes and ``--set name=value``."""

import copy
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from remix_miner.config import from_mapping, suggestion
from remix_miner.errors import UsageError

Kind = TypeVar("Kind")
RECIPES = Path(__file__).parent / "recipes"


def load_settings(
    kind: type[Kind],
    config: str | Path | None = None,
    overrides: Iterable[str] = (),
    base: Mapping[str, Any] | None = None,
) -> Kind:
    """Return an instance of the dataclass ``kind``: defaults, then ``base``, the TOML file, ``section.name=value``.

    ``config`` is a file or the name of a built-in recipe (``tiny_cpu`` or ``tiny_cpu.toml``). Values of overrides are
    TOML (``true``, ``3e-4``, ``[1, 2]``); a bare word is text. ``base``: plain values to start from, such as those of
    the run that is resumed. Unknown names raise `UsageError` with a suggestion.
    """
    values: dict[str, Any] = copy.deepcopy(dict(base or {}))
    if config is not None:
        _merge(values, read_toml(find_config(config)))
    for override in overrides:
        _apply_override(values, override)
    return from_mapping(kind, values)


def find_config(config: str | Path) -> Path:
    """Return the path of a settings file or built-in recipe."""
    path = Path(config)
    if path.is_file():
        return path
    recipe = RECIPES / (path.name if path.suffix == ".toml" else f"{path.name}.toml")
    if path.parent == Path(".") and recipe.is_file():
        return recipe
    known = sorted(file.stem for file in RECIPES.glob("*.toml"))
    raise UsageError(
        f"no settings file or recipe {str(config)!r}{suggestion(path.stem, known)}; recipes: {', '.join(known)}"
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error


def _merge(values: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Put ``changes`` into ``values``, section by section."""
    for name, value in changes.items():
        if isinstance(value, Mapping) and isinstance(values.get(name), dict):
            _merge(values[name], value)
        else:
            values[name] = value


def _apply_override(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"--set takes name=value, got {override!r}; for example --set learning_rate=3e-4")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *sections, last = name.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UsageError(f"--set {override}: {section!r} is a value, not a section")
    values[last] = value
