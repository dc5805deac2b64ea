"""Settings: frozen dataclasses, filled from plain values, with errors that name the setting.

A field states its range beside its type, as ``epochs: Annotated[int, Bounds(1, 10**6)]``; `Settings` checks it.
"""

import collections.abc
import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar

from remix_miner.errors import UsageError

Kind = TypeVar("Kind")


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Range of a number. ``least`` and ``most`` are inside it, ``above`` and ``below`` outside."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def __contains__(self, value: float) -> bool:
        return (
            self.least <= value <= self.most and (value > self.above or self.above == -math.inf) and value < self.below
        )

    def __str__(self) -> str:
        """Describe the range: 'at least 0 and below 1'."""
        parts = (("at least", self.least), ("above", self.above), ("at most", self.most), ("below", self.below))
        return " and ".join(f"{words} {limit:.15g}" for words, limit in parts if math.isfinite(limit))


PROBABILITY = Bounds(0, 1)
SHARE = Bounds(above=0, below=1)
AN_HOUR = Bounds(above=0, most=3600)
"""Range of lengths of audio in seconds."""
LEVEL_DB = Bounds(-200, 0)
Seed = Annotated[int, Bounds(0, 2**63 - 1)]
UNLESS_STATED = Bounds(-1_000_000, 1_000_000)
"""Range of numbers without a range of their own; a greater one is a slip of the keyboard."""


@dataclasses.dataclass(frozen=True)
class Renamed:
    """Words that settings files may use for a value: names of earlier versions, or 'auto'."""

    values: Mapping[str, Any]


class SettingError(UsageError):
    """A setting that cannot be used. ``name`` as in settings files, without the sections around it; ``problem``."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name = name
        self.problem = problem


class Settings:
    """Base of settings dataclasses: numbers must be finite and within their `Bounds`, choices among those listed.

    A subclass with checks of its own calls ``super().__post_init__()`` first.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(typing.cast(Any, self)):
            check_value(field.name, getattr(self, field.name), _hints(type(self))[field.name])


def check_value(name: str, value: Any, hint: Any = None) -> None:
    """Raise `SettingError` where a number is not finite or outside the bounds of ``hint``, or a choice is unknown."""
    bounds = next((part for part in _annotations(hint) if isinstance(part, Bounds)), UNLESS_STATED)
    for number in value if isinstance(value, tuple | list) else (value,):
        if isinstance(number, int | float) and not isinstance(number, bool):
            if isinstance(number, float) and not math.isfinite(number):
                raise SettingError(name, f"must be a finite number, got {number}")
            if number not in bounds:
                raise SettingError(name, f"must be {bounds}, got {number:.15g}")
    kind = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    if typing.get_origin(kind) is typing.Literal and value not in typing.get_args(kind):
        raise SettingError(name, f"is one of {', '.join(map(str, typing.get_args(kind)))}, got {value!r}")


def check_arguments(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` as keyword arguments of ``function``, converted and checked by its annotations.

    For the constructors that settings files fill. Raises `SettingError` for a wrong type or an impossible number, as
    `from_mapping` does; names are not checked. Parameters without annotation take anything.
    """
    called: Any = function
    if isinstance(function, type):
        called = next(kind.__dict__["__init__"] for kind in function.__mro__ if "__init__" in kind.__dict__)
    hints = typing.get_type_hints(called, include_extras=True)
    checked = {name: _coerce(hints.get(name, Any), value, name) for name, value in values.items()}
    for name, value in checked.items():
        check_value(name, value, hints.get(name))
    return checked


def from_mapping(kind: type[Kind], values: Mapping[str, Any], where: str = "") -> Kind:
    """Build the (possibly nested) dataclass ``kind`` from plain values, checking every name and type."""
    hints = _hints(kind)
    names = [field.name for field in dataclasses.fields(typing.cast(Any, kind)) if field.init]
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        full_name = f"{where}{name}"
        if name not in names:
            raise UsageError(f"unknown setting {full_name!r}{suggestion(name, names)}; known here: {', '.join(names)}")
        arguments[name] = _coerce(hints[name], value, full_name)
    try:
        return kind(**arguments)
    except SettingError as error:
        raise SettingError(f"{where}{error.name}", error.problem) from error
    except (TypeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{where or kind.__name__ + ': '}{error}") from error


def to_mapping(settings: Any) -> dict[str, Any]:
    """Return the plain nested values of a settings dataclass, as JSON or TOML can hold them."""
    result: dict[str, Any] = dataclasses.asdict(settings)
    return result


def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _annotations(hint: Any) -> list[Any]:
    """Return what ``Annotated`` adds to a type, also inside a union or tuple."""
    if typing.get_origin(hint) is typing.Annotated:
        return list(hint.__metadata__)
    if typing.get_origin(hint) is typing.Literal:
        return []
    return [part for inner in typing.get_args(hint) for part in _annotations(inner)]


def _coerce(hint: Any, value: Any, name: str) -> Any:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        for renamed in (part for part in hint.__metadata__ if isinstance(part, Renamed)):
            value = renamed.values.get(value, value) if isinstance(value, str) else value
        return _coerce(typing.get_args(hint)[0], value, name)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        absent = value is None or (isinstance(value, str) and value.lower() in ("none", "null"))
        if absent and type(None) in options:
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
    if origin in (tuple, list, collections.abc.Sequence):
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list | tuple):
            raise UsageError(f"setting {name!r} is a list, got {value!r}")
        inner = typing.get_args(hint)
        if origin is tuple and inner and inner[-1] is not Ellipsis:
            if len(inner) != len(value):
                raise UsageError(f"setting {name!r} is a list of {len(inner)} values, got {value!r}")
            return tuple(_coerce(kind, part, name) for kind, part in zip(inner, value, strict=True))
        made = tuple if origin is tuple else list
        return made(_coerce(inner[0], part, name) for part in value) if inner else made(value)
    if origin in (dict, collections.abc.Mapping) or hint is dict:
        if not isinstance(value, Mapping):
            raise UsageError(f"setting {name!r} is a section of settings, got {value!r}")
        kinds = typing.get_args(hint)
        return {key: _coerce(kinds[1], part, f"{name}.{key}") if kinds else part for key, part in value.items()}
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise UsageError(f"setting {name!r} is too large a number") from error
    if hint is Any or (isinstance(value, hint) and not (hint is int and isinstance(value, bool))):
        return value
    raise UsageError(f"setting {name!r} is {getattr(hint, '__name__', hint)}, got {value!r}")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the nearest of the ``known`` names in words, for a message; empty where none is near."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
