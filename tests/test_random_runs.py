"""Whatever came out of a run, its tables, figures and report are there, or it is said in a line what they lack."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, example, given, settings
from scattered import FOUND, RUNS, Habit, Scattered, make_run
from typer.testing import CliRunner, Result

from introspect.cli import app
from introspect.protocols import PROTOCOLS
from introspect.report.findings import Findings
from introspect.report.images import OTHERS, SECTIONS
from introspect.report.writing import write_latex, write_report
from introspect.results.figures.all_figures import FIGURES, draw_all
from introspect.results.statistics.capability import CANNOT_ANSWER
from introspect.results.store.store import Store
from introspect.results.tables.all_tables import summaries, write_tables
from introspect.results.tables.trials.absence import Made

SLACK = 1e-9
"""An interval may miss its rate by rounding."""
AGAIN = settings(deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
"""A run that breaks something is shown as it was found, since shrinking it would take minutes."""


@contextmanager
def run(made: Scattered) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield make_run(Path(folder) / "run", made)


def done(command: str, folder: Path, *more: str) -> Result:
    """Run a command, which must end without a traceback."""
    result = CliRunner().invoke(app, [command, *more, str(folder)])
    assert result.exception is None or isinstance(result.exception, SystemExit), (command, result.exc_info)
    return result


def read(folder: Path) -> dict[str, pd.DataFrame]:
    paths = (folder / "tables").glob("*.csv")
    return {path.stem: pd.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False) for path in paths}


def check_rates(table: pd.DataFrame) -> None:
    """Hold rates against what a rate must be."""
    known = table.dropna(subset="rate")
    assert (table["k"] <= table["n"]).all()
    assert known["rate"].between(known["low"] - SLACK, known["high"] + SLACK).all()
    assert known["rate"].between(known["if_no"] - SLACK, known["if_yes"] + SLACK).all()
    assert ((table["n"] == 0) | (table["note"] == CANNOT_ANSWER)).equals(table["rate"].isna())
    assert known[["low", "high"]].notna().all(axis=None)


def check_estimates(table: pd.DataFrame, value: str) -> None:
    """Hold estimates against what they must be: bounds around them, and a reason where there is no value."""
    known = table.dropna(subset=[value, "low", "high"])
    assert (known["low"] <= known["high"]).all()
    assert table.loc[table[value].isna(), "note"].notna().all()


def check(folder: Path, made: Scattered) -> None:
    """Run every command but `plot`, and look at all tables."""
    with Store.open(folder) as store:
        stored, graded = store.count() + store.count("error"), bool(made.graders and store.count())
        if not stored:
            assert done("table", folder).exit_code == 2
            return
        found = Findings(store)  # as `table` and `report --latex` do, but the tables are made once
        write_tables(store, found.summaries)
        assert write_report(found).stat().st_size
        assert write_latex(found)
        assert all(found.summaries.absent.values())
    tables = read(folder)
    assert len(tables["trials"]) == stored
    assert ("rates" in tables) == (graded or not made_answers(tables["trials"]))
    for name in {"rates", "loops"} & tables.keys():
        check_rates(tables[name])
    for name, value in {"sensitivity": "value", "ranks": "value", "contrasts": "mean", "timing": "mean"}.items():
        if name in tables:
            check_estimates(tables[name], value)
    grader = [f"--grader={made.graders[0][0]}"] if made.graders else []
    for command, options in {"best": grader, "agree": [], "power": [*grader, "--pilot"], "label": ["--n=3"]}.items():
        result = done(command, folder, *options)
        assert result.exit_code == 0 or (result.exit_code == 2 and len(result.stderr.splitlines()) == 1), command
        assert result.exit_code == 0 or not result.stdout, command


def made_answers(trials: pd.DataFrame) -> bool:
    return bool((trials["state"] == "done").any())


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures out of reports, which take longest; a test of its own draws them."""
    monkeypatch.setattr("introspect.report.page.pictures", lambda *_: Made({part: [] for part in (*SECTIONS, OTHERS)}))


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_pattern_of_answers_breaks_a_table(protocol: str) -> None:
    @settings(AGAIN, max_examples=2)
    @given(RUNS)
    def theorem(made: Scattered) -> None:
        with run(replace(made, protocol=protocol)) as folder:
            check(folder, replace(made, protocol=protocol))

    theorem()


@settings(AGAIN, max_examples=1)
@example(FOUND["the text arm of a choice has no strength"])
@example(FOUND["no contrast has a value"])
@example(FOUND["the strongest dose is of a control"])
@given(RUNS)
def test_no_pattern_of_answers_breaks_a_figure(made: Scattered) -> None:
    with run(made) as folder, Store.open(folder) as store:
        if not store.count() + store.count("error"):
            return
        drawn = draw_all(summaries(store).made)
        for figure in drawn.made.values():
            figure.draw_without_rendering()
    assert {name.split("_")[0] for name in (*drawn.made, *drawn.absent)} <= {name.split("_")[0] for name in FIGURES}
    assert all(drawn.absent.values())


def test_a_run_of_four_concepts_half_of_them_unknown_has_its_tables(tmp_path: Path) -> None:
    made = replace(
        FOUND["no contrast has a value"],
        failed=0.0,
        readouts="spread",
        sites=("1:0",),
        graders=(("rules", Habit(yes=0.5, unknown=0.4)),),
    )
    folder = make_run(tmp_path / "run", made)
    result = done("table", folder)
    tables = read(folder)
    assert {"rates", "loops", "sensitivity", "ranks", "timing", "capability"} <= tables.keys()
    assert tables["sensitivity"]["value"].notna().any()
    assert np.isnan(tables["sensitivity"]["low"]).all()
    said = " ".join(result.stdout.split())
    assert "contrasts, compression: needs 10 different plain questions of each answer" in said
    assert done("report", folder, "--latex").exit_code == 0
