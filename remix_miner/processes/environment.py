"""Environment of worker processes: one thread in each library, and a malloc that keeps freed memory."""

import contextlib
import os
from collections.abc import Iterator, Mapping

THREADS_OF_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Environment variables that libraries read when they are loaded."""

ONE_THREAD_EACH = dict.fromkeys(THREADS_OF_LIBRARIES, "1")

MALLOC = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=268435456:glibc.malloc.trim_threshold=1073741824"


def one_thread_each() -> contextlib.AbstractContextManager[None]:
    """Give one thread in every library to processes started within: they run in parallel themselves.

    Otherwise NumPy's matrix-vector product wakes one thread per core in every process, and the processes contend. The
    context must surround the start: a running process has already loaded its libraries.
    """
    return environment(ONE_THREAD_EACH)


def worker_variables() -> dict[str, str]:
    """Return a worker's environment: one thread, and a malloc that uses huge pages and keeps freed memory.

    Large temporary arrays are cheaper that way, by a seventh of a scan. A ``GLIBC_TUNABLES`` that is set stays.
    """
    return {**ONE_THREAD_EACH, "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", MALLOC)}


def worker_environment() -> contextlib.AbstractContextManager[None]:
    """Give `worker_variables` to processes started within."""
    return environment(worker_variables())


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for processes started within; restore them afterwards."""
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
