"""A maker of small models in the Parcae layout with random weights."""

import torch

from introspect.families.parcae.config import ParcaeConfig
from introspect.families.parcae.model import ParcaeForCausalLM, ParcaeLooped
from tests.tiny import tiny_tokenizer


def tiny_parcae_config(**fields: object) -> ParcaeConfig:
    """Make the config of a model with two blocks before, two in and two behind its three loops, as in parcae-140m."""
    shape = {
        "vocab_size": len(tiny_tokenizer()),
        "n_embd": 32,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "n_layers_in_prelude": 2,
        "n_layers_in_recurrent_block": 2,
        "n_layers_in_coda": 2,
        "mean_recurrence": 3,
        "mean_backprop_depth": 2,
        "pad_token_id": 0,
    }
    return ParcaeConfig(**(shape | fields))


def tiny_parcae(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> ParcaeLooped:
    """Make a looped model with random weights and norm gains away from 1, the same for the same seed."""
    model = ParcaeForCausalLM(tiny_parcae_config(**fields))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if "norm" in name or "ln_" in name else 0.3 * noise)
    return ParcaeLooped("tiny-parcae", model.to(dtype).eval(), tiny_tokenizer())
