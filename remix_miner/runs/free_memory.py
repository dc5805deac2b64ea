"""Memory that can still be allocated: of a GPU, or of this machine within the limit of its container."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

Value = TypeVar("Value")
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def free_memory(device: torch.device) -> float | None:
    """Return the bytes that can be allocated on ``device``, or None where the system does not report it."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    known = [value for value in (_free_of_machine(), _free_of_container()) if value is not None]
    return min(known, default=None)


def _free_of_machine() -> float | None:
    for line in _read(MEMINFO, str.splitlines) or []:
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    return None


def _free_of_container() -> float | None:
    limit, used = (_read(CGROUP / name, float) for name in ("memory.max", "memory.current"))
    cached = _read(CGROUP / "memory.stat", _inactive_file) or 0.0
    return None if limit is None or used is None else max(limit - used + cached, 0.0)


def _inactive_file(text: str) -> float:
    """Return the bytes of cached files, which the system gives up when programs need memory."""
    return next((float(line.split()[1]) for line in text.splitlines() if line.startswith("inactive_file ")), 0.0)


def _read(path: Path, parse: Callable[[str], Value]) -> Value | None:
    try:
        return parse(path.read_text())
    except (OSError, ValueError):  # another system, or no limit ('max')
        return None
