"""A maker of small PonderLM models with random weights."""

import torch

from introspect.families.ponder.config import PonderConfig
from introspect.families.ponder.model import PonderForCausalLM, PonderLooped
from tests.tiny import tiny_tokenizer


def tiny_ponder_config(**fields: object) -> PonderConfig:
    """Make the config of a model with two blocks, run three times."""
    shape = {
        "vocab_size": len(tiny_tokenizer()),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "pondering_steps": 2,
        "pad_token_id": 0,
    }
    return PonderConfig(**(shape | fields))


def tiny_ponder(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> PonderLooped:
    """Make a looped model with random weights and norm gains away from 1, the same for the same seed."""
    model = PonderForCausalLM(tiny_ponder_config(**fields))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if "norm.weight" in name else 0.3 * noise)
    return PonderLooped("tiny-ponder", model.to(dtype).eval(), tiny_tokenizer())
