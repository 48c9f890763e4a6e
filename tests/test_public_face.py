"""What a notebook meets first: the public names, short descriptions, and the way from concepts to figures."""

import ast
import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from tiny import tiny_model

import introspect as ix
from introspect.experiment.laboratory import Laboratory


@pytest.fixture(scope="module")
def asked() -> ix.Options:
    """Ask two concepts at one site of the organism."""
    return ix.Options(concepts="cat,dog", layers="0", loops="1", strengths="4", max_new_tokens=6)


@pytest.fixture(scope="module")
def laboratory(asked: ix.Options) -> Laboratory:
    return ix.open_laboratory(asked, for_run=False)


@pytest.fixture(scope="module")
def walked(laboratory: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> ix.Run:
    """Walk the chain by hand."""
    vectors = laboratory.vectors()
    results = laboratory.run(laboratory.plan(vectors), vectors)
    return ix.keep(laboratory, results, ix.grade(laboratory, results), tmp_path_factory.mktemp("walked") / "run")


def test_the_names_are_listed_before_any_is_loaded() -> None:
    code = "import introspect as ix, sys; print(*dir(ix)); assert 'torch' not in sys.modules"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(ix.__all__) <= set(listed)
    assert {name for name in listed if not name.startswith("_")} == set(ix.__all__)


def test_the_chain_gives_the_rows_of_a_sweep(walked: ix.Run, laboratory: Laboratory, tmp_path: Path) -> None:
    swept = ix.run_sweep(replace(laboratory.options, out=tmp_path / "swept")).folder
    with ix.Run.open(swept) as other:
        rows, expected = (ix.tables(run)["trials"].set_index("trial").sort_index() for run in (walked, other))
        pd.testing.assert_frame_equal(rows, expected, rtol=1e-4)
        pd.testing.assert_frame_equal(ix.tables(walked)["rates"], ix.tables(other)["rates"])
        assert set(ix.figures(ix.tables(walked))) == {path.stem for path in (swept / "figures").glob("*.png")}


def test_kept_results_are_kept_once(walked: ix.Run, laboratory: Laboratory) -> None:
    vectors = laboratory.vectors()
    results = laboratory.run([laboratory.plan(vectors)[place] for place in (0, 1)], vectors)
    before = walked.store.count()
    with ix.keep(laboratory, results, [], walked.folder) as again:
        assert again.store.count() == before


def test_descriptions_are_one_short_line(walked: ix.Run, laboratory: Laboratory) -> None:
    trial = walked.trial(walked.trials["trial"].iloc[0])
    vectors = laboratory.vectors()
    shown = [repr(each) for each in (walked, trial, vectors, laboratory.tap.looped, tiny_model())]
    assert all(len(line) < 200 and "\n" not in line and "tensor" not in line for line in shown)
    assert shown[0] == f"Run({str(walked.folder)!r}: organism:aware, detect, {walked.store.count()} answers)"
    assert shown[2].startswith(f"ConceptVectors({len(vectors.words)} concepts, {vectors.n_loops} loops, ")
    assert trial.id in shown[1]
    assert shown[1].endswith(trial.record.concept) == (trial.record.injection is None)
    assert "'organism:aware': 4 loops, " in shown[3]


def test_a_closed_run_can_still_be_named(walked: ix.Run) -> None:
    with ix.Run.open(walked.folder) as run:
        pass
    assert repr(run) == f"Run({str(run.folder)!r}: closed)"


def test_a_type_checker_is_told_where_each_name_lives() -> None:
    """What a checker reads under TYPE_CHECKING is what a user gets: the same names, from the same homes."""
    told = {}
    for node in ast.walk(ast.parse(Path(ix.__file__).read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("introspect."):
            told |= {alias.name: getattr(importlib.import_module(str(node.module)), alias.name) for alias in node.names}
    assert told == {name: getattr(ix, name) for name in ix.__all__}
