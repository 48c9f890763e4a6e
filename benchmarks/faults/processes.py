"""Commands in processes of their own, which can be killed: forked from this one, so that nothing is imported again.

A sweep draws no figures here: they take ten times as long as all else, and are written as the tables are.

Takes the words of a command. Returns how it ended and what it said.
"""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from introspect.__main__ import main
from introspect.experiment import sweep
from introspect.results.tables.trials.absence import Made

HUNG = "no end"
PATIENCE = 120.0
"""Seconds after which a process counts as hung."""


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    """Negative: killed by that signal."""
    said: str
    """What it wrote to stdout and stderr."""
    seconds: float

    @property
    def wrong(self) -> str | None:
        """Tell what no end may be like."""
        if self.said.endswith(HUNG):
            return f"{HUNG} within {PATIENCE:g} s"
        return f"a traceback: {self.said[-300:]!r}" if "Traceback" in self.said else None


class Forked:
    """A command in a fork of this process.

    Args:
        words: the command.
        most: bytes that a file of it may have; more fails as on a disk that is full.
    """

    def __init__(self, words: Sequence[str], *, most: int | None = None) -> None:
        self._read, write = os.pipe()
        self.begun = time.monotonic()
        sys.stdout.flush()
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Python's own fork is not what is tried
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._read)
            _run(words, write, most)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        os.close(write)
        os.set_blocking(self._read, False)

    def kill(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self) -> Ended:
        """Wait for the end, and kill what does not come to one."""
        said, code = b"", None
        while code is None:
            said += self._more()
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() - self.begun > PATIENCE:
                os.kill(self.pid, signal.SIGKILL)
                _, status = os.waitpid(self.pid, 0)
                said, code = said + HUNG.encode(), os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.005)
        took = time.monotonic() - self.begun
        said += self._more()
        os.close(self._read)
        return Ended(code, said.decode(errors="replace"), took)

    def _more(self) -> bytes:
        try:
            return os.read(self._read, 1 << 20)
        except BlockingIOError:
            return b""


def _run(words: Sequence[str], write: int, most: int | None) -> None:
    """Be the command, in the child; nothing of the parent may run after it."""
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for stream in (1, 2):
            os.dup2(write, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1) for stream in (1, 2))
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        sys.argv = ["introspect", *words]
        sweep.draw_all = lambda _: Made()
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def alive(processes: Sequence[psutil.Process]) -> list[int]:
    """Return the ids of those that still run."""
    return [each.pid for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
