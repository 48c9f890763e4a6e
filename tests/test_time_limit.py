"""The limit on templates: what is too long ends, and what ends in time leaves nothing behind in the interpreter."""

import subprocess
import sys
import time

import pytest

from introspect.prompts.time_limit import TooLongError, within

TRACED = """
import sys
from introspect.prompts.time_limit import within

def entered():
    return 1

with within():
    pass
sys.settrace(lambda *_: None)
entered()
sys.settrace(None)
"""


def endless() -> None:
    with within(0.05):
        while True:
            time.sleep(0.001)


def test_a_function_can_be_entered_while_a_trace_is_set() -> None:
    """As nnsight sets one: an interpreter that still looks for an exception never gets past the entry."""
    subprocess.run([sys.executable, "-c", TRACED], timeout=20, check=True)


def test_what_does_not_end_is_ended_and_the_next_is_not() -> None:
    with pytest.raises(TooLongError):
        endless()
    with within(0.05):
        pass
    time.sleep(0.1)  # nothing comes late


def test_what_is_left_as_its_time_ends_raises_inside_or_not_at_all() -> None:
    for _ in range(200):
        try:
            with within(0.001):
                time.sleep(0.001)
        except TooLongError:
            continue
    assert sum(range(10_000)) == 49_995_000
