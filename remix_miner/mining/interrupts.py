"""Ctrl-C, and the SIGTERM of a batch system, as a question: whether to stop."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

STOPPING = [signal.SIGINT, signal.SIGTERM]


class Interrupts:
    """Within the block, the first signal sets `asked` and lets the scan close what is finished; a second one raises."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in STOPPING}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
