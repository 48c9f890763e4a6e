"""Every family through the command line: a sweep over all loops of a small model with random weights."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from families import FAMILIES
from typer.testing import CliRunner

from introspect.cli import app
from introspect.errors import InputError
from introspect.families.loading import peek


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out, which take longest and are the same for all families."""
    monkeypatch.setattr("introspect.experiment.sweep.write_figures", lambda *_: [])


def sweep(folder: Path, *options: object) -> tuple[int, str]:
    fixed = ["--loops", "all", "--concepts", "dust,snow,bread", "--strengths", "2", "--max-new-tokens", "2"]
    words = ["sweep", folder / "model", *fixed, "--questions", "detect", *options, "--out", folder / "run"]
    ran = CliRunner().invoke(app, [*map(str, words)])
    return ran.exit_code, ran.stderr


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_sweep_reaches_every_site_of_every_stage(name: str, tmp_path: Path) -> None:
    looped = FAMILIES[name].make(dtype=torch.float32)
    looped.model.save_pretrained(tmp_path / "model")
    looped.tokenizer.save_pretrained(tmp_path / "model")
    stages = ",".join(stage for stage, count in looped.layers.items() if count)
    n_loops = 2 if FAMILIES[name].looped else looped.n_loops
    how = [word for option, value in FAMILIES[name].looped.items() for word in (f"--{option.replace('_', '-')}", value)]
    assert sweep(tmp_path, "--stages", stages, "--n-loops", str(n_loops), *how) == (0, "")
    trials = pd.read_csv(tmp_path / "run" / "tables" / "trials.csv")
    injected = trials[trials["arm"] == "injected"]
    assert (trials["state"] == "done").all(), trials["error"].dropna().unique()
    assert set(injected["sites"]) == {str(site) for site in looped.sites(n_loops)}
    assert (injected["vector_norm"] > 0).all()
    assert len(injected) == 3 * len(looped.sites(n_loops))
    assert set(trials["model"]) == {str(tmp_path / "model") + "".join(name.partition("@")[1:])}


def test_a_stage_that_a_family_lacks_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    looped = FAMILIES["ouro"].make(dtype=torch.float32)
    looped.model.save_pretrained(tmp_path / "model")
    looped.tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"nothing that could be loaded")
    code, said = sweep(tmp_path, "--stages", "coda")
    assert code == 2
    assert "has no coda; it has core" in said
    assert not (tmp_path / "run").exists()


def test_loops_of_a_model_without_them_are_refused(tmp_path: Path) -> None:
    looped = FAMILIES["llama"].make(dtype=torch.float32)
    looped.model.save_pretrained(tmp_path / "model")
    looped.tokenizer.save_pretrained(tmp_path / "model")
    code, said = sweep(tmp_path, "--n-loops", "2")
    assert (code, said.count("\n")) == (2, 1)
    assert "is a feed-forward model: it runs its blocks once" in said


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("hrm", ["--n-loops", "5"], "it must be a multiple of 4"),
        ("mor-token", ["--n-loops", "9"], "loops beyond the 3 learned have no routers"),
        ("relaxed", ["--n-loops", "4"], "loops beyond the 3 learned have no LoRA weights"),
    ],
)
def test_loops_that_cannot_be_run_are_refused_before_anything_is_loaded(
    name: str, options: list[str], words: str, tmp_path: Path
) -> None:
    looped = FAMILIES[name].make(dtype=torch.float32)
    looped.model.save_pretrained(tmp_path / "model")
    looped.tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"nothing that could be loaded")
    code, said = sweep(tmp_path, *options)
    assert (code, said.count("\n")) == (2, 1)
    assert words in said


def test_loops_that_follow_an_injection_are_refused_where_they_end_inside_a_cycle(tmp_path: Path) -> None:
    looped = FAMILIES["hrm"].make(dtype=torch.float32)
    looped.model.save_pretrained(tmp_path / "model")
    looped.tokenizer.save_pretrained(tmp_path / "model")
    code, said = sweep(tmp_path, "--remaining-loops", "1")
    assert (code, said.count("\n")) == (2, 1)
    assert "must be a multiple of" in said


def test_an_exit_gate_is_refused_where_there_is_none(tmp_path: Path) -> None:
    looped = FAMILIES["raven"].make(dtype=torch.float32)
    looped.model.save_pretrained(tmp_path / "model")
    looped.tokenizer.save_pretrained(tmp_path / "model")
    code, said = sweep(tmp_path, "--exit", "gate")
    assert (code, said.count("\n")) == (2, 1)
    assert "gate" in said


MADE = {name: type(family.make(dtype=torch.float32)) for name, family in FAMILIES.items()}
REQUIRED = [(name, field) for name, made in MADE.items() for field in made.required]


@pytest.mark.parametrize(("name", "field"), REQUIRED)
def test_a_config_without_a_field_that_no_weight_shows_is_refused(name: str, field: str, tmp_path: Path) -> None:
    looped = FAMILIES[name].make(dtype=torch.float32)
    looped.model.save_pretrained(tmp_path / "model")
    looped.tokenizer.save_pretrained(tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    settings = json.loads(file.read_text())
    held = [settings.pop(each, None) for each in field.split("|")]
    assert any(value is not None for value in held), "a checkpoint of this family has no such field at all"
    file.write_text(json.dumps(settings))
    with pytest.raises(InputError, match=f"config.json lacks {field.replace('|', ' or ')}, which no weight shows"):
        peek(str(tmp_path / "model"))
