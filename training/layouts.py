"""The two layouts in which organisms are trained, behind one face. Goes in: a name or a folder. Comes out: a model.

In Ouro's layout the head can read every loop, so that all of them are trained to be read. In Huginn's the coda stands
between; as there, the number of loops varies in training where nothing is injected (arXiv 2502.05171, section 3.3).
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from introspect.families.huginn.config import RavenConfig
from introspect.families.huginn.model import RavenForCausalLM
from introspect.families.ouro.config import OuroConfig
from introspect.families.ouro.model import OuroForCausalLM
from introspect.families.parts.looped_lm import LoopedCausalLM
from introspect.families.registry import family_of
from introspect.records.trial import Site

WIDTH, LOOPS = 128, 4
EMBEDDING_SIZE, ADDED_SIZE = 1.0, 0.25
"""Standard deviation of the embeddings, and gain of what each block adds: a token is not drowned by sixteen blocks."""

Change = Callable[[Site, Tensor], Tensor]


def new_model(layout: str, vocab_size: int, seed: int) -> LoopedCausalLM:
    """Make the organisms' architecture with random weights: `ouro`, 4 blocks, or `huginn`, 1 block, 3 looped, 1."""
    torch.manual_seed(seed)
    model = {"ouro": _ouro, "huginn": _huginn}[layout](vocab_size)
    torch.nn.init.normal_(embedding(model), std=EMBEDDING_SIZE)
    return model


def load(folder: Path) -> LoopedCausalLM:
    """Load a model of either layout, to be trained on."""
    family = family_of(json.loads((folder / "config.json").read_text()), name=str(folder))
    model: LoopedCausalLM = family.model_class.from_pretrained(folder, dtype=torch.float32)
    return model.train()


def embedding(model: LoopedCausalLM) -> nn.Parameter:
    """Return the embedding of the tokens, `(vocabulary, d_model)`."""
    weight: nn.Parameter = model.get_input_embeddings().weight
    return weight


def core(model: LoopedCausalLM) -> nn.ModuleList:
    """Return the blocks of the loop."""
    return model.model.layers if isinstance(model, OuroForCausalLM) else model.transformer.core_block


def core_sites(model: LoopedCausalLM) -> list[Site]:
    """List the sites in the loops."""
    return [Site(loop, layer) for loop in range(LOOPS) for layer in range(len(core(model)))]


def said(model: LoopedCausalLM, ids: Tensor, cache: Cache | None = None, n_loops: int = LOOPS) -> tuple[Tensor, ...]:
    """Return what the head reads after each loop that it can read, the last one last, `(row, token, d_model)` each."""
    output = model(ids, past_key_values=cache, use_cache=cache is not None, logits_to_keep=1, n_loops=n_loops)
    return output.loop_states if isinstance(model, OuroForCausalLM) else (output.final_state,)


@contextmanager
def at_blocks(model: LoopedCausalLM, change: Change) -> Iterator[None]:
    """Let `change(site, h)` replace the output of every block of the loop while the context is open."""
    blocks = core(model)
    before = 0 if isinstance(model, OuroForCausalLM) else len(model.transformer.prelude)

    def hook(_: nn.Module, given: tuple[Tensor, object, int], h: Tensor) -> Tensor:
        return change(Site(*divmod(given[2] - before, len(blocks))), h)  # a block is called with (h, shared, slot)

    handles = [block.register_forward_hook(hook) for block in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _ouro(vocab_size: int) -> OuroForCausalLM:
    config = OuroConfig(
        vocab_size=vocab_size,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        total_ut_steps=LOOPS,
        early_exit_threshold=1.0,
    )
    model = OuroForCausalLM(config)
    for block in model.model.layers:
        block.input_layernorm_2.weight.data.fill_(ADDED_SIZE)
        block.post_attention_layernorm_2.weight.data.fill_(ADDED_SIZE)
    return model


def _huginn(vocab_size: int) -> RavenForCausalLM:
    config = RavenConfig(
        vocab_size=vocab_size,
        n_embd=WIDTH,
        n_heads=4,
        intermediate_size=2 * WIDTH,
        n_layers_in_prelude=1,
        n_layers_in_recurrent_block=3,
        n_layers_in_coda=1,
        mean_recurrence=LOOPS,
        block_size=2048,
        rope_base=10_000.0,
        init_values={"embed_scale": 1.0},
        tie_word_embeddings=False,
    )
    return RavenForCausalLM(config)
