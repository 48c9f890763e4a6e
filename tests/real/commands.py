"""Runs commands as a user does and looks at the runs that they leave.

Only what is to be killed gets a process of its own: to import what a command needs takes ten seconds.
"""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from typer.testing import CliRunner

from introspect.cli import app

INTROSPECT = Path(sys.executable).with_name("introspect")
SET = Path(__file__).with_name("words.csv")
"""Words of the set `published`, with a short baseline: making the vectors of a whole set takes longest here."""
NAMES = [line.partition(",")[0] for line in SET.read_text().splitlines()[1:]]
THREE, FIVE, TEN = (("--concepts", f"{SET}:{','.join(NAMES[:n])}") for n in (3, 5, 10))
"""Three are too few for intervals over concepts: tables say so, and nothing breaks."""
FRAMED = (
    *THREE,
    "--framings",
    "neutral,sceptical,open",
    "--layers",
    "0.5",
    "--strengths",
    "2",
    "--max-new-tokens",
    "16",
)
"""A sweep of `detect` in three framings, in the middle of the layers."""
FEW = (*THREE, "--questions", "detect", "--layers", "0.5", "--strengths", "2", "--max-new-tokens", "16")
"""One question in one framing, at the same place."""


def begin(*args: object) -> "subprocess.Popen[str]":
    """Begin a command in a process of its own."""
    environment = os.environ | {"MPLBACKEND": "agg"}
    command = [str(INTROSPECT), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def introspect(*args: object, code: int = 0) -> str:
    """Run a command that ends with this exit code; give its stdout."""
    ran = CliRunner().invoke(app, list(map(str, args)))
    assert ran.exit_code == code, f"{args}: ended with {ran.exit_code}\n{ran.stdout}\n{ran.stderr}\n{ran.exception!r}"
    return ran.stdout


def stored(run: Path) -> tuple[int, int]:
    """Count the trials of a run that have a response, and those that failed."""
    with closing(sqlite3.connect(f"file:{run / 'run.sqlite'}?mode=ro", uri=True)) as connection:
        counts = (
            connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in ("responses", "errors")
        )
        return next(counts), next(counts)


def check_complete(run: Path, out: str) -> None:
    """Hold that every planned trial is stored with a response, and that tables and figures are there."""
    done, failed = stored(run)
    assert failed == 0
    assert _unwrapped(f"{done} trials in {run}") in _unwrapped(out), out
    assert (run / "tables" / "trials.csv").is_file()
    assert list((run / "figures").glob("*.png"))


def wait_until(run: Path, done: int, process: "subprocess.Popen[str]") -> None:
    """Wait until a run that another process writes holds so many responses."""
    while process.poll() is None:
        if (run / "run.sqlite").is_file() and _done(run) >= done:
            return
        time.sleep(0.02)
    raise AssertionError(f"ended before {done} trials were stored: {process.communicate()}")


def _done(run: Path) -> int:
    try:
        return stored(run)[0]
    except sqlite3.OperationalError:  # not written yet, or being written
        return 0


def _unwrapped(text: str) -> str:
    return "".join(text.split())  # a long path is cut into lines
