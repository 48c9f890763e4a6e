"""A maker of small LoopFormer models with random weights."""

import torch

from introspect.families.loopformer.config import LoopFormerConfig
from introspect.families.loopformer.model import LoopFormerForCausalLM, LoopFormerLooped
from tests.tiny import tiny_tokenizer


def tiny_loopformer_config(**fields: object) -> LoopFormerConfig:
    """Make the config of a model with two blocks, run three times."""
    shape = {
        **{"vocab_size": len(tiny_tokenizer()), "block_size": 1024, "n_layer": 2, "n_head": 4, "n_embd": 32},
        **{"intermediate_dim": 48, "max_model_loops": 3, "frequency_embedding_size": 16, "pad_token_id": 0},
    }
    return LoopFormerConfig(**(shape | fields))


def tiny_loopformer(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> LoopFormerLooped:
    """Make a looped model with random weights, the same for the same seed."""
    model = LoopFormerForCausalLM(tiny_loopformer_config(**fields))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if "norm" in name else 0.3 * noise)
    return LoopFormerLooped("tiny-loopformer", model.to(dtype).eval(), tiny_tokenizer())
