"""The card of a model, and the list of families."""

import json
import re
from pathlib import Path

import pytest
import torch
from families import FAMILIES as MAKERS
from oracle import hooked
from typer.testing import CliRunner

from introspect.cli import app
from introspect.experiment.model_card import PROBE, card_of, probe_norms
from introspect.families.loading import load_model
from introspect.families.registry import FAMILIES


def introspect(*words: object) -> str:
    ran = CliRunner().invoke(app, [*map(str, words)])
    assert ran.exit_code == 0, ran.stderr
    return ran.stdout


def test_a_card_counts_what_the_model_has() -> None:
    looped = load_model("organism:aware", device="cpu")
    card = card_of(looped)
    assert (card.n_loops, card.layers, card.d_model, card.chat_format) == (4, {"core": 4}, 128, "chatml")
    assert card.parameters == sum(tensor.numel() for tensor in looped.model.state_dict().values())
    assert list(card.norms) == looped.sites()


def test_what_was_equal_to_the_published_code_says_when_by_how_much_and_which_code() -> None:
    said = {kind: family.about.verified for kind, family in FAMILIES.items()}
    equal = {kind for kind, text in said.items() if "equal to the published code" in text}
    assert {"ouro", "huginn_raven", "retrofit", "parcae", "loopformer", "think_at_hard", "lds", "cotformer"} <= equal
    measured = r"equal to the published code, [A-Z][a-z]+ 20\d\d: largest relative difference \d\.\de-\d \(float32\)"
    pattern = rf"{measured}, [\w-]+/[\w.-]+ [0-9a-f]{{7}}\b"
    assert all(re.match(pattern, said[kind]) for kind in equal)
    assert all(said.values())


@pytest.mark.parametrize("name", MAKERS)
def test_norms_are_those_of_plain_hooks_at_every_site_of_every_stage(name: str) -> None:
    looped = MAKERS[name].make(dtype=torch.float64)
    norms = {}
    visits = {
        site: lambda h, site=site: norms.__setitem__(site, h[0, 1:].pow(2).sum(-1).sqrt().mean().item())
        for site in looped.sites()
    }
    ids = torch.tensor([looped.tokenizer(PROBE, add_special_tokens=False).input_ids])
    with hooked(looped, visits), torch.no_grad():
        looped.model(ids, use_cache=False, **looped.forward_arguments(looped.n_loops))
    assert probe_norms(looped) == pytest.approx(norms, rel=1e-9)


def test_the_list_names_every_family_and_every_known_checkpoint() -> None:
    said = " ".join(introspect("models").split())
    for kind, family in FAMILIES.items():
        assert kind in said
        assert family.about.name.split()[0] in said
        assert all(checkpoint in said for checkpoint in family.about.checkpoints)
        assert all(word in said for word in family.about.verified.split())  # cells are folded
    assert "organism:aware" in said


def test_a_card_is_printed_with_loops_layers_and_norms(tmp_path: Path) -> None:
    looped = MAKERS["raven"].make(dtype=torch.float32)
    looped.model.save_pretrained(tmp_path)
    looped.tokenizer.save_pretrained(tmp_path)
    said = introspect("models", tmp_path)
    assert "2 prelude, 2 core, 1 coda; width 32" in said
    for site in looped.sites():
        assert f"\n{site} " in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_heads": 5, "num_attention_heads": 5}, "n_embd 32 is no multiple of n_heads 5"),
        ({"model_type": "mamba"}, "is of type 'mamba', which is no known family"),
    ],
)
def test_a_model_that_cannot_be_used_is_one_line(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    looped = MAKERS["raven"].make(dtype=torch.float32)
    looped.model.save_pretrained(tmp_path)
    looped.tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changes))
    ran = CliRunner().invoke(app, ["models", str(tmp_path)])
    assert (ran.exit_code, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert said in ran.stderr
