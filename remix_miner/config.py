"""Settings: frozen dataclasses, filled from TOML files and ``--set name=value``, with errors that name the setting."""

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from remix_miner.errors import UsageError

Settings = TypeVar("Settings")
RECIPES = Path(__file__).parent / "recipes"


def load_settings(kind: type[Settings], config: str | Path | None = None, overrides: Iterable[str] = ()) -> Settings:
    """An instance of the dataclass ``kind``: its defaults, then the TOML file, then ``section.name=value`` overrides.

    ``config`` is a file or the name of a built-in recipe (``tiny_cpu`` or ``tiny_cpu.toml``). Values of overrides are
    TOML (``true``, ``3e-4``, ``[1, 2]``); a bare word is text. Unknown names raise `UsageError` with a suggestion.
    """
    values: dict[str, Any] = {}
    if config is not None:
        values = read_toml(find_config(config))
    for override in overrides:
        _apply_override(values, override)
    return from_mapping(kind, values)


def find_config(config: str | Path) -> Path:
    """The path of a settings file or built-in recipe."""
    path = Path(config)
    if path.is_file():
        return path
    recipe = RECIPES / (path.name if path.suffix == ".toml" else f"{path.name}.toml")
    if path.parent == Path(".") and recipe.is_file():
        return recipe
    known = sorted(file.stem for file in RECIPES.glob("*.toml"))
    raise UsageError(
        f"no settings file or recipe {str(config)!r}{_suggest(path.stem, known)}; recipes: {', '.join(known)}"
    )


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error


def from_mapping(kind: type[Settings], values: Mapping[str, Any], where: str = "") -> Settings:
    """Build the (possibly nested) dataclass ``kind`` from plain values, checking every name and type."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(typing.cast(Any, kind)) if field.init]
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        full_name = f"{where}{name}"
        if name not in names:
            raise UsageError(f"unknown setting {full_name!r}{_suggest(name, names)}; known here: {', '.join(names)}")
        arguments[name] = _coerce(hints[name], value, full_name)
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{where or kind.__name__ + ': '}{error}") from error


def to_mapping(settings: Any) -> dict[str, Any]:
    """Plain nested values of a settings dataclass, as JSON or TOML can hold them."""
    result: dict[str, Any] = dataclasses.asdict(settings)
    return result


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


def _coerce(hint: Any, value: Any, name: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None or (isinstance(value, str) and value.lower() in ("none", "null") and type(None) in options):
            return None
        problems = []
        for option in options:
            if option is not type(None):
                try:
                    return _coerce(option, value, name)
                except UsageError as error:
                    problems.append(error)
        raise problems[0]
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise UsageError(f"setting {name!r} is a section of settings, got {value!r}")
        return from_mapping(typing.cast(Any, hint), value, where=f"{name}.")
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise UsageError(f"setting {name!r} is one of {', '.join(map(str, choices))}, got {value!r}")
        return value
    if origin in (tuple, list):
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list | tuple):
            raise UsageError(f"setting {name!r} is a list, got {value!r}")
        inner = typing.get_args(hint)
        if origin is tuple and inner and inner[-1] is not Ellipsis:
            if len(inner) != len(value):
                raise UsageError(f"setting {name!r} is a list of {len(inner)} values, got {value!r}")
            return tuple(_coerce(kind, part, name) for kind, part in zip(inner, value, strict=True))
        return origin(_coerce(inner[0], part, name) for part in value) if inner else origin(value)
    if origin is dict:
        return dict(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is Any or (isinstance(value, hint) and not (hint is int and isinstance(value, bool))):
        return value
    raise UsageError(f"setting {name!r} is {getattr(hint, '__name__', hint)}, got {value!r}")


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
