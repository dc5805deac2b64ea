"""Options and output of every verb: ``--json``, ``-q``, ``-v``, results, notes, the form of a help text."""

import json
import platform
import re
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, TypeVar

import click

from remix_miner.paths import printable
from remix_miner.verbosity import Verbosity, set_verbosity, verbosity

Function = TypeVar("Function", bound=Callable[..., Any])
_STARTED = time.monotonic()
_SENTENCE_END = re.compile(r"(?<!\bal)(?<!\beq)[.:]\s+(?=[A-Z]|remix-miner)")


def _choose_verbosity(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Apply ``-q`` or ``-v``; without either a command starts at the normal verbosity."""
    chosen = context.meta.setdefault("remix_miner.verbosity", set())
    if value:
        chosen.add(parameter.name)
    if len(chosen) > 1:
        raise click.UsageError("-q and -v exclude each other", context)
    names = {"quiet": Verbosity.QUIET, "verbose": Verbosity.VERBOSE}
    set_verbosity(next((names[name] for name in chosen), Verbosity.NORMAL))
    if value and parameter.name == "verbose":
        found = ", ".join(f"{package} {metadata.version(package)}" for package in ("remix-miner", "torch", "numpy"))
        note(f"{found}, Python {platform.python_version()}, {platform.platform()}")


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
quiet_option = click.option(
    "-q", "--quiet", is_flag=True, expose_value=False, callback=_choose_verbosity, help="Warnings and errors only."
)
verbose_option = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, callback=_choose_verbosity, help="Times, versions, tracebacks."
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="'cpu', 'cuda', 'cuda:1'; auto takes a GPU where there is one."
)
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Override one setting; repeatable."
)
config_option = click.option("--config", default=None, metavar="RECIPE|FILE", help="A built-in recipe or a TOML file.")


def verb(summary: str, example: str) -> Callable[[Function], click.Command]:
    """Make a function a verb. Its help is ``summary``, the options, then ``example``, a line as it is typed."""

    def decorate(function: Function) -> click.Command:
        command = click.command(help=summary, epilog=f"\b\nExample:\n  {example}")(function)
        return verbose_option(quiet_option(json_option(command)))  # behind the verb's own options

    return decorate


def options(*each: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Add several options to a verb, in this order."""

    def decorate(function: Function) -> Function:
        for option in reversed(each):
            function = option(function)
        return function

    return decorate


def command_line(context: click.Context, leave_out: Sequence[str] = ()) -> list[str]:
    """Return the arguments of the running verb, but for the parameters ``leave_out``, as another process takes them."""
    found: list[str] = []
    chosen = context.meta.get("remix_miner.verbosity", set())
    for parameter in context.command.params:
        name = parameter.name or ""
        value = context.params.get(name, name in chosen)
        if name in leave_out or value is None or value is False or value == ():
            continue
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(parameter, click.Argument):
                found.append(str(part))
            else:
                found += [parameter.opts[-1]] if part is True else [parameter.opts[-1], str(part)]
    return found


def show(result: Any, as_json: bool, text: str) -> None:
    """Print the result on standard output: as JSON for machines (NaN and infinity as null), or as text."""
    if as_json:
        json.dump(_finite(result), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
        print()
    else:
        print(printable(text))


def paragraph(name: str, text: str, width: int = 16) -> str:
    """Return an entry of a list: ``name`` in a column of ``width``, then ``text``, wrapped."""
    head = f"  {name:{width}} "
    return textwrap.fill(
        text,
        110,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_on_hyphens=False,
        break_long_words=False,
    )


def first_sentence(text: str) -> str:
    """Return the first sentence of ``text`` without its full stop; 'et al.' does not end one."""
    return _SENTENCE_END.split(text)[0].rstrip(".:")


def note(message: str) -> None:
    """Print a message beside the result, on standard error; ``-q`` leaves it out, ``-v`` puts the time before it."""
    if verbosity() > Verbosity.QUIET:
        _print_message(message)


def warn(message: str) -> None:
    """Print a warning on standard error, also with ``-q``."""
    _print_message(f"warning: {message}")


def _print_message(message: str) -> None:
    if verbosity() == Verbosity.VERBOSE:
        message = f"[{time.monotonic() - _STARTED:7.1f} s] {message}"
    print(printable(message), file=sys.stderr, flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
