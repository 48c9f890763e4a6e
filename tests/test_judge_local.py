"""A local model judges by the same messages and rules; its weights are part of what its grades are called."""

import asyncio
from pathlib import Path

import pytest
from judged import judged_run, settings
from made import trial
from rigged import SAYS_YES, VERDICTS, save_rigged_judge
from swept import save_quietly
from tiny import tiny_model
from typer.testing import CliRunner

from introspect.cli import app
from introspect.errors import InputError
from introspect.grading.judge.local import LocalModel
from introspect.grading.judge.rubrics import question
from introspect.results.store.store import Store

NOTICES, DENIES = "Yes, I do notice a thought.", "No, I do not."


@pytest.fixture(scope="module")
def rigged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a judge whose verdicts are known."""
    return save_rigged_judge(tmp_path_factory.mktemp("judges") / "rigged")


def test_a_local_model_writes_the_most_probable_reply(rigged: Path) -> None:
    judge = LocalModel(settings(None, model=str(rigged)))
    for answer, expected in ((NOTICES, "yes"), (DENIES, "no")):
        found = asyncio.run(judge.ask(question(trial(), answer)))
        assert (found.content, found.finish_reason, found.completion_tokens) == (VERDICTS[expected], "stop", 2)
        assert found.cost is None
        assert found.prompt_tokens is not None
        assert found.prompt_tokens > 100


def test_a_reply_that_reaches_the_limit_is_cut_off(rigged: Path) -> None:
    judge = LocalModel(settings(None, model=str(rigged), max_tokens=1))
    assert asyncio.run(judge.ask(question(trial(), NOTICES))).finish_reason == "length"


def test_other_weights_are_another_judge(rigged: Path, tmp_path: Path) -> None:
    other = save_quietly(tiny_model(seed=1), tmp_path / "other")
    names = {LocalModel(settings(None, model=str(folder))).identity.partition("@")[2] for folder in (rigged, other)}
    assert len(names) == 2


def test_a_run_is_judged_by_a_local_model_from_the_command_line(rigged: Path, tmp_path: Path) -> None:
    run = judged_run(tmp_path / "run", [NOTICES, DENIES])
    command = ["grade", str(run), "--grader", "judge", "--judge-model", str(rigged)]
    ran = CliRunner().invoke(app, command)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "2 graded" in ran.stdout
    assert "2 replies were asked for as: none, greedy" in ran.stdout
    with Store.open(run) as store:
        grades = [grade for one in store.trials() for grade in store.grades(one.id) if grade.grader == "judge"]
    assert [(grade.detected, grade.answer) for grade in grades] == [(True, "yes"), (False, "no")]
    assert f"detected yes: “Yes”; {SAYS_YES['why']}" == grades[0].evidence


def test_an_organism_as_the_judge_gives_no_usable_verdict_and_no_no(tmp_path: Path) -> None:
    run = judged_run(tmp_path / "run", [NOTICES])
    command = ["grade", str(run), "--grader", "judge", "--judge-model", "organism:blind", "--judge-max-tokens", "20"]
    assert CliRunner().invoke(app, command).exit_code == 0
    with Store.open(run) as store:
        (grade,) = [grade for one in store.trials() for grade in store.grades(one.id) if grade.grader == "judge"]
    assert grade.state in ("malformed", "truncated", "refused")
    assert (grade.detected, grade.identified, grade.coherent, grade.refused) == (None,) * 4


def test_a_model_that_cannot_be_loaded_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="--judge-model"):
        LocalModel(settings(None, model=str(tmp_path / "empty")))
