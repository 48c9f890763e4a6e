"""One thing said in two ways continues a run with the same trials; another thing is refused."""

import json
import re
import shutil
from pathlib import Path

import pytest
from commanded import arguments, introspect, refused
from hypothesis import given
from hypothesis import strategies as st
from swept import OLD_NAMES, SMALL, TOTAL, contents, options, run_without_figures, tables, under_old_names

from introspect.analyses.subject import open_subject
from introspect.errors import InputError
from introspect.experiment.options import Options
from introspect.experiment.run import Run
from introspect.experiment.spelling import MEANINGS, model_of, respelled
from introspect.report.planned_trials import planned_counts
from introspect.results.store.store import Store
from introspect.selection import select

SAME = {
    "loops": ("0,1,2", "0-2"),
    "layers": ("0", "0-0"),
    "concepts": ("Dust,Snow", "Snow,Dust"),
    "strengths": ("2,4", "4.0,2"),
    "stages": ("core", "core,core"),
    "n_loops": ("3", "3-3"),
}
OTHER = {"loops": "0-1", "concepts": "Dust,Bread", "strengths": "2", "n_loops": "2"}
numbered = st.lists(st.integers(0, 9), min_size=1, max_size=4)


@given(numbered, numbered)
def test_two_texts_mean_the_same_places_just_where_they_select_the_same(first: list[int], second: list[int]) -> None:
    one, other = (",".join(map(str, each)) for each in (first, second))
    spans = ",".join(f"{each}-{each}" for each in second)
    alike = select(one, 10, option="loops") == select(other, 10, option="loops")
    assert (MEANINGS["loops"](one) == MEANINGS["loops"](other)) == alike
    assert MEANINGS["loops"](other) == MEANINGS["loops"](spans)


def test_depths_and_all_mean_themselves() -> None:
    assert MEANINGS["loops"]("all,3") == MEANINGS["loops"]("all") != MEANINGS["loops"]("0-9")
    assert MEANINGS["layers"]("0.5") != MEANINGS["layers"]("5")


def test_a_run_is_continued_in_other_words_and_holds_the_same_trials(tiny: Path, tmp_path: Path) -> None:
    first = {name: pair[0] for name, pair in SAME.items()}
    second = {name: pair[1] for name, pair in SAME.items()}
    run = run_without_figures(options(tiny, tmp_path / "run", **first))
    before = (run / "tables" / "trials.csv").read_bytes()
    assert run_without_figures(options(f"{tiny}/../{tiny.name}/", run, **second)) == run
    assert (run / "tables" / "trials.csv").read_bytes() == before
    with Store.open(run) as store:
        assert store.count() == TOTAL


@pytest.mark.slow
def test_the_command_line_continues_it_too(finished: Path, tiny: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    before = (run / "run.sqlite").read_bytes()
    asked = arguments({**SMALL, "concepts": "snow,dust", "layers": "0-0", "strengths": "4,2.0"})
    asked += ["--dose", "raw", "--extract", "same"]  # as these options were called
    code, _, err = introspect("sweep", f"{tiny}/", *asked, "--out", run)
    assert (code, err) == (0, ""), err
    assert (run / "run.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "said"),
    [
        (["--dose", "residual"], 'this run has strength_unit "vector", not "residual"'),
        (["--dose=residual"], 'this run has strength_unit "vector", not "residual"'),
        (["--strength-unit", "raw", "--seed", "1"], "this run has seed 0, not 1"),
        (["--total-loops", "2"], 'this run has n_loops null, not "2"'),
        (["--extract", "0"], 'this run has extract_loops "same", not "0"'),
    ],
)
def test_an_option_is_known_by_its_old_name_too(tiny: Path, finished: Path, old: list[str], said: str) -> None:
    assert said in refused("sweep", tiny, *arguments(SMALL), "--out", finished, *old)


@pytest.mark.parametrize("command", ["monitor", "dynamics", "trajectory"])
def test_analyses_know_the_old_names_and_whether_they_were_given(finished: Path, command: str) -> None:
    assert "n_loops: '0' must be at least 1" in refused(command, "--total-loops", "0")
    if command == "dynamics":
        assert "n_loops: is that of the run" in refused(command, "--run", finished, "--total-loops", "2")


@pytest.mark.parametrize("command", ["sweep", "monitor", "dynamics", "trajectory"])
def test_no_help_shows_an_old_name(command: str) -> None:
    code, out, _ = introspect(command, "--help")
    assert code == 0
    assert "--n-loops" in out
    for old in OLD_NAMES.values():
        assert not re.search(rf"--{old.replace('_', '-')}\b(?!-)", out), out


@pytest.mark.slow  # the next one holds that such a run is the same one
def test_a_run_begun_under_the_old_names_goes_on_to_the_same_one(tiny: Path, finished: Path, tmp_path: Path) -> None:
    def stop(done: int, _: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_without_figures(options(tiny, tmp_path), stop)
    under_old_names(tmp_path)
    run_without_figures(options(tiny, tmp_path))
    assert tables(tmp_path) == tables(finished)


def test_a_run_under_the_old_names_is_the_run_that_it_was(tiny: Path, tmp_path: Path) -> None:
    changes = {"strength_unit": "residual", "n_loops": "2", "extract_loops": "0-1", "loops": "0", "arms": "injected"}
    run = run_without_figures(options(tiny, tmp_path / "run", **changes))
    old = under_old_names(shutil.copytree(run, tmp_path / "old"))
    before = contents(old)
    with Run.open(run) as first, Run.open(old) as second:
        assert list(second.manifest.items()) == list(first.manifest.items())
        assert planned_counts(second.manifest) == planned_counts(first.manifest) is not None
        trial = second.trial(second.trials["trial"].iloc[0])
        assert trial.replay().text == trial.text
        laboratories = [open_subject(Options(), each).laboratory for each in (run, old)]
        same, other = (each.options.identity() for each in laboratories)
        assert same == other
    run_without_figures(options(tiny, old, **{**changes, "n_loops": "2-2", "extract_loops": "0,1"}))
    assert tables(old) == tables(run)
    assert contents(old)["run.sqlite"] == before["run.sqlite"]


@pytest.mark.parametrize("name", OTHER)
def test_what_means_something_else_is_not_taken_over(name: str) -> None:
    stored = {each: pair[0] for each, pair in SAME.items()}
    asked = Options(model="any/model", **{**stored, name: OTHER[name]})
    assert getattr(respelled(asked, stored), name) == OTHER[name]


def test_a_set_of_concepts_is_not_words_in_another_order() -> None:
    assert respelled(Options(concepts="published"), {"concepts": "dust"}).concepts == "published"


def test_a_folder_that_moved_is_asked_for_and_never_sought_on_the_hub(tiny: Path, tmp_path: Path) -> None:
    home = tmp_path / "org" / "checkpoint"
    shutil.copytree(tiny, home)
    run = run_without_figures(options(home, tmp_path / "run", loops="0", strengths="2"))
    with Run.open(run) as opened:
        manifest = {**opened.manifest, "model": "org/checkpoint"}
    assert json.loads(json.dumps(manifest))["found_at"] == str(home)
    assert model_of(manifest) == str(home)  # named from another folder
    moved = home.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"model 'org/checkpoint': was .*checkpoint, which is not here"):
        model_of(manifest)
    with Run.open(run, model=str(moved)) as opened:
        trial = opened.trial(opened.trials["trial"].iloc[0])
        assert trial.replay().text == trial.text


def test_a_hub_id_and_an_organism_are_what_they_are_called() -> None:
    assert model_of({"model": "org/name"}) == "org/name"
    assert model_of({"model": "organism:aware", "found_at": None}) == "organism:aware"
