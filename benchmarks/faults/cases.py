"""How cases are drawn from a hypothesis strategy, and how a command is tried on them within this process.

Takes a strategy and a seed. Returns cases; and of each what is wrong, None where nothing is.
"""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from typer.testing import CliRunner

from introspect.cli import app
from tests.swept import SMALL, options, save_quietly
from tests.tiny import tiny_model

Case = TypeVar("Case")
SECONDS = 60.0
"""The longest that one command may take: all of them are small."""
FINE = (0, 2)
"""Exit codes: it is done, or the input is bad."""


class HungError(BaseException):
    """A command did not end; no Exception, which the command might catch."""


def drawn(cases: SearchStrategy[Case], n: int, seed: int) -> list[Case]:
    """Return at most `n` cases, all different, the same for the same seed."""
    found: list[Case] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=n, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(cases)
    def take(case: Case) -> None:
        found.append(case)

    take()
    return found


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise HungError in what does not end in time."""

    def ring(*_: object) -> None:
        raise HungError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def wrong(words: Sequence[object], *, codes: Sequence[int] = FINE, seconds: float = SECONDS) -> str | None:
    """Run a command and tell what is wrong with its end: the code, a traceback, too many lines, or that it has none."""
    try:
        with within(seconds):
            ran = CliRunner().invoke(app, [str(word) for word in words])
    except HungError:
        return f"no end within {seconds:g} s"
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        return f"a traceback: {type(ran.exception).__name__}: {' '.join(str(ran.exception).split())[:200]}"
    if "Traceback" in ran.output:
        return "a traceback in what it says"
    if ran.exit_code not in codes:
        return f"exit code {ran.exit_code}: {ran.stderr.strip()[-200:]!r}"
    if ran.exit_code == 2 and not is_one_line(ran.stderr):
        return f"exit code 2 with more or less than one line: {ran.stderr[:200]!r}"
    return None


def is_one_line(said: str) -> bool:
    """Tell whether this is one line that names us, as bad input is said."""
    return said.startswith("introspect: ") and said.count("\n") == 1 and said.endswith("\n")


def small_model(folder: Path) -> Path:
    """Save a tiny model with random weights, and return its folder."""
    return save_quietly(tiny_model(), folder)


def small_run(model: Path, folder: Path) -> Path:
    """Make a whole run of the tiny model, with tables and figures, and return its folder."""
    from introspect.experiment.sweep import run_sweep

    return run_sweep(options(model, folder)).folder


def small_sweep(model: Path, folder: Path) -> list[str]:
    """Write the command that makes the same run."""
    asked = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return ["sweep", str(model), *asked, "--out", str(folder)]
