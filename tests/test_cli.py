"""Every command says what it made; everything bad is one line and leaves runs as they were; all of it is documented."""

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import typer.main
from made import response, trial
from swept import SMALL, TOTAL, contents, save_quietly
from tiny import tiny_model
from typer.testing import CliRunner

from introspect.cli import app
from introspect.results.store import Store

COMMANDS = ("sweep", "calibrate", "grade", "table", "plot", "show", "models", "concepts", "prompts")
SHOWN = {"template": "detect", "template_source": "<<user>>\n[bold]<<inject>>Well?\n  Two [i]lines[/i].\n"}
SMALLEST = [item for name, value in SMALL.items() for item in (f"--{name.replace('_', '-')}", str(value))]


def introspect(*args: object) -> tuple[int, str, str]:
    """Run a command in this process and give its exit code, stdout and stderr."""
    ran = CliRunner().invoke(app, [str(arg) for arg in args])
    return ran.exit_code, ran.stdout, ran.stderr


def refused(*args: object, code: int = 2) -> str:
    """Run a command that must end with one line on stderr and nothing else; give the line."""
    exit_code, out, err = introspect(*args)
    assert (exit_code, out) == (code, ""), (exit_code, out, err)
    assert err.startswith("introspect: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err


def test_every_command_and_every_option_is_documented() -> None:
    group = typer.main.get_command(app)
    assert tuple(group.commands) == COMMANDS  # type: ignore[attr-defined]  # a group has commands
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
        assert introspect(name, "--help")[0] == 0


def test_a_sweep_ends_with_the_rates_the_paths_and_what_to_look_at(tiny: Path, tmp_path: Path) -> None:
    code, out, err = introspect("sweep", tiny, *SMALLEST, "--out", tmp_path / "run")
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
    code, out, err = introspect("sweep", tiny, *SMALLEST, "--out", tmp_path / "run", "--dry-run")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["arm", "cells", "trials", "a", "cell", "trials"] in rows
    for arm, cells, each, trials in (("injected", 6, 2, 12), ("none", 1, 2, 2), ("random", 6, 2, 12)):
        assert [arm, str(cells), str(each), str(trials)] in rows
    assert f"{TOTAL} trials in 13 cells" in out
    assert "batches of 2 rows" in out
    assert "MB" in out
    assert "seconds" in out
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_sweep_says_how_to_go_on_and_goes_on(tiny: Path, tmp_path: Path) -> None:
    asked = ["sweep", tiny, "--arms", "none", "--concepts", "dust", "--repeats", "80", "--max-new-tokens", "4"]
    asked += ["--batch-size", "1", "--out", tmp_path / "run"]
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
    code, out, _ = introspect("sweep", tiny, *asked, "--max-new-tokens", "2", "--out", tmp_path / "run")
    assert code == 1
    assert "0 trials in" in out
    assert "1 failed" in out


BAD_OPTIONS = [
    (["--loops", "3"], "loops: '3' is out of range; the model has 0 to 2"),
    (["--layers", "0-2"], "layers: '0-2' is out of range; the model has 0 to 1"),
    (["--loops", "first"], "loops: cannot read 'first'"),
    (["--layers", "1.5"], "layers: depth 1.5 is out of range"),
    (["--extract", "9"], "extract: '9' is out of range"),
    (["--concepts", "dsut"], "unknown concept 'dsut' in set 'published'; did you mean Dust"),
    (["--concepts", "nosuch:all"], "unknown concept set 'nosuch'; known: organisms, published"),
    (["--template", "nosuch"], "unknown template 'nosuch'; known: detect"),
    (["--grader", "nosuch"], "unknown grader 'nosuch'; known: rules, logits"),
    (["--arms", "nosuch"], "unknown arm 'nosuch'; known: injected, none, random"),
    (["--contrast", "nosuch"], "unknown contrast 'nosuch'"),
    (["--inject", "nosuch"], "unknown inject mode 'nosuch'; known: each, together"),
    (["--device", "nosuch"], "unknown device 'nosuch'; known: auto, cpu"),
    (["--dtype", "nosuch"], "unknown dtype 'nosuch'; known: auto, float32"),
    (["--strengths", "1,nan"], "strengths: 'nan' is not a finite number"),
    (["--strengths", "1,much"], "strengths: 'much' is not a number"),
    (["--temperature", "-1"], "temperature -1.0: must be a finite number, 0 or more"),
    (["--repeats", "many"], "repeats"),
    (["--nosuch"], "--nosuch"),
    (["--seed", "1"], "this run has seed 0, not 1"),
]


@pytest.mark.parametrize(("bad", "said"), BAD_OPTIONS, ids=[" ".join(bad) for bad, _ in BAD_OPTIONS])
def test_a_bad_option_is_one_line_and_the_run_untouched(tiny: Path, finished: Path, bad: list[str], said: str) -> None:
    before = contents(finished)
    asked = ["sweep", tiny, *SMALLEST, "--out", finished]
    if bad[0] in SMALLEST:
        at = asked.index(bad[0])
        asked[at : at + 2] = []
    assert said in refused(*asked, *bad)
    assert contents(finished) == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("organism:nosuch", "unknown organism 'nosuch'; known: "),
        ("./nosuch", "there is no such folder"),
        ("{tmp}", "the folder holds no config.json"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(tmp_path: Path, name: str, said: str) -> None:
    assert said in refused("sweep", name.format(tmp=tmp_path), "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_of_an_unknown_family_is_named_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    said = refused("sweep", tmp_path, "--out", tmp_path / "run")
    assert "is of type 'llama', which is no known looped family; known: ouro" in said


def test_a_model_without_tokenizer_or_chat_template_is_refused(tiny: Path, tmp_path: Path) -> None:
    for file in ("chat_template.jinja", "tokenizer.json"):
        model = shutil.copytree(tiny, tmp_path / file)
        (model / file).unlink()
        wanted = "has no chat template" if file == "chat_template.jinja" else "has no tokenizer that can be read"
        assert wanted in refused("sweep", model, *SMALLEST, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_span_that_the_chat_format_loses_is_refused(tmp_path: Path) -> None:
    looped = tiny_model()
    looped.tokenizer.chat_template = "<|im_start|>user\nsomething else\n<|im_start|>assistant\n"
    model = save_quietly(looped, tmp_path / "model")
    said = refused("sweep", model, *SMALLEST, "--out", tmp_path / "run")
    assert "drops or changes text at the injection span of template 'detect'" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no rows; it needs a header word,category,split"),
        ("word,split\nlava,concept\n", "line 1: no column 'category'"),
        ("word,category,split\nlava,things\n", "line 2: 2 fields instead of 3"),
        ("word,category,split\nlava,things,concept\nlava,things,concept\n", "line 3: word 'lava' stands in line 2"),
        ("word,category,split\nlava,things,nosuch\n", "line 2: unknown split 'nosuch'"),
    ],
)
def test_a_malformed_csv_is_refused_with_its_line(tiny: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.csv").write_text(text)
    line = refused("sweep", tiny, "--concepts", tmp_path / "mine.csv", "--out", tmp_path / "run")
    assert "mine.csv" in line
    assert said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<<user>>\nDo you notice a thought?\n", "has no injection span; write <<inject>> where it begins"),
        ("<<user>>\n<<inject>>Is it {{ word }}?\n", "'word' is undefined; variables given: none"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(tiny: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.j2").write_text(text)
    assert said in refused("sweep", tiny, "--template", tmp_path / "mine.j2", "--out", tmp_path / "run")


def test_a_row_that_does_not_fit_in_memory_is_refused(tiny: Path, tmp_path: Path) -> None:
    for dry_run in ([], ["--dry-run"]):
        said = refused("sweep", tiny, "--max-new-tokens", 10**12, "--out", tmp_path / "run", *dry_run)
        assert "not enough memory for one row: it takes " in said
        assert not (tmp_path / "run").exists()


def test_a_tokenizer_that_cannot_say_yes_is_refused(tmp_path: Path) -> None:
    model = save_quietly(tiny_model(), tmp_path / "model")
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    spellings = tokenizer["model"]
    spellings["vocab"]["ĠYea"] = spellings["vocab"].pop("ĠYes")
    spellings["merges"] = [["ĠYe", "a"] if merge == ["ĠYe", "s"] else merge for merge in spellings["merges"]]
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    said = refused("sweep", model, *SMALLEST, "--out", tmp_path / "run")
    assert "has no single token for 'yes', so yes and no cannot be read out" in said
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_something_else_is_refused_and_kept(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    before = contents(tmp_path)
    assert "holds something else (thesis.tex); choose another --out" in refused("sweep", tiny, "--out", tmp_path)
    assert "cannot be used as a folder" in refused("sweep", tiny, "--out", tmp_path / "thesis.tex")
    for command in (["table"], ["plot"], ["grade"], ["show", "--"], ["concepts", "--vectors"]):
        trial_id = ["ab"] if command[0] == "show" else []
        assert "no run here" in refused(*command, tmp_path, *trial_id)
    assert contents(tmp_path) == before


def test_an_unknown_command_is_one_line() -> None:
    assert "nosuch" in refused("nosuch")


def test_grading_again_gives_the_same_and_leaves_responses_alone(finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    before = (run / "tables" / "trials.csv").read_bytes()
    code, out, err = introspect("grade", run, "--grader", "rules")
    assert (code, err) == (0, "")
    assert f"{TOTAL} grades by rules" in out
    assert (run / "tables" / "trials.csv").read_bytes() == before
    assert introspect("grade", run, "--grader", "rules,logits")[0] == 0
    header, first, *_ = (run / "tables" / "rates.csv").read_text().splitlines()
    assert header.split(",")[-1] == "grader"
    assert first.endswith(",logits")
    assert "unknown grader 'nosuch'" in refused("grade", run, "--grader", "nosuch")


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
    for name in ("trials", "rates", "loops", "readouts"):
        assert (run / "tables" / f"{name}.csv").read_bytes() == (finished / "tables" / f"{name}.csv").read_bytes()


def test_a_trial_is_shown_with_its_span_answer_grades_and_read_outs(finished: Path) -> None:
    with Store.open(finished) as store:
        wanted = next(one for one in store.trials() if one.arm == "injected")
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
    with Store.create(tmp_path / "run", dict(SHOWN)) as store:
        store.add([(made, response(made, "Yes\x1b[31m [bold]no[/bold]\r\x07\u202e :smile:\n[/] end"))])
    code, out, _ = introspect("show", tmp_path / "run", made.id)
    assert code == 0
    assert "Yes\\x1b[31m [bold]no[/bold]\\r\\x07\\u202e :smile:\n  [/] end" in out
    assert "[bold]<<inject>>Well?\n    Two [i]lines[/i]." in out
    assert "concept [red]dust" in out
    assert "\x1b" not in out


def test_a_failed_trial_is_shown_with_why(tmp_path: Path) -> None:
    made = trial()
    with Store.create(tmp_path / "run", dict(SHOWN)) as store:
        store.add_errors([(made, "too faint")])
    assert f"trial {made.id} has no response, it failed: too faint" in refused("show", tmp_path / "run", made.id)


def test_the_lists_name_what_there_is(finished: Path) -> None:
    assert "ByteDance/Ouro-1.4B" in introspect("models")[1]
    assert "detect" in introspect("prompts")[1]
    assert "published" in introspect("concepts")[1]
    assert "Dust" in introspect("concepts", "published")[1]
    assert "unknown concept set 'nosuch'" in refused("concepts", "nosuch:all")
    rows = introspect("concepts", "--vectors", finished)[1].splitlines()
    assert len(rows) == 1 + 3 * 2
    assert rows[0].split()[:4] == ["loop", "layer", "mean", "norm"]
