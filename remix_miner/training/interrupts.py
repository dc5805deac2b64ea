"""Ctrl-C and SIGTERM as a wish to stop after the present step, so that nothing is lost."""

import signal
import sys
import threading
from types import FrameType, TracebackType


class Interrupts:
    """While entered, the first signal sets `wanted`, the second one stops at once. Outside the main thread: nothing."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True
        print("stopping after this step; once more to stop at once and lose it", file=sys.stderr, flush=True)
