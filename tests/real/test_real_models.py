"""Real models are loaded, described, asked and answered for; a base model too, in plain text."""

from pathlib import Path

import pytest
import torch
from commands import THREE, check_complete, introspect
from conftest import Model
from fetch import MODELS

from introspect.families.loading import load_model

pytestmark = pytest.mark.real
SMALL = ("--layers", "0.5", "--strengths", "2", "--max-new-tokens", "12", "--arms", "injected,none,random")


def test_the_card_says_what_the_model_is(model: Model) -> None:
    card = introspect("models", *model.named[:1], *model.more[:2])
    assert "134,515,008 in float32" in card
    assert ("10 prelude, 10 core, 10 coda; width 576" if model.more else "30 core; width 576") in card
    assert "chatml" in card


@torch.no_grad()
def test_the_capital_of_france_is_paris(model: Model) -> None:
    given = dict(zip(("loop_layers",), model.more[1:2], strict=False))
    looped = load_model(str(model.path), device="cpu", **given)
    n_loops = int(model.more[3]) if model.more else 1
    text = looped.chat([{"role": "user", "content": "What is the capital of France?"}])
    ids = looped.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    written: list[int] = []
    for _ in range(16):
        logits = looped.model(ids, **looped.forward_arguments(n_loops)).logits
        written.append(int(logits[0, -1].argmax()))
        if written[-1] in looped.end_of_turn:
            break
        ids = torch.cat((ids, ids.new_tensor([written[-1:]])), 1)
    assert "capital of France is Paris" in looped.decode(written)


@pytest.mark.xdist_group("gemma")
def test_a_base_model_is_asked_in_plain_text(gemma: Path, tmp_path: Path) -> None:
    out = introspect("sweep", gemma, *THREE, *SMALL, "--out", tmp_path / "run")
    check_complete(tmp_path / "run", out)
    shown = introspect("models", gemma)
    assert "gemma3_text" in shown
    assert "plain" in shown


def test_the_file_is_the_published_one(smollm2: Path) -> None:
    assert smollm2.stat().st_size == MODELS["smollm2"].size
