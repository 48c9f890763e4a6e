"""`introspect dynamics` from the command line: what it writes, what it says, what it refuses."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from commanded import introspect, refused
from print_size import written_widths
from swept import run_without_figures
from tiny import save_tiny, tiny_model

from introspect.analyses.analysis import Analysed, analyses_of
from introspect.analyses.dynamics.dynamics import Settings, open_dynamics, settle
from introspect.analyses.kept_units import keeping
from introspect.experiment.options import Options
from introspect.results.figures.layout import WIDTHS

CONCEPTS = "snow,bread,river"
FEW = ("--recurrences", 6, "--attention-loops", 2, "--follow", 7, "--device", "cpu")
SITES = ("--concepts", CONCEPTS, "--loops", 0, "--layers", 0)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("Tell me about bread.\n\nSnow is white, and it is cold.\n")
    return path


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("model", ["organism:aware", "organism:huginn"])
def test_a_model_is_measured_into_a_folder(model: str, texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, err = introspect("dynamics", model, *FEW, *SITES, "--texts", texts, "--width", "one", "--out", out)
    assert (code, err) == (0, "")
    assert written_widths(out) == {WIDTHS["one"]}
    found = Analysed.open(out)
    assert all(sentence in said for sentence in found.said["sentences"])
    assert set(found.said["figures"]) == {"settling", "attention", "stages", "path", "left"}
    layers = 4 if model == "organism:aware" else 3
    assert len(found.table("settling")) == 6 * layers
    assert (found.table("settling")["n"] == 2).all()
    assert len(found.table("attention")) == (2 * layers) ** 2
    assert set(found.table("arms")["arm"]) == {"injected", "random"}
    assert found.table("left")["at_loop"].max() == 6
    assert "fates" not in found.said["tables"]


@pytest.mark.slow
def test_with_a_run_thoughts_have_fates(texts: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    sites = {"concepts": "snow,bread,river,trust,desert", "layers": "0", "loops": "0,3", "strengths": "3"}
    run_without_figures(Options(**sites, questions="detect", max_new_tokens=24, out=run, device="cpu"))
    code, said, err = introspect("dynamics", "--run", run, *FEW, "--texts", texts)
    assert (code, err) == (0, "")
    (found,) = analyses_of(run)
    fates = found.table("fates")
    injected = fates[fates["arm"] == "injected"]
    assert injected["loop"].tolist() == [0, 3]
    assert (injected["concepts"] == 5).all()
    assert (injected["n"] == 5).all()
    assert injected["fate"].notna().all()
    assert "the concept's thought was" in said


def test_a_dry_run_counts_and_stores_nothing(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, _ = introspect("dynamics", *FEW, *SITES, "--texts", texts, "--out", out, "--dry-run")
    assert code == 0
    assert "2 texts, 6 injected trials" in said
    assert not out.exists()


@pytest.mark.slow
def test_a_baseline_is_measured_beside(texts: Path, tmp_path: Path) -> None:
    from tiny_feedforward import tiny_feedforward

    looped = tiny_feedforward("llama")
    looped.model.save_pretrained(tmp_path / "llama")
    looped.tokenizer.save_pretrained(tmp_path / "llama")
    out, baseline = tmp_path / "out", ("--baseline", tmp_path / "llama")
    assert introspect("dynamics", *FEW, *SITES, "--texts", texts, "--out", out, *baseline)[0] == 0
    assert len(Analysed.open(out).table("baseline")) == looped.n_layers


@pytest.mark.slow
def test_the_grid_needs_no_model(tmp_path: Path) -> None:
    few = ("--blocks", 2, "--recurrences", 5, "--train-steps", 1)
    code, said, err = introspect("dynamics", "--grid", *few, "--out", tmp_path / "grid")
    assert (code, err) == (0, "")
    assert (said.count("(published: "), said.count("(the published model"), said.count("Trained")) == (6, 3, 6)
    assert len(Analysed.open(tmp_path / "grid").table("verdicts")) == 12


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    short, empty, column = tmp_path / "short.txt", tmp_path / "empty.txt", tmp_path / "column.csv"
    short.write_text("a\n")
    empty.write_text("\n\n")
    column.write_text("question\nwhat?\n")
    said = partial(refused, "dynamics", *SITES)
    assert "recurrences 3: must be at least 4" in said("--recurrences", 3)
    assert "recurrences 3: must be 4 to" in refused("dynamics", "--grid", "--recurrences", 3)
    assert "max_tokens 1: must be at least 2" in said("--max-tokens", 1)
    assert "1 tokens; a text needs at least 2" in said("--texts", short, *FEW)
    assert "holds none" in said("--texts", empty)
    assert "text" in said("--texts", column)
    assert "there is no file" in said("--texts", tmp_path / "none.txt")
    assert "blocks: cannot read 'x'" in refused("dynamics", "--grid", "--blocks", "x")
    assert "train_steps -1: must be at least 0" in refused("dynamics", "--grid", "--train-steps", -1)


def test_a_baseline_that_loops_and_a_model_that_does_not_are_refused(texts: Path, tmp_path: Path) -> None:
    from tiny_feedforward import tiny_feedforward

    save_tiny(tiny_model(), tmp_path / "looped")
    looped = refused("dynamics", *FEW, *SITES, "--texts", texts, "--baseline", tmp_path / "looped")
    assert "runs 3 loops; it should be a feed-forward model" in looped
    plain = tiny_feedforward("llama")
    plain.model.save_pretrained(tmp_path / "llama")
    plain.tokenizer.save_pretrained(tmp_path / "llama")
    (tmp_path / "llama" / "model.safetensors").write_bytes(b"nothing that could be loaded")
    assert "is a feed-forward model" in refused("dynamics", tmp_path / "llama", *FEW, "--texts", texts)


def test_huginns_layout_settles_and_ouros_does_not(texts: Path) -> None:
    found = {}
    for model in ("organism:aware", "organism:huginn"):
        settings = Settings(texts=texts, recurrences=32)
        options = Options(model=model, concepts=CONCEPTS, questions="detect", device="cpu")
        with keeping() as keep:
            found[model] = settle(open_dynamics(options, settings, None), keep)
    assert found["organism:huginn"].verdict == "converges"
    assert found["organism:aware"].verdict == "does not"
    rates = {model: each.tokens.set_index("class")["rate"] for model, each in found.items()}
    assert rates["organism:huginn"]["fixed point"] > 0.5 > rates["organism:aware"]["fixed point"] == 0


def test_the_text_of_a_csv_is_its_column(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    pd.DataFrame({"id": [1, 2], "text": ["Tell me about bread.", "Snow, and\nice."]}).to_csv(path, index=False)
    code, said, _ = introspect("dynamics", *FEW, *SITES, "--texts", path, "--dry-run")
    assert (code, "2 texts" in said) == (0, True)
