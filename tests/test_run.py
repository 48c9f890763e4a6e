"""A run gives its trials back, runs them again to the same answer, and changes only what it is asked to."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from made import injection, trial, trial_at
from swept import contents, options, run_without_figures, save_quietly
from tiny import tiny_model

import introspect as ix
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.records import Site
from introspect.run import Run, RunTrial
from introspect.variation import CHANGEABLE, changed


@pytest.fixture(scope="module")
def run(finished: Path) -> Iterator[Run]:
    with Run.open(finished) as opened:
        yield opened


def trial_of(run: Run, arm: str, loop: int | None = None, strength: float | None = None) -> RunTrial:
    """Find the first trial of a cell in the table, as a reader of the table would."""
    rows = run.trials[run.trials["arm"] == arm]
    rows = rows if loop is None else rows[(rows["loop"] == loop) & (rows["strength"] == strength)]
    return run.trial(rows["trial"].iloc[0])


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
    assert len(run.trials) == 26
    assert "rate" in run.rates


def test_a_trial_is_found_by_the_beginning_of_its_id(run: Run, injected: RunTrial) -> None:
    assert run.trial(injected.id[:10]).record == injected.record
    row = run.trials.set_index("trial").loc[injected.id]
    assert (row["text"], row["concept"]) == (injected.text, injected.record.concept)
    assert [grade.grader for grade in injected.grades] == ["rules"]
    assert len(injected.response.readouts) == 3


def test_a_control_has_the_same_draws_and_differs_in_the_arm_alone(injected: RunTrial) -> None:
    none, other = injected.control(), injected.control("random")
    for control in (none, other):
        assert control.record.seed == injected.record.seed
        assert control.record.concept == injected.record.concept
    assert (none.record.arm, none.record.injection) == ("none", None)
    assert (other.record.arm, other.record.injection) == ("random", injected.record.injection)
    assert other.control("injected").id == injected.id


def test_a_control_that_is_not_there_is_said(tiny: Path, tmp_path: Path, run: Run) -> None:
    run_without_figures(options(tiny, tmp_path, arms="none"))
    with Run.open(tmp_path) as alone, pytest.raises(InputError, match="no trial of arm 'random' that is paired with"):
        trial_of(alone, "none").control("random")
    with pytest.raises(InputError, match="unknown arm 'nosuch'"):
        trial_of(run, "injected", 0, 2).control("nosuch")  # type: ignore[arg-type]  # the point


@pytest.mark.parametrize("arm", ["injected", "none", "random"])
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
    tokens = len(injected.run.engine.prompts[again.trial.template_hash].token_ids) + len(again.response.token_ids) - 1
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
    start = injected.run.engine.prompts[injected.record.template_hash].span_start
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
        ({"volume": 3}, "nothing called 'volume' to change; it has concept, arm"),
        ({"weights_hash": "x"}, "nothing called 'weights_hash'"),
        ({"record": "attention"}, "unknown record 'attention'; known: residual"),
        ({"concept": "dsut"}, "unknown concept 'dsut'"),
        ({"extract_loop": 7}, "loop 7: concept vectors were extracted at loops 0 to 2"),
        ({"arm": "wrong"}, "unknown arm 'wrong'"),
        ({"unit": "kg"}, "unknown strength unit 'kg'"),
        ({"temperature": -1.0}, "temperature -1.0"),
        ({"arm": "none", "strength": 3.0}, "strength: cannot change in the arm 'none'"),
        ({"sites": [(0, 0)], "loop": 1}, "not both"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(injected: RunTrial, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        injected.replay(**changes)


def test_everything_that_may_change_can_be_changed() -> None:
    values = {"concept": "snow", "arm": "random", "n_loops": 5, "repeat": 1, "seed": 3, "loop": 1, "layer": 1}
    values |= {"sites": [(1, 1), (0, 0)], "strength": 9.0, "extract_loop": 0, "unit": "residual"}
    values |= {"temperature": 0.0, "top_p": 0.5, "max_new_tokens": 3, "decided_by": "rules 1"}
    assert set(values) == set(CHANGEABLE)
    ids = {changed(trial(), **{name: value}).id for name, value in values.items()}
    assert len(ids - {trial().id}) == len(values)


def test_an_injection_moves_by_loop_layer_or_sites() -> None:
    moved = changed(trial_at(0, 1), loop=2).injection
    assert moved is not None
    assert moved.sites == (Site(2, 1),)
    several = trial(injection=injection((0, 0), (1, 0)))
    assert changed(several, loop=2, layer=1).injection == injection((2, 1))
    assert changed(several, sites=[Site(2, 0), (0, 1)]).injection == injection((0, 1), (2, 0))
    with pytest.raises(InputError, match="the injection has 2 sites; give sites, or both loop and layer"):
        changed(several, loop=2)


def test_a_control_has_nothing_to_inject() -> None:
    with pytest.raises(InputError, match="has no injection to change; start from an injected trial"):
        changed(trial(arm="none"), arm="injected", strength=2.0)
    assert changed(trial(), arm="none").injection is None
