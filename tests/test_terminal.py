"""What a terminal does to a command: pipes that are closed, letters it lacks, Ctrl-C at any moment, once or twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from introspect.experiment.run import Run

INTERRUPTED = {0, 130, -signal.SIGINT}
"""It was done; it ended in an orderly way; the second Ctrl-C, or one before our first line, ended it at once."""


def begin(*args: object, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "introspect", *map(str, args)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, **environment}, **pipes)  # type: ignore[call-overload,no-any-return]


def encodable(text: str, letters: str) -> bool:
    return text.encode(letters, "replace").decode(letters) == text


@pytest.mark.parametrize("args", [("protocols",), ("concepts",), ("--help",), ("prompts",)], ids=" ".join)
def test_who_closes_the_pipe_has_read_enough(args: tuple[str, ...]) -> None:
    process = begin(*args)
    assert process.stdout is not None
    process.stdout.close()
    code = process.wait()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert (code, said) == (128 + signal.SIGPIPE, "")


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("letters", ["ascii", "cp1252", "latin-1"])
def test_a_terminal_that_lacks_a_letter_shows_another(letters: str, finished: Path) -> None:
    with Run.open(finished) as run:
        strange = run.trials[~run.trials["text"].map(lambda text: encodable(text, letters))]["trial"].iloc[0]
    process = begin("show", finished, strange, PYTHONIOENCODING=letters, PYTHONUTF8="0")
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("seed", range(6))
def test_ctrl_c_at_any_moment_once_or_twice_shows_no_traceback(seed: int, tiny: Path, tmp_path: Path) -> None:
    drawn = random.Random(seed)
    asked = ("--concepts", "dust,snow", "--layers", "0", "--max-new-tokens", "4", "--out", tmp_path / "run")
    process = begin("sweep", tiny, *asked)
    for _ in range(drawn.choice((1, 2))):
        time.sleep(drawn.choice((0.05, 0.2, 1.0, 4.0)) * drawn.random())
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    if "KeyboardInterrupt" in err and ("in main" not in err or "<frozen site>" in err):
        return  # it came before our first line, and Python itself said so
    assert process.returncode in INTERRUPTED, err
    assert "Traceback" not in out + err
    assert "Exception ignored" not in out + err
