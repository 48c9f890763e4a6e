"""A limit on how long foreign templates may run: those of a checkpoint, of a user, and of a stranger's run.

Takes seconds. Raises TooLongError in the thread that entered, wherever its Python code is by then; jinja's sandbox has
no such limit, and two nested loops over its longest range take hours. Nothing is ever taken back by raising None:
CPython 3.11 then looks for it before every call, and never gets past the entry of a function while a trace is set,
which nnsight does.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 5.0
"""A prompt takes milliseconds; so long takes only a template that would not end."""
MOST_CHARACTERS = 10_000_000
"""Longest text that a template may give; the longest prompts of any model have a tenth of it."""


class TooLongError(Exception):
    """A template did not end in time."""


@contextmanager
def within(seconds: float = SECONDS) -> Iterator[None]:
    """Raise TooLongError in this thread unless the context is left in time."""
    thread, lock, left = ctypes.c_ulong(threading.get_ident()), threading.Lock(), threading.Event()

    def watch() -> None:
        if left.wait(seconds):
            return
        with lock:  # so that nothing is raised once the context was left
            if not left.is_set():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TooLongError))

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with lock:
            left.set()  # what was raised before arrives at this call, at the latest
