"""A sweep of a real model: complete, continued, replayed, killed and resumed, and graded by the model itself."""

import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest
from commands import FEW, FRAMED, begin, check_complete, introspect, stored, wait_until
from conftest import Model

from introspect.experiment.run import Run

pytestmark = pytest.mark.real
ARMS = ("injected", "none", "random")


def test_three_framings_are_swept_without_an_error(swept: tuple[Path, str]) -> None:
    folder, out = swept
    check_complete(folder, out)
    trials = pd.read_csv(folder / "tables" / "trials.csv")
    assert trials.query("question == 'detect'")["template"].nunique() == 3
    assert set(ARMS) < set(trials["arm"])
    assert trials["text"].notna().mean() > 0.9


def test_the_same_command_again_runs_nothing(swept: tuple[Path, str], model: Model) -> None:
    folder, _ = swept
    before = stored(folder), (folder / "run.sqlite").stat().st_mtime_ns
    check_complete(folder, introspect("sweep", *model.named, *FRAMED, "--out", folder))
    assert (stored(folder), (folder / "run.sqlite").stat().st_mtime_ns) == before


def test_trials_are_replayed_as_they_are_stored(swept: tuple[Path, str]) -> None:
    with Run.open(swept[0]) as run:
        asked = run.trials.query("question == 'detect'").groupby("arm").first()
        for trial_id in asked["trial"]:
            trial = run.trial(trial_id)
            assert trial.replay().text == trial.text, trial.record


def test_tables_figures_and_report_are_made_again_from_the_run_alone(swept: tuple[Path, str], tmp_path: Path) -> None:
    run = shutil.copytree(swept[0], tmp_path / "run")
    tables = {path.name: path.read_bytes() for path in (run / "tables").iterdir()}
    shutil.rmtree(run / "tables")
    for command in (("table",), ("plot",), ("report",)):
        introspect(*command, run)
    assert {path.name: path.read_bytes() for path in (run / "tables").iterdir()} == tables
    assert list(run.glob("**/*.html"))


def test_a_sweep_that_is_killed_and_resumed_gives_the_answers_of_one_that_is_not(model: Model, tmp_path: Path) -> None:
    """The texts are the same; read-outs are, up to the rounding of float32 in a batch of other rows."""
    more = (*FEW, "--repeats", "2", "--loops", "0", "--batch-size", "4")  # two transactions
    run, again = tmp_path / "run", ("sweep", *model.named, *more, "--out")
    process = begin(*again, run)
    wait_until(run, 4, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    part = stored(run)[0]
    check_complete(run, introspect(*again, run))
    assert 0 < part < stored(run)[0]
    undisturbed = tmp_path / "undisturbed"
    introspect(*again, undisturbed)
    for table in sorted((undisturbed / "tables").iterdir()):
        resumed = pd.read_csv(run / "tables" / table.name)
        pd.testing.assert_frame_equal(resumed, pd.read_csv(table), rtol=1e-3, atol=1e-4, obj=table.name)


def test_a_judge_that_is_a_real_model_grades_every_answer(model: Model, smollm2: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    introspect("sweep", *model.named, *FEW, "--arms", "injected,none", "--out", run)
    judge = ("--grader", "judge", "--judge-model", smollm2, "--judge-max-tokens", "24")
    out = introspect("grade", run, *judge)
    assert "verdicts of" in out
    with Run.open(run) as opened:
        graded = [name for name in opened.trials.columns if name.startswith("judge")]
    assert graded
