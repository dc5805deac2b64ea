"""Pool of scoring processes; they exit when their parent does."""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from remix_miner.errors import DataError
from remix_miner.evaluation.score_files import score_files
from remix_miner.processes.environment import one_thread_each
from remix_miner.processes.workers import exit_with_parent

Submit = Callable[..., "Future[dict[str, Any]]"]
"""Takes the arguments of `score_files`, returns the future row."""


@contextlib.contextmanager
def scoring_pool(workers: int, jobs: int) -> Iterator[Submit]:
    """Yield a function that scores one track: in this process for one job or one worker, else in spawned ones."""
    if min(workers, jobs) <= 1:
        yield _score_here
        return
    with ProcessPoolExecutor(
        min(workers, jobs), mp_context=get_context("spawn"), initializer=exit_with_parent, initargs=(os.getpid(),)
    ) as pool:

        def submit(*arguments: Any) -> Future[dict[str, Any]]:
            with one_thread_each():  # the pool starts its processes at the first job
                return pool.submit(score_files, *arguments)

        try:
            yield submit
        except BrokenProcessPool as error:
            raise DataError("a scoring process ended early, most likely out of memory; use fewer --workers") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _score_here(*arguments: Any) -> Future[dict[str, Any]]:
    future: Future[dict[str, Any]] = Future()
    future.set_result(score_files(*arguments))
    return future
