"""A maker of small models of retrofitted recurrence with random weights."""

import torch

from introspect.families.retrofit.config import RetrofitConfig
from introspect.families.retrofit.model import RetrofitForCausalLM, RetrofitLooped
from tests.tiny import tiny_tokenizer

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def tiny_retrofit_config(**fields: object) -> RetrofitConfig:
    """Make the config of a model with two blocks before, two in and one behind its three loops."""
    shape = {
        "vocab_size": len(tiny_tokenizer()),
        "n_embd": 32,
        "n_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "n_layers_in_prelude": 2,
        "n_layers_in_recurrent_block": 2,
        "n_layers_in_coda": 1,
        "mean_recurrence": 3,
        "pad_token_id": 0,
        "rope_theta": 100.0,
        "rope_scaling": LLAMA3,
        "tie_embeddings": False,
        "init_values": {"std": 0.3, "embed_scale": 1.0},
    }
    return RetrofitConfig(**(shape | fields))


def tiny_retrofit(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> RetrofitLooped:
    """Make a looped model with random weights and norm gains away from 1, the same for the same seed."""
    model = RetrofitForCausalLM(tiny_retrofit_config(**fields))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if "norm" in name or "ln_f" in name else 0.3 * noise)
    return RetrofitLooped("tiny-retrofit", model.to(dtype).eval(), tiny_tokenizer())
