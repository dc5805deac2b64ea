"""Checks of output paths, made before work starts."""

import os
from pathlib import Path

from remix_miner.atomic import remove_temporary_files_of
from remix_miner.errors import UsageError
from remix_miner.paths import display_name


def check_output_folder(path: str | os.PathLike[str], option: str = "--out") -> Path:
    """Return ``path`` if it is a folder that can be written to, or can become one; nothing is created.

    Raises `UsageError`, which names ``option``, where the path or one of its parents is a file or a broken link, or
    where the nearest folder that exists cannot be written to.
    """
    folder = Path(path)
    nearest = _nearest_existing(folder)
    if not nearest.is_dir():
        what = "a broken link" if nearest.is_symlink() and not nearest.exists() else "a file"
        where = "" if nearest == folder else f"{display_name(nearest)}, above it, "
        raise UsageError(f"{option} {display_name(folder)}: {where}is {what}, not a folder; choose another folder")
    _check_writable(nearest, f"{option} {display_name(folder)}")
    return folder


def check_output_file(path: str | os.PathLike[str], option: str = "--out") -> Path:
    """Return ``path`` if a file can be written there; nothing is created, and what a killed run left for it is removed.

    Raises `UsageError`, which names ``option``, where the path is a folder, or its parent cannot be a folder.
    """
    file = Path(path)
    if file.is_dir():
        raise UsageError(f"{option} {display_name(file)} is a folder; give the name of a file")
    check_output_folder(file.parent, f"{option} {display_name(file)}: folder")
    remove_temporary_files_of(file)
    return file


def _nearest_existing(path: Path) -> Path:
    """Return the path itself, or the nearest of its parents that exists; a broken link counts as existing."""
    for place in (path, *path.parents):
        if os.path.lexists(place):
            return place
    return Path()


def _check_writable(folder: Path, what: str) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{what}: {display_name(folder)} cannot be written to; change its permissions")
