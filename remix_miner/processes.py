"""What processes that are started here find in their environment."""

import contextlib
import os
from collections.abc import Iterator, Mapping

THREADS_OF_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Environment variables that libraries read when they are loaded."""


ONE_THREAD_EACH = dict.fromkeys(THREADS_OF_LIBRARIES, "1")


def one_thread_each() -> contextlib.AbstractContextManager[None]:
    """Processes started within compute with one thread each, in every library: it is they that run in parallel.

    Without it, NumPy's product of a matrix and a vector wakes a thread per core in every process, which then wait in
    each other's way. It must surround the start: a process that runs already has loaded its libraries.
    """
    return environment(ONE_THREAD_EACH)


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for processes started within; afterwards all is as it was."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
