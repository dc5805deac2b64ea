"""The code that a run was made with: version, commit, and one hash over all source files."""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from remix_miner import __version__

PACKAGE = Path(__file__).parents[1]


def code_version() -> dict[str, Any]:
    """Return the version, the commit (None outside a git checkout), and the SHA-256 over all source files.

    The hash is the same for a checkout, where `detector/` and `datasets/` are links, and for an installed copy of it.
    """
    return {"version": __version__, "commit": _commit(), "sha256": source_hash(PACKAGE)}


def source_hash(package: Path) -> str:
    """Return the SHA-256 over the names and contents of all Python files below ``package``, each counted once."""
    digest = hashlib.sha256()
    for name, path in sorted(_source_files(package, "")):
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _source_files(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    # Path.glob does not follow links, which a checkout has.
    for path in folder.iterdir():
        if path.is_dir():
            yield from _source_files(path, f"{prefix}{path.name}/")
        elif path.suffix == ".py":
            yield f"{prefix}{path.name}", path


def _commit() -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
