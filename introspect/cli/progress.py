"""How far a command is: a bar on a terminal; elsewhere, such as in the log of a batch system, a plain line a minute.

Goes in: what was done, of how many. Nothing comes out but what is shown on stderr.
"""

import sys
import threading
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

LINE_SECONDS = 60.0
"""Seconds between two plain lines."""


class Progress:
    """A bar with rate and time left on a terminal, a plain line every minute elsewhere.

    Args:
        what: is counted, unless a report says otherwise.
        every: seconds between two plain lines, EVERY when left out.
    """

    def __init__(self, what: str = "trials", *, every: float | None = None) -> None:
        self._what, self._every = what, LINE_SECONDS if every is None else every
        self._first: int | None = None
        self._done = 0
        self._total: int | None = None
        self._begun = time.monotonic()
        self._ended = threading.Event()
        self._lines = threading.Thread(target=self._say, daemon=True)
        self._bar = Bar(
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
            *(TaskProgressColumn(show_speed=True), TimeRemainingColumn()),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(what, total=None)

    def __enter__(self) -> Self:
        """Begin to show."""
        self._bar.start()
        if self._bar.disable:
            self._lines.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state standing."""
        self._ended.set()
        self._bar.stop()

    def report(self, done: int, total: int, what: str | None = None) -> None:
        """Take note of how far it is; the rate begins anew where something else is counted."""
        if what is not None and what != self._what:
            self._what, self._begun, self._first = what, time.monotonic(), None
            self._bar.reset(self._task, description=what)
        self._first = done if self._first is None else self._first  # what an earlier call did says nothing of the rate
        self._done, self._total = done, total
        self._bar.update(self._task, completed=done, total=total)

    def _say(self) -> None:
        """Write a line again and again: even where nothing was finished since, it says that the command lives."""
        while not self._ended.wait(self._every):
            new = self._done - (self._first or 0)
            line = line_of(self._what, self._done, self._total, new, time.monotonic() - self._begun)
            sys.stderr.write(f"introspect: {line}\n")
            sys.stderr.flush()


def line_of(what: str, done: int, total: int | None, new: int, seconds: float) -> str:
    """Return how far it is: `new` of what is done were finished in these seconds, the rest in an earlier call."""
    minutes = seconds / 60
    if total is None:
        return f"{what}, {minutes:.0f} min"
    line = f"{done} of {total} {what}, {minutes:.0f} min"
    if new <= 0 or minutes <= 0:
        return line
    rate = new / minutes
    return f"{line}; {rate:.3g} per minute, about {(total - done) / rate:.0f} min left"
