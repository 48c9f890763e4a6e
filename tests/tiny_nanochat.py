"""A maker of small models in the layout of looped nanochat with random weights."""

import torch

from introspect.families.nanochat.config import NanochatConfig
from introspect.families.nanochat.model import NanochatForCausalLM, NanochatLooped
from tests.tiny import tiny_tokenizer


def tiny_nanochat_config(**fields: object) -> NanochatConfig:
    """Make the config of a model with two blocks before, two in and one behind its three loops."""
    shape = {
        "vocab_size": len(tiny_tokenizer()),
        "n_embd": 32,
        "n_head": 4,
        "n_kv_head": 2,
        "n_prelude": 2,
        "n_recur_block": 2,
        "n_coda": 1,
        "train_recur_mean": 3.0,
        "window_pattern": "LLSL",
        "pad_token_id": 0,
    }
    return NanochatConfig(**(shape | fields))


def tiny_nanochat(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> NanochatLooped:
    """Make a looped model with random weights and norm gains away from 1, the same for the same seed."""
    model = NanochatForCausalLM(tiny_nanochat_config(**fields))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if weight.ndim == 1 else 0.3 * noise)
    return NanochatLooped("tiny-nanochat", model.to(dtype).eval(), tiny_tokenizer())
