"""What is seen of a long command where there is no terminal: plain lines, whether something was finished or not."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect.cli.progress import Progress, line_of


def lines_of(
    capsys: pytest.CaptureFixture[str], progress: Progress, *reports: tuple[int, int, str | None]
) -> list[str]:
    with progress:
        for report in reports:
            progress.report(*report)
        deadline, said = time.monotonic() + 10, ""
        while "\n" not in said and time.monotonic() < deadline:
            said += capsys.readouterr().err
            time.sleep(0.005)
    return said.splitlines()


def test_without_a_terminal_a_line_comes_again_and_again(capsys: pytest.CaptureFixture[str]) -> None:
    said = lines_of(capsys, Progress(every=0.01), (3, 10, None))
    assert said[0] == "introspect: 3 of 10 trials, 0 min"


def test_a_line_comes_before_anything_was_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(capsys, Progress(every=0.01))[0] == "introspect: trials, 0 min"


def test_what_is_counted_may_change(capsys: pytest.CaptureFixture[str]) -> None:
    said = lines_of(capsys, Progress(every=0.05), (9, 9, "texts"), (1, 4, "probes"))
    assert said[0] == "introspect: 1 of 4 probes, 0 min"


def test_a_short_command_says_nothing_and_leaves_no_thread(capsys: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    with Progress() as progress:
        progress.report(1, 1)
    assert capsys.readouterr().err == ""
    time.sleep(0.05)
    assert not {thread for thread in set(threading.enumerate()) - before if thread.is_alive()}


@given(st.integers(0, 900), st.integers(1, 100), st.floats(1.0, 1e5))
def test_the_time_left_is_that_of_what_this_call_has_done(before: int, new: int, seconds: float) -> None:
    done, total = before + new, 1000
    line = line_of("trials", done, total, new, seconds)
    left = float(line.split("about ")[1].split()[0])
    assert left == pytest.approx((total - done) * seconds / new / 60, abs=0.5, rel=1e-3)


def test_nothing_is_said_of_a_rate_before_something_is_done() -> None:
    assert line_of("trials", 40, 100, 0, 90.0) == "40 of 100 trials, 2 min"
