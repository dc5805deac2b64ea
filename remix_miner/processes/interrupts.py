"""Graceful stop on Ctrl-C and SIGTERM: the first signal is a request, the second raises KeyboardInterrupt."""

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Context in which the first signal sets `requested` and prints ``message``; the second one raises.

    Outside the main thread, where Python allows no signal handlers, it does nothing.
    """

    def __init__(self, message: str = "") -> None:
        self.requested = False
        self.message = message
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in STOP_SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        if self.message:
            print(self.message, file=sys.stderr, flush=True)
