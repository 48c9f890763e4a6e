"""A run gives its trials back, runs them again to the same answer, and changes only what it is asked to."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from swept import contents, options, run_without_figures, save_quietly
from tiny import tiny_model

import introspect as ix
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.experiment.run import Run
from introspect.experiment.run_trial import RunTrial
from introspect.prompts import Encoded


@pytest.fixture(scope="module")
def run(finished: Path) -> Iterator[Run]:
    with Run.open(finished) as opened:
        yield opened


def trial_of(
    run: Run, arm: str, loop: int | None = None, strength: float | None = None, question: str = "detect"
) -> RunTrial:
    """Find the first trial of a cell in the table, as a reader of the table would."""
    rows = run.trials[(run.trials["arm"] == arm) & (run.trials["question"] == question)]
    rows = rows if loop is None else rows[(rows["loop"] == loop) & (rows["strength"] == strength)]
    return run.trial(rows["trial"].iloc[0])


def prompt_of(trial: RunTrial) -> Encoded:
    return trial.run.engine.prompts[trial.record.template_hash, trial.record.variables]


@pytest.fixture(scope="module")
def injected(run: Run) -> RunTrial:
    return trial_of(run, "injected", loop=1, strength=2)


def test_a_run_is_opened_from_the_package_itself(finished: Path) -> None:
    with ix.Run.open(str(finished)) as opened:
        assert opened.manifest["seed"] == 0


def test_the_public_names_are_there_and_no_others() -> None:
    assert all(getattr(ix, name) is not None for name in ix.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        ix.nosuch  # noqa: B018  # the point is that looking is an error


def test_its_tables_are_those_that_were_written(run: Run, finished: Path) -> None:
    for name, table in run.tables.items():
        stored = pd.read_csv(finished / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""])
        assert list(stored.columns) == list(table.columns)
        assert len(stored) == len(table)
    assert len(run.trials) == run.store.count() > 0
    assert "rate" in run.rates


def test_a_trial_is_found_by_the_beginning_of_its_id(run: Run, injected: RunTrial) -> None:
    assert run.trial(injected.id[:10]).record == injected.record
    row = run.trials.set_index("trial").loc[injected.id]
    assert (row["text"], row["concept"]) == (injected.text, injected.record.concept)
    assert [grade.grader for grade in injected.grades] == ["rules"]
    assert len(injected.response.readouts) == 3


@pytest.mark.parametrize("question", ["detect", "unrelated"])
def test_a_control_has_the_same_draws_and_differs_in_the_arm_alone(run: Run, question: str) -> None:
    injected = trial_of(run, "injected", loop=1, strength=2, question=question)
    none, other = injected.control(), injected.control("random")
    for control in (none, other):
        assert replace(control.record, arm="injected", injection=injected.record.injection) == injected.record
    assert (none.record.arm, none.record.injection) == ("none", None)
    assert (other.record.arm, other.record.injection) == ("random", injected.record.injection)
    assert other.control("injected").id == injected.id


def test_the_wrong_arm_is_paired_by_the_concept_that_is_named(injected: RunTrial) -> None:
    wrong = injected.control("wrong")
    assert wrong.record.concept == injected.record.concept != wrong.record.partner
    assert wrong.control("injected").id == injected.id
    assert wrong.control("none").id == injected.control("none").id


def test_a_control_that_is_not_there_is_said(tiny: Path, tmp_path: Path, run: Run, injected: RunTrial) -> None:
    run_without_figures(options(tiny, tmp_path, arms="none"))
    with Run.open(tmp_path) as alone, pytest.raises(InputError, match="no trial of arm 'random' that is paired with"):
        trial_of(alone, "none").control("random")
    with pytest.raises(InputError, match="no trial of arm 'text' that is paired with"):
        injected.control("text")
    with pytest.raises(InputError, match="arm 'nosuch'"):
        injected.control("nosuch")  # type: ignore[arg-type]  # the point
    unasked = trial_of(run, "injected", 0, 2, question="unrelated")
    with pytest.raises(InputError, match="no trial of arm 'wrong' that is paired with"):
        unasked.control("wrong")


def test_the_prompt_is_what_the_trial_was_asked(run: Run) -> None:
    plain = trial_of(run, "none", question="unrelated").record
    assert dict(plain.variables)["question"] in run.prompt(plain).messages[-1]["content"]
    assert run.prompt(plain) != run.prompt(trial_of(run, "none").record)


@pytest.mark.parametrize("arm", ["injected", "none", "random", "wrong"])
def test_a_replay_gives_the_stored_response_again(run: Run, arm: str) -> None:
    stored = trial_of(run, arm)
    again = stored.replay()
    assert again.trial == stored.record
    assert (again.text, again.response.token_ids) == (stored.text, stored.response.token_ids)
    assert stored.grades == [grade for grade in again.grades if grade.grader == "rules"]
    for read, before in zip(again.response.readouts, stored.response.readouts, strict=True):
        # alone in its batch: the order of additions in the kernels differs
        assert read.logit_yes == pytest.approx(before.logit_yes, abs=1e-4)


def test_a_replay_changes_nothing_in_the_run(injected: RunTrial, finished: Path) -> None:
    before = contents(finished)
    injected.replay(strength=3.0)
    assert contents(finished) == before


def test_a_changed_replay_is_recorded_at_every_site(injected: RunTrial) -> None:
    again = injected.replay(strength=4, record="residual")
    tokens = len(prompt_of(injected).token_ids) + len(again.response.token_ids) - 1
    assert again.residual is not None
    assert again.residual.shape == (3, 2, tokens, 32)
    assert again.trial.injection is not None
    assert again.trial.injection.strength == 4
    assert again.trial.id != injected.id


def test_what_runs_before_the_site_is_the_same_with_and_without_injection(injected: RunTrial) -> None:
    (site,) = injected.record.injection.sites if injected.record.injection else ()
    with_it = injected.replay(record="residual").residual
    without = injected.control().replay(record="residual").residual
    assert with_it is not None
    assert without is not None
    start = prompt_of(injected).span_start
    assert torch.equal(with_it[:, :, :start], without[:, :, :start])
    assert torch.equal(with_it[: site.loop, :, start], without[: site.loop, :, start])
    assert not torch.equal(with_it[site.loop, site.layer, start], without[site.loop, site.layer, start])


def test_strength_zero_is_the_control(injected: RunTrial) -> None:
    silent, control = injected.replay(strength=0.0), injected.control()
    assert silent.response.token_ids == control.response.token_ids


def test_vectors_come_from_the_runs_own_file(run: Run, finished: Path) -> None:
    (file,) = finished.glob("vectors-*.safetensors")
    assert run.vectors.hash == ConceptVectors.open(file).hash
    assert run.engine.vectors is run.vectors


def test_a_run_without_its_vectors_says_so(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    next((tmp_path / "run").glob("vectors-*")).unlink()
    with Run.open(tmp_path / "run") as opened, pytest.raises(InputError, match="holds 0 files vectors-"):
        trial_of(opened, "injected").replay()


def test_a_model_whose_weights_changed_is_refused(tiny: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    run_without_figures(options(model, tmp_path / "run", arms="none"))
    save_quietly(tiny_model(seed=1), model)
    with Run.open(tmp_path / "run") as opened, pytest.raises(InputError, match=r"has weights .*was made with"):
        trial_of(opened, "none").replay()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"volume": 3}, "nothing called 'volume' to change; it has concept, partner, arm"),
        ({"weights_hash": "x"}, "nothing called 'weights_hash'"),
        ({"record": "attention"}, "unknown record 'attention'; known: residual"),
        ({"concept": "dsut"}, "unknown concept 'dsut'"),
        ({"extract_loop": 7}, "loop 7: concept vectors were extracted at loops 0 to 2"),
        ({"arm": "nosuch"}, "unknown arm 'nosuch'; known: injected, none, random, in-span"),
        ({"unit": "kg"}, "unknown strength unit 'kg'"),
        ({"temperature": -1.0}, "temperature -1.0"),
        ({"arm": "none", "strength": 3.0}, "strength: cannot change in the arm 'none'"),
        ({"sites": [(0, 0)], "loop": 1}, "not both"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(injected: RunTrial, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        injected.replay(**changes)
