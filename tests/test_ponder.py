"""PonderLM: equal to a plain reference, and with one loop to GPT-NeoX as transformers has it."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from neox_reference import stack_of
from tiny import save_tiny
from tiny_feedforward import tiny_feedforward
from tiny_ponder import tiny_ponder, tiny_ponder_config
from torch import Tensor
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from introspect.errors import InputError
from introspect.families.feedforward.model import FeedForwardLooped
from introspect.families.loading import load_model, peek
from introspect.families.ponder.config import PonderConfig
from introspect.families.registry import family_of

HEAD = {"embed_out.weight": "lm_head.weight"}
"""What transformers 5 calls the head; files have the old name."""
IDS = torch.tensor([[5, 17, 40, 8, 99, 3, 61]])


def reference(w: dict[str, Tensor], config: PonderConfig, ids: Tensor, n_loops: int) -> Tensor:
    """Compute the logits of one text as the paper has it, without a cache."""
    scale = config.hidden_size**0.5 if config.scale_embeds else 1.0
    table = w["gpt_neox.embed_in.weight"] * scale
    run = stack_of(w, config, list(range(ids.shape[1])))
    x = table[ids] * (max(n_loops - 1, 1) if config.mutiply_pondering_steps else 1)
    for loop in range(n_loops):
        logits = run(x) @ w["embed_out.weight"].T
        if loop < n_loops - 1:
            x = x + logits.softmax(-1) @ table
    return logits


@pytest.mark.parametrize(
    "fields", [{}, {"scale_embeds": True}, {"mutiply_pondering_steps": True}, {"use_parallel_residual": False}]
)
@torch.no_grad()
def test_it_computes_what_the_paper_says(fields: dict[str, object]) -> None:
    looped = tiny_ponder(dtype=torch.float64, **fields)
    for n_loops in (1, 2, 3, 5):
        found = looped.model(IDS, **looped.forward_arguments(n_loops)).logits
        expected = reference(looped.model.state_dict(), looped.model.config, IDS, n_loops)
        assert (found - expected).abs().max() < 1e-11


@torch.no_grad()
def test_with_one_loop_it_is_gpt_neox() -> None:
    looped = tiny_ponder(dtype=torch.float64)
    settings = looped.model.config.to_dict()
    plain = GPTNeoXForCausalLM(GPTNeoXConfig.from_dict(settings)).double().eval()
    plain.load_state_dict({HEAD.get(name, name): weight for name, weight in looped.model.state_dict().items()})
    found = looped.model(IDS, **looped.forward_arguments(1)).logits
    assert (found - plain(IDS).logits).abs().max() < 1e-6, "its angles are in float32"


@torch.no_grad()
def test_each_loop_matters() -> None:
    looped = tiny_ponder()
    logits = [looped.model(IDS, **looped.forward_arguments(n)).logits for n in (1, 2, 3)]
    assert all((one - two).abs().max() > 1e-2 for one, two in pairwise(logits))


def test_the_vanilla_baseline_is_gpt_neox_although_its_file_has_steps(tmp_path: Path) -> None:
    folder = save_tiny(tiny_feedforward("gpt_neox"), tmp_path)
    settings = json.loads((folder / "config.json").read_text())
    written = {"ponderinglm": False, "pondering_steps": 1, "scale_embeds": True, "checkpoint_num_layers": 24}
    (folder / "config.json").write_text(json.dumps(settings | written))
    assert peek(str(folder)).n_loops == 1
    assert isinstance(load_model(str(folder), device="cpu"), FeedForwardLooped)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model_type": "llama", "pondering_steps": 3}, "of type 'ponder_llama', which is no known family"),
        ({"model_type": "llama", "num_latent_thoughts": 1}, "is PonderLM-2 on Llama: only PonderLM-2 on GPT-NeoX"),
    ],
)
def test_what_ponders_in_another_layout_is_not_run_as_if_it_did_not(settings: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        family_of(settings, name="x")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pondering_steps": -1}, "pondering_steps -1: must be 0 or more"),
        ({"num_attention_heads": 5}, "hidden_size 32 is no multiple of num_attention_heads 5"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, "rope type 'linear'"),
        (
            {"rotary_emb_base": 500, "rope_theta": 400},
            "rotary_emb_base 500 and rope_theta 400: two names of one number",
        ),
        (
            {"rotary_pct": 0.5, "partial_rotary_factor": 0.25},
            "rotary_pct 0.5 and partial_rotary_factor 0.25: two names",
        ),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        tiny_ponder_config(**fields)


def test_rotary_fields_that_transformers_4_wrote_under_two_names_are_read_under_either() -> None:
    read, written = {"rotary_emb_base": 500, "rotary_pct": 0.5}, {"rope_theta": 500, "partial_rotary_factor": 0.5}
    for fields in (read, written, read | written):
        rope = tiny_ponder_config(**fields).rope
        assert (rope["rope_theta"], rope["partial_rotary_factor"]) == (500, 0.5)
