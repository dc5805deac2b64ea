"""Progress on standard error: a rich bar with a time estimate, or a plain line every ten seconds without a terminal."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import TypeVar

from remix_miner.verbosity import Verbosity, verbosity

Item = TypeVar("Item")
PLAIN_SECONDS = 10.0


class Progress:
    """A bar of ``total`` steps (None: unknown) that can carry a changing note.

    >>> with Progress("scanning", total=2) as progress:
    ...     progress.advance(1, note="3 excerpts")
    """

    def __init__(self, description: str, total: float | None = None, unit: str = "") -> None:
        self.description = description
        self.total = total
        self.unit = unit
        self.done = 0.0
        self.note = ""
        self._started = self._printed = time.monotonic()
        self._bar = None
        self._quiet = verbosity() == Verbosity.QUIET
        if sys.stderr.isatty() and not self._quiet:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as Bar

            self._bar = Bar(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(description, total=total, note="")

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None and time.monotonic() - self._started > PLAIN_SECONDS:
            self._print()

    def advance(self, steps: float = 1, note: str | None = None) -> None:
        """Count ``steps`` as done and show ``note`` behind the bar."""
        self.done += steps
        if note is not None:
            self.note = note
        if self._bar is not None:
            self._bar.update(self._task, advance=steps, note=self.note)
        elif time.monotonic() - self._printed > PLAIN_SECONDS:
            self._print()

    def expect(self, total: float) -> None:
        """Correct the total."""
        self.total = total
        if self._bar is not None:
            self._bar.update(self._task, total=total)

    def _print(self) -> None:
        self._printed = time.monotonic()
        if self._quiet:
            return
        elapsed = self._printed - self._started
        of_total = f"/{_short(self.total)}" if self.total is not None else ""
        rest = ""
        if self.total and self.done:
            rest = f", {elapsed * max(self.total - self.done, 0) / self.done:.0f} s left"
        note = f"  {self.note}" if self.note else ""
        print(
            f"{self.description}: {_short(self.done)}{of_total} {self.unit} in {elapsed:.0f} s{rest}{note}".replace(
                "  in", " in"
            ),
            file=sys.stderr,
            flush=True,
        )


def _short(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Iterate with a progress bar, counting each item when it is done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(description, total) as progress:
        for item in items:
            yield item
            progress.advance()
