"""The program `introspect`, also `python -m introspect`: the command line, and how a terminal may treat it.

What a terminal cannot show is replaced; who closes the pipe that we write to has read enough; the first Ctrl-C ends a
command in an orderly way, the second one at once. None of these shows a traceback.
"""

import os
import select
import signal
import sys
from typing import Any

INTERRUPTED = 128 + signal.SIGINT
CLOSED = 128 + signal.SIGPIPE
"""Exit code of a program that wrote to a pipe which nobody reads."""


def main() -> None:
    """Run a command as the arguments say, and exit."""
    signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _unraisable
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        _command()
    except KeyboardInterrupt:
        sys.stderr.write("introspect: interrupted; the same command continues\n")
        sys.exit(INTERRUPTED)


def _command() -> None:
    """Run a command; rich and click each end it in a way of their own when the pipe is closed, always with code 1."""
    pipe = None if sys.stdout is None else os.dup(sys.stdout.fileno())
    try:
        from introspect.cli import app  # takes a while, in which Ctrl-C may be pressed

        app()
    except SystemExit as ended:
        if pipe is None or ended.code == 2 or not _closed(pipe):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python tries once more to write what is left
        sys.exit(CLOSED)


def _closed(pipe: int) -> bool:
    """Whether it is a pipe at whose other end is nobody any more."""
    poll = select.poll()
    poll.register(pipe, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _interrupt(*_: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _unraisable(what: Any) -> None:  # Any: Python's own record, which has no public type
    """Tell of an error that nobody can catch, unless it is an interruption: that ends the command anyway."""
    if not issubclass(what.exc_type, (KeyboardInterrupt, BrokenPipeError)):
        sys.__unraisablehook__(what)


if __name__ == "__main__":
    main()
