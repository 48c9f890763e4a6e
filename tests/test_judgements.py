"""Replies are kept whole, one transaction each, and survive whatever ends the process."""

import subprocess
import sys
from pathlib import Path

import pytest
from judged import reply
from made import trial

from introspect.errors import InputError
from introspect.grading.judge.replies import Reply
from introspect.grading.judge.rubrics import question
from introspect.results.store.judge_replies import FILE, Judgements

ASKED = question(trial(), "Yes.")
KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from judged import reply
from test_judgements import ASKED, opened
with opened(Path(sys.argv[1])) as kept:
    kept.put("a", ASKED, reply())
    os.kill(os.getpid(), 9)
"""


def opened(folder: Path) -> Judgements:
    return Judgements(folder, judge="m", url=None)


@pytest.mark.parametrize(
    "kept",
    [
        reply('a "b"\r\n\u2028 \U0001f600', cost=0.5),
        Reply(None, "No.", None, None, None, None, None, "none, greedy"),
    ],
)
def test_a_reply_comes_back_as_it_was(tmp_path: Path, kept: Reply) -> None:
    with opened(tmp_path) as replies:
        assert replies.get("a") is None
        replies.put("a", ASKED, kept)
        assert replies.get("a") == kept
    with opened(tmp_path) as replies:
        assert replies.get("a") == kept
        assert replies.count() == 1


def test_a_reply_is_on_the_disk_when_the_process_is_killed(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", KILLED, tmp_path, Path(__file__).parent], check=False)
    assert ran.returncode == -9
    with opened(tmp_path) as replies:
        assert replies.get("a") == reply()


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("a thesis, not a database, and long enough to be told from one" * 20)
    with pytest.raises(InputError, match=FILE):
        opened(tmp_path)
