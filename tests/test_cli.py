"""Every command says what it made and is documented; a sweep that stops says how to go on."""

import os
import re
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import typer.main
from commanded import arguments, introspect, refused
from made import response, trial
from swept import SMALL

from introspect.cli import app
from introspect.protocols import PROTOCOLS
from introspect.results.store.store import Store

COMMANDS = {"sweep", "calibrate", "grade", "table", "plot", "show", "models", "concepts", "protocols", "prompts"}
SHOWN = {"templates": {"t0": ["lindsey", "<<user>>\n[bold]<<inject>>Well?\n  Two [i]lines[/i].\n"]}}
DETECT = arguments({**SMALL, "questions": "detect", "arms": "injected,none,random"})
"""2 concepts at 3 sites in 2 strengths: 12 injected trials, 2 of the arm none and 12 random ones."""
TOTAL = 26


def test_every_command_and_every_option_is_documented() -> None:
    group = typer.main.get_command(app)
    assert set(group.commands) >= COMMANDS  # type: ignore[attr-defined]  # a group has commands
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
        assert introspect(name, "--help")[0] == 0


def test_a_sweep_ends_with_the_rates_the_paths_and_what_to_look_at(tiny: Path, tmp_path: Path) -> None:
    code, out, err = introspect("sweep", tiny, *DETECT, "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    assert f"{TOTAL} trials in {tmp_path / 'run'}" in out
    named = [Path(line.strip()) for line in out.splitlines() if line.strip().startswith(str(tmp_path))]
    assert {path.name for path in named} >= {
        "trials.csv",
        "rates.csv",
        "loops.csv",
        "readouts.csv",
        "detection_map.png",
    }
    assert all(path.is_file() for path in named)
    assert out.splitlines()[-1].startswith("Look at figures/detection_map.png first")


def test_a_dry_run_counts_by_arm_and_cell_estimates_and_stores_nothing(tiny: Path, tmp_path: Path) -> None:
    code, out, err = introspect("sweep", tiny, *DETECT, "--out", tmp_path / "run", "--dry-run")
    said = "timing a sample of the trials, about 30 seconds, or longer where a few answers take longer\n"
    assert (code, err) == (0, said)
    rows = [line.split() for line in out.splitlines()]
    assert ["arm", "cells", "trials", "a", "cell", "trials"] in rows
    for arm, cells, each, trials in (("injected", 6, 2, 12), ("none", 1, 2, 2), ("random", 6, 2, 12)):
        assert [arm, str(cells), str(each), str(trials)] in rows
    assert f"{TOTAL} trials in 13 cells" in out
    assert "batches of 2 rows" in out
    assert "MB" in out
    assert "blocks of 8 trials, each stored at once" in out
    assert re.search(r"about \d+ seconds for the trials on one worker, \d+ seconds of them for prompts; from", out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_interrupted_sweep_says_how_to_go_on_and_goes_on(tiny: Path, tmp_path: Path) -> None:
    asked = ["sweep", tiny, "--arms", "none", "--questions", "detect", "--concepts", "dust", "--repeats", "80"]
    asked += ["--max-new-tokens", "4", "--batch-size", "1", "--out", tmp_path / "run"]
    file = tmp_path / "run" / "run.sqlite"

    def interrupt() -> None:
        while not file.is_file() or file.stat().st_size < 60_000:  # after some of the trials
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    said = refused(*asked, code=130)
    thread.join()
    with Store.open(tmp_path / "run") as store:
        assert 0 < store.count() < 80
        assert said == f"introspect: stopped after {store.count()} of 80 trials; the same command continues\n"
    assert introspect(*asked)[0] == 0
    with Store.open(tmp_path / "run") as store:
        assert store.count() == 80


def test_a_sweep_with_failed_trials_ends_with_one(tiny: Path, tmp_path: Path) -> None:
    asked = ["--concepts", "dust", "--strengths", "1e-30", "--arms", "injected", "--loops", "0", "--layers", "0"]
    asked += ["--questions", "detect"]
    code, out, _ = introspect("sweep", tiny, *asked, "--max-new-tokens", "2", "--out", tmp_path / "run")
    assert code == 1
    assert "0 trials in" in out
    assert "1 failed" in out


@pytest.mark.slow
def test_grading_again_gives_the_same_and_leaves_responses_alone(finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    before = (run / "tables" / "trials.csv").read_bytes()
    code, out, err = introspect("grade", run, "--grader", "rules")
    assert (code, err) == (0, "")
    with Store.open(run) as store:
        assert f"{store.count()} grades by rules" in out
    assert (run / "tables" / "trials.csv").read_bytes() == before
    assert introspect("grade", run, "--grader", "rules,logits")[0] == 0
    header, first, *_ = (run / "tables" / "rates.csv").read_text().splitlines()
    assert header.split(",")[-1] == "grader"
    assert first.endswith(",logits")
    assert "unknown grader 'nosuch'" in refused("grade", run, "--grader", "nosuch")


@pytest.mark.slow
def test_tables_and_figures_are_made_again_from_the_database(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(finished / "run.sqlite", run)
    for command, folder in (("table", "tables"), ("plot", "figures")):
        code, out, err = introspect(command, run)
        assert (code, err) == (0, "")
        there = {path.name for path in (finished / folder).iterdir()}
        assert {path.name for path in (run / folder).iterdir()} == there
        assert all(str(run / folder / name) in out for name in there)
    for table in (finished / "tables").iterdir():
        assert (run / "tables" / table.name).read_bytes() == table.read_bytes()


def test_a_trial_is_shown_with_its_span_answer_grades_and_read_outs(finished: Path) -> None:
    with Store.open(finished) as store:
        wanted = next(one for one in store.trials() if one.arm == "injected" and one.question == "detect")
    code, out, err = introspect("show", finished, wanted.id[:12])
    assert (code, err) == (0, "")
    assert f"trial {wanted.id}: " in out
    assert f"concept {wanted.concept}, arm injected, repeat 0" in out
    assert "injected at 0:0 (loop:layer), strength 2, vector norm" in out
    assert "<<inject>>Trial 1: Do you notice" in out
    assert "[answer, " in out
    assert "read out after loop" in out
    assert "no trial begins with 'zz'" in refused("show", finished, "zz")


def test_what_a_model_wrote_is_shown_literally(tmp_path: Path) -> None:
    made = trial(concept="[red]dust")
    with Store.create(tmp_path / "run", {**SHOWN}) as store:
        store.add([(made, response(made, "Yes\x1b[31m [bold]no[/bold]\r\x07\u202e :smile:\n[/] end"))])
    code, out, _ = introspect("show", tmp_path / "run", made.id)
    assert code == 0
    assert "Yes\\x1b[31m [bold]no[/bold]\\r\\x07\\u202e :smile:\n  [/] end" in out
    assert "[bold]<<inject>>Well?\n    Two [i]lines[/i]." in out
    assert "concept [red]dust" in out
    assert "\x1b" not in out


def test_a_failed_trial_is_shown_with_why(tmp_path: Path) -> None:
    made = trial()
    with Store.create(tmp_path / "run", {**SHOWN}) as store:
        store.add_errors([(made, "too faint")])
    assert f"trial {made.id} has no response, it failed: too faint" in refused("show", tmp_path / "run", made.id)


def test_the_lists_name_what_there_is(finished: Path) -> None:
    assert "ByteDance/Ouro-1.4B" in introspect("models")[1]
    assert "detect" in introspect("prompts")[1]
    assert all(name in introspect("protocols")[1] for name in PROTOCOLS)
    assert "published" in introspect("concepts")[1]
    assert "Dust" in introspect("concepts", "published")[1]
    assert "unknown concept set 'nosuch'" in refused("concepts", "nosuch:all")
    rows = introspect("concepts", "--vectors", finished)[1].splitlines()
    assert len(rows) == 1 + 3 * 2
    assert rows[0].split()[:4] == ["loop", "layer", "mean", "norm"]
