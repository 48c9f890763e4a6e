"""Everything bad is one line that says what would be right, ends with 2, and leaves runs and folders as they were."""

import json
import shutil
from pathlib import Path

import pytest
from commanded import arguments, refused
from swept import SMALL, contents, save_quietly
from tiny import tiny_model

BAD_OPTIONS = [
    (["--loops", "3"], 'this run has loops "all", not "3"'),
    (["--layers", "0-2"], 'this run has layers "0", not "0-2"'),
    (["--loops", "first"], "loops: cannot read 'first'"),
    (["--layers", "1.5"], "layers: depth 1.5 is out of range"),
    (["--extract-loops", "9"], 'this run has extract_loops "same", not "9"'),
    (["--concepts", "dsut"], "unknown concept 'dsut' in set 'published'; did you mean Dust"),
    (["--concepts", "nosuch:all"], "unknown concept set 'nosuch'; known: organisms, published"),
    (["--template", "nosuch"], "unknown template 'nosuch'; known: choose, choose-bare, compare"),
    (["--protocol", "nosuch"], "unknown protocol 'nosuch'; known: detect, prior"),
    (["--framings", "nosuch"], "unknown framing 'nosuch'; known: neutral, informative"),
    (["--questions", "nosuch"], "unknown question 'nosuch'; known: detect, unrelated"),
    (["--strength-unit", "nosuch"], "unknown strength unit 'nosuch'; known: vector, residual, kl"),
    (["--n-loops", "0"], "n_loops: '0' must be at least 1"),
    (["--remaining-loops", "-1"], "remaining_loops -1: must be 0 or more"),
    (["--trial-numbers", "one"], "trial_numbers: cannot read 'one'; write 4, 1,2 or 1-8"),
    (["--grader", "nosuch"], "unknown grader 'nosuch'; known: rules, logits"),
    (["--arms", "nosuch"], "unknown arm of protocol detect 'nosuch'; known: injected, none, random"),
    (["--contrast", "nosuch"], "unknown contrast 'nosuch'"),
    (["--inject", "nosuch"], "unknown inject mode 'nosuch'; known: each, loops, together"),
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
    changed = bad[0].removeprefix("--").replace("-", "_")
    kept = arguments({name: value for name, value in SMALL.items() if name != changed})
    assert said in refused("sweep", tiny, *kept, "--out", finished, *bad)
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
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    said = refused("sweep", tmp_path, "--out", tmp_path / "run")
    assert "is of type 'mamba', which is no known family; looped ones are ouro" in said


def test_a_model_without_tokenizer_is_refused(tiny: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    (model / "tokenizer.json").unlink()
    said = refused("sweep", model, *arguments(SMALL), "--out", tmp_path / "run")
    assert "has no tokenizer that can be read" in said
    assert not (tmp_path / "run").exists()


def test_a_span_that_the_chat_format_loses_is_refused(tmp_path: Path) -> None:
    looped = tiny_model()
    looped.tokenizer.chat_template = "<|im_start|>user\nsomething else\n<|im_start|>assistant\n"
    model = save_quietly(looped, tmp_path / "model")
    said = refused("sweep", model, *arguments(SMALL), "--out", tmp_path / "run")
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
        ("<<user>>\n<<inject>>Is it {{ word }}?\n", "'word' is undefined; variables given: number"),
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
    said = refused("sweep", model, *arguments(SMALL), "--out", tmp_path / "run")
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
