"""A maker of small models in the Huginn layout with random weights."""

import torch

from introspect.families.huginn.adapter import RavenLooped
from introspect.families.huginn.config import RavenConfig
from introspect.families.huginn.model import RavenForCausalLM
from tests.tiny import tiny_tokenizer


def tiny_raven_config(**fields: object) -> RavenConfig:
    """Make the config of a model with two blocks before, two in and one behind its three loops."""
    shape = {
        "vocab_size": len(tiny_tokenizer()),
        "n_embd": 32,
        "n_heads": 2,
        "intermediate_size": 48,
        "n_layers_in_prelude": 2,
        "n_layers_in_recurrent_block": 2,
        "n_layers_in_coda": 1,
        "mean_recurrence": 3,
        "pad_token_id": 0,
        "rope_base": 100.0,
    }
    return RavenConfig(**(shape | fields))


def tiny_raven(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> RavenLooped:
    """Make a looped model with random weights and norm gains away from 1, the same for the same seed."""
    model = RavenForCausalLM(tiny_raven_config(**fields))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            gain = "norm" in name or "ln_f" in name
            weight.copy_(1 + 0.3 * noise if gain else 0.3 * noise)
    return RavenLooped("tiny-raven", model.to(dtype).eval(), tiny_tokenizer())
