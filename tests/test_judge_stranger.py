"""A stranger is asked the same of every trial with the same text, and only what it can quote counts as a trace."""

import asyncio
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from judged import endpoint, judged_run, reply, settings, verdict
from made import response, trial
from test_judging import Kept, Scripted
from typer.testing import CliRunner

from introspect.cli import app
from introspect.grading.judge.judging import Judge, grade_all
from introspect.grading.judge.stranger import Stranger
from introspect.records.response import Grade, Response
from introspect.records.trial import Trial

WORDS = ("dust", "snow", "trumpets")
TEXT = "No. Everything is grey and settles slowly on the shelves."
BASE = {"why": "grey", "coherent": "yes", "refused": "no", "refused_quote": ""}
FOUND = {**BASE, "traces": "yes", "traces_quote": "settles slowly on the shelves", "word": "dust"}
NOTHING = {**BASE, "traces": "no", "traces_quote": "", "word": "unclear"}


def read(answers: list[tuple[Trial, Response]], backend: Scripted, words: tuple[str, ...] = WORDS) -> list[Grade]:
    grades: list[Grade] = []
    stranger = Stranger(settings("http://localhost/v1"), backend, Kept(), words)
    asyncio.run(grade_all(stranger, answers, lambda grade: grades.append(grade) if grade else None))
    return grades


def one(of: Trial, values: dict[str, Any]) -> Grade:
    (grade,) = read([(of, response(of, TEXT))], Scripted(lambda _: reply(values)))
    return grade


def test_what_is_asked_hangs_on_the_text_alone() -> None:
    backend = Scripted(lambda _: reply(FOUND))
    trials = [trial(concept=word, arm=arm, seed=n) for n, word in enumerate(WORDS[:2]) for arm in ("injected", "none")]
    grades = read([(each, response(each, TEXT)) for each in trials], backend)
    assert len(backend.asked) == 1, "the same text is read once"
    assert {grade.detected for grade in grades} == {True}
    told = " ".join(message["content"] for message in backend.asked[0].messages)
    assert all(word in told for word in WORDS)
    assert not any(arm in told for arm in ("random", "strength", "layer"))


@pytest.mark.parametrize(
    ("values", "concept", "detected", "identified"),
    [
        (FOUND, "dust", True, True),
        (FOUND, "snow", True, False),
        (NOTHING, "dust", False, False),
        ({**NOTHING, "word": "dust"}, "dust", False, False),
        ({**FOUND, "word": "unclear"}, "dust", True, None),
        ({**NOTHING, "traces": "unclear"}, "dust", None, None),
        ({**FOUND, "refused": "yes", "refused_quote": "No."}, "dust", True, True),
    ],
)
def test_a_guess_is_right_where_it_is_the_concept_of_the_trial(
    values: dict[str, str], concept: str, detected: bool | None, identified: bool | None
) -> None:
    grade = one(trial(concept=concept), values)
    assert (grade.detected, grade.identified, grade.state, grade.grader) == (detected, identified, "graded", "stranger")


def test_a_trace_that_does_not_occur_in_the_text_and_a_word_off_the_list_decide_nothing() -> None:
    for values in ({**FOUND, "traces_quote": "dusty"}, {**FOUND, "traces_quote": ""}, {**FOUND, "word": "bread"}):
        grade = one(trial(), values)
        assert (grade.detected, grade.identified, grade.state) == (None, None, "malformed")


def test_answers_to_other_questions_are_not_read() -> None:
    plain = trial(question="unrelated", expected="yes")
    assert read([(plain, response(plain, TEXT))], Scripted(lambda _: reply(FOUND))) == []


def test_its_version_changes_with_the_words_and_is_no_judges() -> None:
    backend = Scripted(lambda _: reply(FOUND))
    made = [Stranger(settings(None), backend, Kept(), words).versions() for words in (WORDS, WORDS[:2], WORDS[::-1])]
    assert made[0] == made[2] != made[1]
    assert not made[0] & Judge(settings(None), backend, Kept()).versions()


def test_the_command_gives_its_rates_beside_those_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTROSPECT_JUDGE_KEY", "sk-1")
    run = judged_run(tmp_path / "run", [TEXT, TEXT])
    with endpoint(verdict(FOUND)) as script:
        words = ["grade", str(run), "--grader", "rules,stranger", "--judge-url", script.url, "--judge-model", "m"]
        ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.stderr
    assert len(script.asked) == 1
    rates = pd.read_csv(run / "tables" / "rates.csv")
    found = rates[(rates["measure"] == "detected") & (rates["arm"] == "injected")].set_index("grader")["k"]
    assert found["stranger"] > found["rules"] == 0
