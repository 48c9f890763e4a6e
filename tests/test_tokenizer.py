"""A tokenizer from a place of its own: the model is as if it lay with it, and it is part of what identifies a run."""

import shutil
from pathlib import Path

import pytest
from commanded import arguments, introspect, refused
from swept import SMALL, options, run_without_figures
from tiny import save_tiny, tiny_model, tiny_tokenizer
from tiny_parcae import tiny_parcae
from tiny_raven import tiny_raven

from introspect.errors import InputError
from introspect.experiment.run import Run
from introspect.families.loading import load_model, peek
from introspect.families.tokenizer import turns_of
from introspect.models.looped_model import LoopedModel

MAKERS = {"ouro": tiny_model, "parcae": tiny_parcae, "huginn": tiny_raven}
FEW = {**SMALL, "concepts": "dust", "arms": "injected", "questions": "detect", "strengths": "2", "loops": "1"}


def apart(looped: LoopedModel, home: Path) -> tuple[Path, Path]:
    """Save a model whose tokenizer lies in a folder of its own; return both folders."""
    save_tiny(looped, home / "model")
    (home / "words").mkdir()
    for file in (*(home / "model").glob("tokenizer*"), *(home / "model").glob("*.jinja")):
        shutil.move(file, home / "words" / file.name)
    return home / "model", home / "words"


@pytest.mark.parametrize("family", MAKERS)
def test_a_model_with_its_tokenizer_elsewhere_is_the_model_with_it(family: str, tmp_path: Path) -> None:
    looped = MAKERS[family]()
    model, words = apart(looped, tmp_path)
    loaded = load_model(str(model), device="cpu", tokenizer=str(words))
    assert loaded.weights_hash == looped.weights_hash
    assert loaded.end_of_turn == looped.end_of_turn
    with pytest.raises(InputError, match=r"no tokenizer that can be read.*--tokenizer names where one is"):
        load_model(str(model), device="cpu")


def test_the_tokenizer_that_is_named_is_taken_before_that_of_the_model(tmp_path: Path) -> None:
    model = save_tiny(tiny_model(vocab_size=2200), tmp_path / "model")
    found = {name: load_model(str(model), device="cpu", tokenizer=name) for name in (None, "organism:aware")}
    assert found[None].weights_hash != found["organism:aware"].weights_hash
    other = load_model("organism:aware", device="cpu").tokenizer
    text = "Do you notice an injected thought?"
    assert found["organism:aware"].tokenizer(text)["input_ids"] == other(text)["input_ids"]
    assert turns_of(str(model), tokenizer="organism:aware").decode(other(text)["input_ids"]) == text


def test_ids_without_a_row_in_the_embedding_are_one_line_before_the_weights_are_read(tmp_path: Path) -> None:
    model, words = apart(tiny_model(), tmp_path)
    tokenizer = tiny_tokenizer()
    rows = len(tokenizer)
    tokenizer.add_tokens(["zzz"])
    tokenizer.save_pretrained(words)
    (model / "model.safetensors").write_bytes(b"not read")
    for look in (peek, load_model):
        with pytest.raises(InputError, match=f"tokenizer '{words}' has ids up to {rows}, its embedding {rows} rows"):
            look(str(model), tokenizer=str(words))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sweep a model whose tokenizer lies elsewhere."""
    home = tmp_path_factory.mktemp("home")
    model, words = apart(tiny_model(), home)
    return run_without_figures(options(model, home / "run", **FEW | {"tokenizer": str(words)}))


def test_a_run_finds_its_tokenizer_again(run: Path) -> None:
    with Run.open(run) as opened:
        assert opened.manifest["tokenizer"] == str(run.parent / "words")
        trial = opened.trial(opened.trials["trial"].iloc[0])
        assert trial.replay().response.token_ids == trial.response.token_ids
    code, _, err = introspect("grade", run)
    assert (code, err) == (0, "")


@pytest.mark.slow
def test_a_run_is_not_continued_with_another_tokenizer(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before a model is loaded, also where the run has one and the command none."""
    asked = ["sweep", run.parent / "model", *arguments(FEW), "--out", run]
    with monkeypatch.context() as patch:
        patch.setattr("introspect.experiment.laboratory.opening.peek", None)
        for other in ([], ["--tokenizer", "organism:aware"]):
            assert "this run has tokenizer" in refused(*asked, *other)
    code, _, err = introspect(*asked, "--tokenizer", run.parent / "words")
    assert (code, err) == (0, "")


@pytest.mark.parametrize("command", ["sweep", "monitor", "dynamics", "trajectory", "models"])
def test_every_command_that_loads_a_model_takes_one(command: str) -> None:
    said = refused(command, "organism:aware", "--tokenizer", "./nosuch")
    assert "tokenizer './nosuch': there is no such folder" in said


@pytest.mark.parametrize("command", ["monitor", "dynamics", "trajectory"])
def test_it_is_that_of_a_run_and_cannot_be_given_with_one(command: str, run: Path) -> None:
    assert "tokenizer: is that of the run" in refused(command, "--run", run, "--tokenizer", "organism:aware")
