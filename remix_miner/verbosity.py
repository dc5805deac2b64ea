"""Verbosity: how much a command writes to standard error."""

from enum import IntEnum


class Verbosity(IntEnum):
    """``QUIET``: warnings and errors. ``NORMAL``: also notes and progress. ``VERBOSE``: also times and tracebacks."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


_chosen = Verbosity.NORMAL


def set_verbosity(verbosity: Verbosity) -> None:
    """Choose the verbosity of this process."""
    global _chosen
    _chosen = verbosity


def verbosity() -> Verbosity:
    """Return the verbosity of this process."""
    return _chosen
