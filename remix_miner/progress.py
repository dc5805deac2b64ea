"""Progress: a bar with a time estimate in a terminal or a notebook, else a plain line every ten seconds on stderr."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from html import escape
from types import TracebackType
from typing import Any, TypeVar

from remix_miner.verbosity import Verbosity, verbosity

Item = TypeVar("Item")
PLAIN_SECONDS = 10.0
CELL_SECONDS = 0.2


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
        self._cell = _CellBar(description) if _in_notebook() and not self._quiet else None
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
        if self._cell is not None:
            self._cell.draw(0, self.total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._cell is not None:
            self._cell.draw(self.done, self.total, self.note, last=True)
        elif kind is None and time.monotonic() - self._started > PLAIN_SECONDS:
            self._print()

    def advance(self, steps: float = 1, note: str | None = None) -> None:
        """Count ``steps`` as done and show ``note`` behind the bar."""
        self.done += steps
        if note is not None:
            self.note = note
        if self._bar is not None:
            self._bar.update(self._task, advance=steps, note=self.note)
        elif self._cell is not None:
            self._cell.draw(self.done, self.total, self.note)
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


class _CellBar:
    """A bar in a notebook's running cell: HTML that is replaced in place, without widgets."""

    def __init__(self, description: str) -> None:
        self.description = description
        self._handle: Any = None
        self._started = time.monotonic()
        self._drawn = 0.0

    def draw(self, done: float, total: float | None, note: str = "", last: bool = False) -> None:
        """Show ``done`` of ``total`` (None: unknown) and ``note``; ``last`` draws in any case."""
        now = time.monotonic()
        if not last and self._handle is not None and now - self._drawn < CELL_SECONDS:
            return
        self._drawn = now
        from IPython.display import HTML, display

        page = HTML(_bar_html(self.description, done, total, now - self._started, note))
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)


def _in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config


def _bar_html(description: str, done: float, total: float | None, seconds: float, note: str) -> str:
    """Return the bar as HTML.

    >>> _bar_html("scanning", 1, 4, 10.0, "2 excerpts")
    '<div>scanning <progress max="4" value="1"></progress> 1/4 in 10 s, 30 s left&emsp;2 excerpts</div>'
    """
    counts = f"{done:g}" if total is None else f"{done:g}/{total:g}"
    left = f", {seconds * max(total - done, 0) / done:.0f} s left" if total and done and done < total else ""
    bar = f'<progress max="{total:g}" value="{min(done, total):g}"></progress> ' if total else ""
    shown_note = f"&emsp;{escape(note)}" if note else ""
    return f"<div>{escape(description)} {bar}{counts} in {seconds:.0f} s{left}{shown_note}</div>"
