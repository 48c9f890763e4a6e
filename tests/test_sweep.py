"""A sweep gives the same run however often it is cut off, never mixes two, and loses nothing that was stored."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from swept import SMALL, TOTAL, contents, options, run_without_figures, save_quietly, tables
from tiny import tiny_model

from introspect.errors import InputError, InterruptionError
from introspect.experiment.laboratory import open_laboratory
from introspect.experiment.sweep import run_sweep, run_trials
from introspect.injection.plan.plan import plan
from introspect.results.store.store import Store, StoreError

DRIVER = """
import sys
import time
from pathlib import Path
from introspect.experiment.options import Options
from introspect.experiment.sweep import run_sweep
model, out = sys.argv[1:]
run_sweep(Options(model=model, out=Path(out), **{small}), lambda done, total: print(done, flush=True))
"""
ONE_QUESTION = {"arms": "injected", "loops": "0", "questions": "detect"}


def test_a_killed_sweep_goes_on_to_the_very_run_of_an_undisturbed_one(
    tiny: Path, finished: Path, tmp_path: Path
) -> None:
    driver = [sys.executable, "-c", DRIVER.format(small=SMALL), str(tiny), str(tmp_path / "run")]
    whole = random.randrange(1, 8)
    with subprocess.Popen(driver, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = list(islice(child.stdout, 1 + whole))
        time.sleep(random.uniform(0, 0.2))
        child.kill()
    assert said == [f"{8 * block}\n" for block in range(1 + whole)]
    assert child.returncode == -signal.SIGKILL
    with Store.open(tmp_path / "run") as store:
        assert 8 * whole <= store.count() < TOTAL
        assert store.count() % 8 == 0
    run_without_figures(options(tiny, tmp_path / "run"))
    assert tables(tmp_path / "run") == tables(finished)


def test_a_stopped_sweep_ends_after_its_block_and_goes_on_later(tiny: Path, finished: Path, tmp_path: Path) -> None:
    def stop(done: int, _: int) -> None:
        if done == 8:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(InterruptionError, match=f"stopped after 8 of {TOTAL} trials; the same command continues"):
        run_without_figures(options(tiny, tmp_path), stop)
    assert signal.getsignal(signal.SIGINT) == before
    run_without_figures(options(tiny, tmp_path))
    assert tables(tmp_path) == tables(finished)


def test_a_second_interruption_stops_at_once_and_keeps_whole_blocks(tiny: Path, tmp_path: Path) -> None:
    def insist(done: int, _: int) -> None:
        if done == 8:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_without_figures(options(tiny, tmp_path), insist)
    with Store.open(tmp_path) as store:
        assert store.count() == 8


@pytest.mark.slow
def test_blocks_that_take_too_long_get_smaller_and_the_answers_stay(
    tiny: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = count(step=60)
    monkeypatch.setattr("introspect.experiment.workers.trial_blocks.time.monotonic", lambda: next(minutes))
    reported: list[int] = []
    folder = run_without_figures(options(tiny, tmp_path), lambda done, _: reported.append(done))
    assert reported == [0, *range(8, TOTAL, 4), TOTAL]
    answers = [pd.read_csv(run / "tables" / "trials.csv")[["trial", "text"]] for run in (folder, finished)]
    pd.testing.assert_frame_equal(*answers)


def test_a_finished_sweep_runs_nothing_again(tiny: Path, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    spaced = "UPDATE responses SET token_ids = replace(token_ids, ',', ', ')"  # what a second run would not write
    with closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as database, database:
        database.execute(spaced)
    before = (tmp_path / "run" / "run.sqlite").read_bytes()
    progress: list[int] = []
    run_without_figures(options(tiny, tmp_path / "run"), lambda done, _: progress.append(done))
    assert progress[-1] == TOTAL
    assert (tmp_path / "run" / "run.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 1}, "seed 0, not 1"),
        ({"strengths": "2"}, r"strengths \[2.0, 4.0\], not \[2.0\]"),
        ({"concepts": "dust,sand"}, "concepts .*dust,snow.*, not .*dust"),
        ({"temperature": 0.5}, "temperature 1.0, not 0.5"),
        ({"layers": "1"}, 'layers "0", not "1"'),
        ({"arms": "none"}, "arms"),
        ({"n_loops": "2"}, 'n_loops null, not "2"'),
        ({"questions": "detect"}, r'questions \["detect", "unrelated"\], not \["detect"\]'),
        ({"framings": "all"}, 'framings "neutral", not "all"'),
        ({"inject": "loops"}, 'inject "each", not "loops"'),
        ({"strength_unit": "residual"}, 'strength_unit "vector", not "residual"'),
    ],
)
def test_another_sweep_is_refused_by_name_and_the_run_untouched(
    tiny: Path, finished: Path, changes: dict[str, Any], said: str
) -> None:
    before = contents(finished)
    with pytest.raises(InputError, match=said):
        run_sweep(options(tiny, finished, **changes))
    assert contents(finished) == before


@pytest.mark.slow
def test_where_and_how_fast_it_runs_is_no_part_of_what_it_is(tiny: Path, tmp_path: Path) -> None:
    asked = {"arms": "none", "device": "cpu"}
    run_without_figures(options(tiny, tmp_path, **asked, batch_size=1))
    first = tables(tmp_path)
    run_without_figures(options(tiny, tmp_path, **asked, batch_size=9, strengths="2.0, 4"))
    assert tables(tmp_path) == first


def test_a_template_that_changed_is_refused(tiny: Path, tmp_path: Path) -> None:
    template = tmp_path / "mine.j2"
    template.write_text("<<user>>\n<<inject>>Do you notice a thought?\n")
    asked = options(tiny, tmp_path / "run", template=str(template), arms="none")
    run_without_figures(asked)
    before = contents(tmp_path / "run")
    template.write_text("<<user>>\n<<inject>>Do you notice any thought?\n")
    with pytest.raises(InputError, match=r"templates\..*Do you notice a thought.*, not null"):
        run_sweep(asked)
    assert contents(tmp_path / "run") == before


def test_a_checkpoint_that_changed_is_refused(tiny: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    asked = options(model, tmp_path / "run", arms="none")
    run_without_figures(asked)
    before = contents(tmp_path / "run")
    save_quietly(tiny_model(seed=1), model)
    with pytest.raises(InputError, match="weights_hash"):
        run_sweep(asked)
    assert contents(tmp_path / "run") == before


def test_a_full_disk_keeps_every_block_before_and_the_sweep_goes_on(tiny: Path, finished: Path, tmp_path: Path) -> None:
    laboratory = open_laboratory(options(tiny, tmp_path))
    with Store.open_or_create(tmp_path / "run", laboratory.manifest()) as store:

        def fill(done: int, _: int) -> None:
            if done == 8:
                ((pages,),) = store._read("PRAGMA page_count")
                store._read(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(StoreError, match="make room, and the same command continues"):
            run_trials(laboratory, laboratory.vectors(), store, fill)
        assert 8 <= store.count() < TOTAL
    with Store.open(tmp_path / "run") as store:
        assert store.count() % 8 == 0
    run_without_figures(options(tiny, tmp_path / "run"))
    assert tables(tmp_path / "run") == tables(finished)


def test_a_trial_that_fails_is_an_error_and_not_a_no(tiny: Path, tmp_path: Path) -> None:
    folder = run_without_figures(options(tiny, tmp_path, strengths="2,1e-30", **ONE_QUESTION))
    trials = pd.read_csv(folder / "tables" / "trials.csv", keep_default_na=False, na_values=[""])
    failed = trials[trials["strength"] < 1]
    assert list(failed["state"]) == ["error"] * 2
    assert failed["error"].str.contains("too faint").all()
    assert failed["rules_detected"].isna().all()
    assert list(trials[trials["strength"] == 2]["state"]) == ["done"] * 2
    rates = pd.read_csv(folder / "tables" / "rates.csv")
    assert rates[rates["strength"] < 1][["k", "n", "errors"]].to_numpy().tolist() == [[0, 0, 2]] * 5


def test_a_trial_that_failed_is_tried_again(tiny: Path, tmp_path: Path) -> None:
    asked = options(tiny, tmp_path, arms="none", questions="detect")
    laboratory = open_laboratory(asked)
    first = plan(laboratory.grid(laboratory.vectors()))[0]
    with Store.open_or_create(tmp_path, laboratory.manifest()) as store:
        store.add_errors([(first, "the lights went out")])
    run_without_figures(asked)
    with Store.open(tmp_path) as store:
        assert (store.count(), store.count("error")) == (2, 0)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_answers_do_not_depend_on_the_size_of_batches(
    tiny: Path, finished: Path, tmp_path: Path, batch_size: int | None
) -> None:
    laboratory = open_laboratory(options(tiny, tmp_path / "run", batch_size=batch_size))
    with Store.open_or_create(tmp_path / "run", laboratory.manifest()) as store:
        run_trials(laboratory, laboratory.vectors(), store, lambda *_: None)
        answers = {trial.id: answer.text for trial, answer in store.answers()}
    with Store.open(finished) as store:
        assert answers == {trial.id: answer.text for trial, answer in store.answers()}
    assert len(answers) == TOTAL


@pytest.mark.slow
def test_a_grader_that_is_asked_for_later_grades_what_is_there(tiny: Path, tmp_path: Path) -> None:
    run_without_figures(options(tiny, tmp_path, arms="none"))
    run_sweep(options(tiny, tmp_path, arms="none", grader="rules,logits"))
    with Store.open(tmp_path) as store:
        graded = [[grade.grader for grade in store.grades(trial.id)] for trial in store.trials()]
    assert graded == [["logits", "rules"]] * 6
