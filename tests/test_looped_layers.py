"""Which layers are looped, as the user says it: names, hashes, refusals, and runs that find their model again."""

from pathlib import Path

import pytest
from commanded import introspect, refused
from tiny import save_tiny, tiny_model
from tiny_training_free import tiny_training_free

from introspect.analyses.subject import open_subject
from introspect.experiment.options import Options
from introspect.experiment.run import Run
from introspect.families.loading import load_model, peek
from introspect.models.looped_layers import LoopedLayers

FEW = ["--concepts", "dust,snow,bread", "--strengths", "2", "--max-new-tokens", "2", "--questions", "detect"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tiny_training_free(), tmp_path_factory.mktemp("made") / "model")


def test_layers_are_read_as_elsewhere_and_cut_into_stages() -> None:
    for text, first, last in (("10-19", 10, 19), ("all", 0, 29), ("4", 4, 4), ("2,3,4", 2, 4), ("1.0", 29, 29)):
        loop = LoopedLayers.read(text, "plain", 30)
        assert (loop.first, loop.last) == (first, last)
        before, core, behind = loop.stages(range(30))
        assert [*before, *core, *behind] == list(range(30))
        assert list(core) == list(range(first, last + 1))
    assert LoopedLayers.read("10-19", "damped", 30).name == "@10-19-damped"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--loop-layers", "0,2"], "loop_layers '0,2': must be one run of layers without a gap, such as 0-2"),
        (["--loop-layers", "1-4"], "loop_layers: '1-4' is out of range; the model has 0 to 3"),
        (["--loop-layers", "middle"], "loop_layers: cannot read 'middle'"),
        (["--loop-layers", "1-2", "--loop-step", "half"], "unknown loop step 'half'; known: damped, plain"),
        (["--loop-layers", "1-2", "--stages", "coda", "--layers", "1"], "layers: '1' is out of range"),
        (["--n-loops", "2"], "it runs its blocks once; --loop-layers runs some of them again"),
    ],
)
def test_what_cannot_be_looped_is_one_line_before_weights_are_read(
    folder: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(b"" if file.suffix == ".safetensors" else file.read_bytes())
    assert said in refused("sweep", tmp_path, *options, *FEW, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_with_loops_of_its_own_is_refused(tmp_path: Path) -> None:
    looped = save_tiny(tiny_model(), tmp_path / "model")
    assert "has loops of its own (Ouro (LoopLM))" in refused("models", looped, "--loop-layers", "0-1")


def test_how_the_loop_is_made_makes_the_model_and_its_name(folder: Path) -> None:
    made = [{}, {"loop_layers": "1-2"}, {"loop_layers": "1-2", "loop_step": "plain"}, {"loop_layers": "1-3"}]
    loaded = [load_model(str(folder), device="cpu", **how) for how in made]
    assert len({looped.weights_hash for looped in loaded}) == len(made)
    assert [looped.name.removeprefix(str(folder)) for looped in loaded] == [
        *("", "@1-2-damped", "@1-2-plain", "@1-3-damped")
    ]
    for text in ("1,2", "1-2"):  # two spellings of one model
        assert load_model(str(folder), device="cpu", loop_layers=text).weights_hash == loaded[1].weights_hash
    assert peek(str(folder), loop_layers="1-2").layers == {"prelude": 1, "core": 2, "coda": 1}


def test_a_run_finds_its_model_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "introspect.experiment.sweep.write_figures", lambda *_: []
    )  # which take longest, and show no loops
    looped = ["--loop-layers", "1-2", "--loop-step", "plain", "--n-loops", "1-2", "--layers", "1"]
    words = ["sweep", folder, *looped, *FEW, "--remaining-loops", "1", "--out", tmp_path / "run"]
    code, _, err = introspect(*words)
    assert (code, err) == (0, "")
    with Run.open(tmp_path / "run") as run:
        assert set(run.trials["model"]) == {f"{folder}@1-2-plain"}
        injected = run.trials[run.trials["arm"] == "injected"]
        assert set(injected["n_loops"]) == {2, 3}
        for trial in (run.trial(name) for name in injected.groupby("n_loops")["trial"].first()):
            assert trial.replay().response.token_ids == trial.response.token_ids
    assert open_subject(Options(), tmp_path / "run").tap.looped.name == f"{folder}@1-2-plain"
    assert introspect(*words)[0] == 0
    assert "this run has loop_step" in refused(*(word if word != "plain" else "damped" for word in words))


def test_the_card_says_how_it_is_looped(folder: Path) -> None:
    code, said, _ = introspect("models", folder, "--loop-layers", "1-2")
    assert code == 0
    assert all(words in said for words in ("@1-2-damped", "training-free looping", "1 prelude, 2 core, 1 coda"))
