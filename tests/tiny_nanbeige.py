"""A maker of small Nanbeige models with random weights."""

import torch

from introspect.families.nanbeige.config import NanbeigeConfig
from introspect.families.nanbeige.model import NanbeigeForCausalLM, NanbeigeLooped
from tests.tiny import tiny_tokenizer


def tiny_nanbeige_config(**fields: object) -> NanbeigeConfig:
    """Make the config of a model with two blocks, run three times, whose heads are wider than its stream in all."""
    shape = {
        **{"vocab_size": len(tiny_tokenizer()), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2},
        **{"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 8, "rope_theta": 100.0, "num_loops": 3},
        **{"bos_token_id": 1, "eos_token_id": 2},
    }
    return NanbeigeConfig(**(shape | fields))


def tiny_nanbeige(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> NanbeigeLooped:
    """Make a looped model with random weights and norm gains away from 1, the same for the same seed."""
    model = NanbeigeForCausalLM(tiny_nanbeige_config(**fields))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if "norm" in name else 0.3 * noise)
    return NanbeigeLooped("tiny-nanbeige", model.to(dtype).eval(), tiny_tokenizer())
