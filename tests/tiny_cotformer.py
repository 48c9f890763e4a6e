"""A maker of small CoTFormers and block universal transformers with random weights."""

import torch

from introspect.families.cotformer.config import CotformerConfig
from introspect.families.cotformer.model import CotformerForCausalLM, CotformerLooped
from tests.tiny import tiny_tokenizer


def tiny_cotformer_config(**fields: object) -> CotformerConfig:
    """Make the config of a model with one block before, two in and one behind its three repeats."""
    shape = {
        **{"vocab_size": len(tiny_tokenizer()), "n_layer": 4, "n_layer_begin": 1, "n_layer_end": 1, "n_head": 2},
        **{"n_embd": 32, "n_repeat": 3, "pad_token_id": 0},
    }
    return CotformerConfig(**(shape | fields))


def tiny_cotformer(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> CotformerLooped:
    """Make a looped model with random weights and norm gains away from 1, the same for the same seed."""
    model = CotformerForCausalLM(tiny_cotformer_config(**fields))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if "ln_" in name and name.endswith("weight") else 0.3 * noise)
    return CotformerLooped("tiny-cotformer", model.to(dtype).eval(), tiny_tokenizer())
