"""Processes that are killed (SIGKILL) while they work."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path


def children(process: int) -> list[int]:
    try:
        return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def start(function: Callable[..., object], *arguments: object) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    return process


def wait_for(condition: Callable[[], bool], process: multiprocessing.process.BaseProcess) -> bool:
    """Wait until the condition holds; False when the process ends before that."""
    while process.is_alive():
        if condition():
            return True
        time.sleep(0.005)
    return False
