"""Paths as text for messages."""

import os
import unicodedata


def display_name(path: str | os.PathLike[str]) -> str:
    """Return a path as text that can be printed, whatever bytes it holds; control characters are escaped."""
    return printable(os.fspath(path), keep="")


def printable(text: str, keep: str = "\n\t") -> str:
    """Return ``text`` with escapes for what a terminal would act on: control characters and changes of direction.

    >>> printable("a\\x1b[2J")
    'a\\\\x1b[2J'
    """
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(char if char in keep or not _acts(char) else _escape(char) for char in safe)


def _acts(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Cc", "Zl", "Zp") or "\u202a" <= char <= "\u202e" or "\u2066" <= char <= "\u2069"
    )


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
