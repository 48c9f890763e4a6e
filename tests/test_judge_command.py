"""`introspect grade RUN --grader judge` against an endpoint: grades, costs, and what ends it early."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from judged import NO, YES, Handler, Script, Step, endpoint, judged_run, status, verdict
from typer.testing import CliRunner

from introspect.cli import app
from introspect.records.response import Grade
from introspect.results.store.store import Store

KEY = "sk-secret-1234"
TEXTS = ["Yes. It is about dust.", "No.", "Yes. It is about dust.", "I do not know."]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the key of the judge, and no other."""
    monkeypatch.setenv("INTROSPECT_JUDGE_KEY", KEY)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Make a run of four answers, two of them alike."""
    return judged_run(tmp_path / "run", TEXTS)


def grade(run: Path, script: Script | None = None, *options: object) -> tuple[int, str, str]:
    """Grade a run by the judge; give exit code, stdout and stderr."""
    judge = [] if script is None else ["--judge-url", script.url, "--judge-model", "m"]
    ran = CliRunner().invoke(app, ["grade", str(run), "--grader", "judge", *judge, *map(str, options)])
    return ran.exit_code, ran.stdout, ran.stderr


def table(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "tables" / "trials.csv", keep_default_na=False, na_values=[""])


def judged(run: Path) -> list[Grade]:
    with Store.open(run) as store:
        return [one for trial in store.trials() for one in store.grades(trial.id) if one.grader == "judge"]


def by_answer(handler: Handler) -> None:
    """Judge by what is asked about: yes, no, and for all else a verdict that quotes what is not there."""
    asked = handler.script.asked[-1]["messages"][1]["content"]
    if "\nYes. It is about dust.\n" in asked:
        verdict(YES)(handler)
    elif "\nNo.\n" in asked:
        verdict(NO)(handler)
    else:
        verdict({**YES, "detected_quote": "Of course."})(handler)


def test_grades_stand_beside_those_of_the_rules_and_say_what_cannot_be_used(run: Path) -> None:
    with endpoint(by_answer) as script:
        code, out, err = grade(run, script, "--judge-concurrency", 1)
    assert (code, err) == (0, "")
    assert len(script.asked) == 3
    assert "verdicts of m: 3 graded, 1 malformed" in out
    assert "asked 3, 1 replies were kept already; 300 tokens read, 60 written, cost unknown (no --judge-price)" in out
    rows = table(run).set_index("text").loc[["No.", "I do not know."]]
    assert list(rows["judge_state"]) == ["graded", "malformed"]
    assert rows["judge_detected"].astype(object).where(rows["judge_detected"].notna(), None).tolist() == [False, None]
    assert rows["rules_detected"].notna().all()
    assert set(pd.read_csv(run / "tables" / "rates.csv")["grader"]) == {"judge", "rules"}


def test_a_second_grading_asks_nothing_and_gives_the_same(run: Path) -> None:
    with endpoint(by_answer) as script:
        grade(run, script, "--judge-concurrency", 1)
        before = (run / "tables" / "trials.csv").read_text()
    code, out, _ = grade(run, script)
    assert code == 0
    assert "asked 0, 4 replies were kept already" in out
    assert (run / "tables" / "trials.csv").read_text() == before


def test_the_price_gives_the_cost(run: Path) -> None:
    with endpoint(verdict(NO)) as script:
        assert "cost 0.0003" in grade(run, script, "--judge-price", "0.5,2", "--judge-concurrency", 1)[1]


def test_a_format_that_is_not_supported_is_told(run: Path) -> None:
    with endpoint(status(400, "response_format is not supported"), verdict(NO)) as script:
        out = grade(run, script)[1]
        assert "4 replies were asked for as: json_object, max_tokens" in out
        assert "4 replies were asked for as: json_object, max_tokens" in grade(run, script)[1]


def interrupt(handler: Handler) -> None:
    """Answer, as the user presses Ctrl-C."""
    verdict(NO)(handler)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, which a shell's background jobs are begun without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_keeps_what_is_judged_and_the_same_command_goes_on(run: Path) -> None:
    wait: Step = lambda handler: handler.server.over.wait(20)  # type: ignore[attr-defined]  # noqa: E731
    with endpoint(verdict(NO), interrupt, wait) as script:
        code, out, err = grade(run, script, "--judge-concurrency", 1)
    assert (code, out) == (130, "")
    assert "introspect: stopped after" in err
    assert "the same command continues" in err
    assert err.count("\n") == 1
    with endpoint(verdict(NO), port=script.port) as again:
        code, out, _ = grade(run, again)
    assert code == 0
    assert "verdicts of m: 4 graded" in out
    assert 1 <= len(again.asked) <= 2


def test_another_judge_replaces_the_grades_of_the_one_before_all_at_once(run: Path) -> None:
    other = verdict({**NO, "coherent": "no"})
    with endpoint(*[verdict(NO)] * 3, other, status(402, "no credit left"), other) as script:
        assert grade(run, script, "--judge-concurrency", 1)[0] == 0
        before = judged(run)
        assert grade(run, script, "--judge-max-tokens", 50, "--judge-concurrency", 1)[0] == 1
        assert judged(run) == before
        assert grade(run, script, "--judge-max-tokens", 50)[0] == 0
    assert [one.coherent for one in judged(run)] == [False] * 4
    assert len({one.version for one in judged(run)}) == 1


def test_an_endpoint_that_breaks_down_leaves_what_is_judged(run: Path) -> None:
    with endpoint(verdict(NO), status(402, "no credit left")) as script:
        code, out, err = grade(run, script, "--judge-concurrency", 1)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "no credit left" in err
    assert [one.state for one in judged(run)] == ["graded"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--judge-model: which model judges?"),
        (["--judge-model", "no/such/model"], "--judge-model 'no/such/model'"),
        (["--judge-model", "organism:nosuch"], "unknown organism 'nosuch'"),
        (["--judge-model", "m", "--judge-url", "localhost:8000"], "'localhost:8000' is no url"),
        (["--judge-model", "m", "--judge-url", "http://me:secret@host/v1"], "INTROSPECT_JUDGE_KEY"),
        (["--judge-model", "m", "--judge-url", "http://127.0.0.1:9/v1"], "cannot be reached"),
        (["--judge-model", "m", "--judge-url", "http://h/v1", "--judge-price", "1"], "--judge-price: cannot read '1'"),
        (["--judge-model", "m", "--judge-url", "http://h/v1", "--judge-max-tokens", "0"], "--judge-max-tokens: 0"),
        (["--judge-model", "m", "--judge-url", "http://h/v1", "--judge-timeout", "nan"], "--judge-timeout: nan"),
    ],
)
def test_bad_input_is_one_line_and_changes_no_grade(run: Path, options: list[str], said: str) -> None:
    code, out, err = grade(run, None, *options)
    assert (code, out) == (2, "")
    assert err.startswith("introspect: ")
    assert err.count("\n") == 1
    assert said in err
    assert "secret" not in err
    with Store.open(run) as store:
        assert {one.grader for trial in store.trials() for one in store.grades(trial.id)} == {"rules"}


def test_a_judge_without_the_grader_is_refused(run: Path) -> None:
    ran = CliRunner().invoke(app, ["grade", str(run), "--judge-model", "m"])
    assert ran.exit_code == 2
    assert "are for --grader judge" in ran.stderr


@pytest.mark.parametrize("keys", [{"INTROSPECT_JUDGE_KEY": "a", "OPENAI_API_KEY": "b"}, {"OPENAI_API_KEY": "a"}, {}])
def test_the_key_is_read_from_the_environment_and_neither_stored_nor_printed(
    run: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any]
) -> None:
    monkeypatch.delenv("INTROSPECT_JUDGE_KEY")
    for name, value in keys.items():
        monkeypatch.setenv(name, f"sk-secret-{value}")
    with endpoint(verdict(NO)) as script:
        code, out, err = grade(run, script)
    assert set(script.keys) == {"Bearer sk-secret-a" if keys else "Bearer none"}
    assert code == 0
    assert "secret" not in out + err
    assert not any(b"sk-secret" in path.read_bytes() for path in run.rglob("*") if path.is_file())
