"""What every verb shares: ``--json``, printing results, and the shape of a help text."""

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
device_option = click.option(
    "--device", default="auto", show_default=True, help="'cpu', 'cuda', 'cuda:1'; auto takes a GPU where there is one."
)
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Override one setting; repeatable."
)
config_option = click.option("--config", default=None, metavar="RECIPE|FILE", help="A built-in recipe or a TOML file.")


def verb(summary: str, example: str) -> Callable[[Function], click.Command]:
    """Make a function a verb: its help is ``summary``, the options, then ``example`` (a line as it is typed)."""

    def decorate(function: Function) -> click.Command:
        command = click.command(help=summary, epilog=f"\b\nExample:\n  {example}")(json_option(function))
        return command

    return decorate


def show(result: Any, as_json: bool, text: str) -> None:
    """Print the result on standard output: as JSON for machines (NaN and infinity as null), or as text."""
    if as_json:
        json.dump(_finite(result), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
        print()
    else:
        print(text)


def note(message: str) -> None:
    """Say something beside the result, on standard error."""
    print(message, file=sys.stderr, flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
