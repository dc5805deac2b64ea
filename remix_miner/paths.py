"""Paths as text for messages."""

import os


def display_name(path: str | os.PathLike[str]) -> str:
    """Return a path as text that can be printed, whatever bytes it holds."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8").replace("\n", "\\n")
