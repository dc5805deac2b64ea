"""Standard error without the lines that libmpg123 writes there about damaged files."""

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_LIBRARY_LINE = re.compile(rb"^(\[.*libmpg123.*|Note: .*|Warning: .*|main: .*|\s*)\n?$")


@contextlib.contextmanager
def without_decoder_messages() -> Iterator[None]:
    """Hold back what is written to descriptor 2 in the block, then write all but libmpg123's lines.

    The library has no setting that silences it. Python's own output of other threads is delayed, not lost.
    """
    with _lock, contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
            original = os.dup(2)
        except OSError:  # no standard error, or no room for a temporary file
            yield
            return
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            if held.seek(0, os.SEEK_END):
                held.seek(0)
                other = b"".join(line for line in held if not _LIBRARY_LINE.match(line))
                with contextlib.suppress(OSError):
                    os.write(original, other)
            os.close(original)
