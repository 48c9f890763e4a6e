"""What can be refused without a model is: one line, exit code 2, no folder, and neither a model nor torch is loaded."""

import json
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from commanded import refused

from introspect.experiment.options import Options

BAD: dict[str, list[list[str]]] = {
    "model": [["organism:nosuch"], ["./nosuch"], ["nosuch.gguf"], ["organism:aware", "--revision", "main"]],
    "protocol": [["--protocol", "nosuch"]],
    "framings": [["--framings", "nosuch"], ["--framings", ","]],
    "questions": [["--questions", "nosuch"]],
    "template": [["--template", "nosuch"], ["--template", "nosuch.j2"]],
    "trial_numbers": [["--trial-numbers", "0"], ["--trial-numbers", "one"]],
    "loops": [["--loops", "x"], ["--loops", "3-1"], ["--loops", "1.5"], ["--loops", ""]],
    "layers": [["--layers", "x"], ["--layers", "0,-1"], ["--layers", "0.x"]],
    "stages": [["--stages", "nosuch"], ["--stages", ""]],
    "inject": [["--inject", "nosuch"]],
    "loop_layers": [["--loop-layers", "x"], ["--loop-layers", "2-1"]],
    "loop_step": [["--loop-step", "nosuch"]],
    "tokenizer": [["--tokenizer", name] for name in ("./nosuch", "organism:nosuch", "no.gguf", "{taken}", "")],
    "n_loops": [["--n-loops", "0"], ["--n-loops", "x"]],
    "remaining_loops": [["--remaining-loops", "-1"], ["--remaining-loops", "x"]],
    "extract_loops": [["--extract-loops", "x"]],
    "concepts": [
        ["--concepts", "dsut"],
        ["--concepts", "nosuch:all"],
        ["--concepts", "dust"],
        ["--concepts", "no.csv"],
    ],
    "contrast": [["--contrast", "nosuch"]],
    "pairs": [["--contrast", "pairs", "--pairs", "nosuch.csv"]],
    "strengths": [["--strengths", "1,nan"], ["--strengths", "much"]],
    "strength_unit": [["--strength-unit", "nosuch"]],
    "arms": [["--arms", "nosuch"], ["--arms", ""], ["--arms", "injected,wrong", "--concepts", "dust"]],
    "repeats": [["--repeats", "0"], ["--repeats", "many"]],
    "seed": [["--seed", "x"]],
    "temperature": [["--temperature", "-1"], ["--temperature", "nan"]],
    "top_p": [["--top-p", "0"], ["--top-p", "2"]],
    "max_new_tokens": [["--max-new-tokens", "0"]],
    "grader": [["--grader", "nosuch"], ["--grader", ""]],
    "coherence": [["--coherence", "nosuch"]],
    "date": [["--date", "yesterday"]],
    "exit": [["--exit", "nosuch"], ["--exit", "gate:2"]],
    "decided_by": [["--decided-by", "nosuch"]],
    "device": [["--device", "nosuch"], ["--device", "cuda:x"]],
    "dtype": [["--dtype", "nosuch"]],
    "engine": [["--engine", "fast"]],
    "batch_size": [["--batch-size", "0"]],
    "workers": [["--workers", "0"]],
    "ray": [["--ray", ""]],
    "out": [["--out", "{taken}"]],
}
"""For every option, what cannot be read of it or contradicts another."""
UNCHECKED = {
    "split_dose": "a switch",
    "trust_remote_code": "a switch",
    "revision": "only the hub knows; of anything else it is refused with the model",
}
CASES = [case for cases in BAD.values() for case in cases]
WITHOUT_TORCH = """
import json, sys
for heavy in ("torch", "nnsight", "transformers"):
    sys.modules[heavy] = None
from typer.testing import CliRunner
from introspect.cli import app
for case in json.loads(sys.argv[1]):
    ran = CliRunner().invoke(app, ["sweep", *case])
    print(json.dumps([case, ran.exit_code, ran.stderr, repr(ran.exception)]))
"""


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("years of work")
    return tmp_path / "taken"


def test_every_option_has_a_case_or_a_reason_for_none() -> None:
    assert {field.name for field in fields(Options)} == set(BAD) | set(UNCHECKED)


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_bad_option_is_refused_before_a_model_is_loaded_or_a_folder_made(
    case: list[str], taken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from introspect.experiment.laboratory import opening

    def loaded(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.chdir(tmp_path)
    for name in ("load_model", "peek"):
        monkeypatch.setattr(opening, name, loaded)
    refused("sweep", *(part.format(taken=taken) for part in case))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    assert [path.name for path in taken.iterdir()] == ["thesis.tex"]


def test_none_of_it_needs_torch(taken: Path, tmp_path: Path) -> None:
    cases = json.dumps([[part.format(taken=taken) for part in case] for case in CASES])
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, cases], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    ended = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(ended) == len(CASES)
    assert [each for each in ended if each[1] != 2 or each[2].count("\n") != 1] == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--stages", "core,prelude", "--extract-loops", "0"], "has no prelude"),
        (["--strength-unit", "kl", "--strengths", "-1"], "must be 0 or more"),
        (["--exit", "9"], "exit 9: some trials run"),
        (["--loops", "9"], "loops: '9' is out of range"),
        (["--layers", "99"], "layers: '99' is out of range"),
        (["--extract-loops", "9"], "extract_loops: '9' is out of range"),
        (["--loop-layers", "0-1"], "has loops of its own"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_the_outline_of_a_model_shows_is_refused_before_its_weights_are_loaded(
    more: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from introspect.experiment.laboratory import opening

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "load_model", None)
    assert said in refused("sweep", "organism:aware", "--device", "cpu", *more)
    assert list(tmp_path.iterdir()) == []


def test_a_prompt_longer_than_the_longest_text_is_refused_before_the_weights_are_loaded(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every number of positions: as many as the longest prompt has tokens are enough."""
    from introspect.experiment.laboratory import opening

    model = shutil.copytree(tiny, tmp_path / "model")
    settings = json.loads((model / "config.json").read_text())
    monkeypatch.setattr(opening, "load_model", lambda *_, **__: pytest.fail("the model is loaded"))
    few = ("sweep", model, "--device", "cpu", "--concepts", "dust,snow", "--out", tmp_path / "run")
    longest = None
    for positions in (10, 100):
        (model / "config.json").write_text(json.dumps(settings | {"max_position_embeddings": positions}))
        said = refused(*few)
        assert f"its longest text has {positions}" in said
        longest = int(said.split("a prompt has ")[1].split()[0])
    assert longest is not None
    (model / "config.json").write_text(json.dumps(settings | {"max_position_embeddings": longest}))
    with pytest.raises(pytest.fail.Exception, match="the model is loaded"):
        opening.open_laboratory(Options(model=str(model), concepts="dust,snow", out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["monitor", "--injected", "--concepts", "dust,snow"],
        ["monitor", "--probe", "nosuch"],
        ["monitor", "--task", "nosuch"],
        ["monitor", "--seed", "-1"],
        ["trajectory", "--concepts", "dust"],
        ["trajectory", "--probe", "nosuch"],
        ["trajectory", "--n-loops", "0"],
        ["dynamics", "--recurrences", "1"],
        ["dynamics", "--texts", "nosuch.txt"],
        ["dynamics", "--layers", "x"],
        ["dynamics", "--grid", "--blocks", "x"],
        ["monitor", "./nosuch"],
        ["dynamics", "./nosuch"],
        ["trajectory", "./nosuch"],
    ],
    ids=" ".join,
)
def test_an_analysis_is_refused_before_a_model_is_loaded_or_a_folder_made(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from introspect.analyses.dynamics import dynamics
    from introspect.experiment.laboratory import opening

    monkeypatch.chdir(tmp_path)
    for module in (opening, dynamics):
        monkeypatch.setattr(module, "load_model", None)
    refused(*command, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
