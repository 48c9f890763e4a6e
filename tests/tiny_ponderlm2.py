"""A maker of small PonderLM-2 models with random weights."""

import torch

from introspect.families.ponderlm2.config import PonderLm2Config
from introspect.families.ponderlm2.model import PonderLm2ForCausalLM, PonderLm2Looped
from tests.tiny import tiny_tokenizer


def tiny_ponderlm2_config(**fields: object) -> PonderLm2Config:
    """Make the config of a model with two blocks and two thoughts a token."""
    shape = {
        "vocab_size": len(tiny_tokenizer()),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_latent_thoughts": 2,
        "interpolation": False,
        "pad_token_id": 0,
    }
    return PonderLm2Config(**(shape | fields))


def tiny_ponderlm2(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> PonderLm2Looped:
    """Make a looped model with random weights and norm gains away from 1, the same for the same seed."""
    model = PonderLm2ForCausalLM(tiny_ponderlm2_config(**fields))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if "norm.weight" in name else 0.3 * noise)
    return PonderLm2Looped("tiny-ponderlm2", model.to(dtype).eval(), tiny_tokenizer())
