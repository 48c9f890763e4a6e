"""Maker of small models in the HRM-Text layout with random weights."""

import torch
from transformers.models.hrm_text import HrmTextConfig

from introspect.families.hrm_text.adapter import HrmLooped
from introspect.families.hrm_text.model import HrmForCausalLM
from tests.tiny import tiny_tokenizer


def tiny_hrm_text(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> HrmLooped:
    """Make a model of two blocks a stack, the low state beginning away from zero."""
    tokenizer = tiny_tokenizer()
    shape: dict[str, object] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "embedding_scale": 3.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    model = HrmForCausalLM(HrmTextConfig(**(shape | fields)))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=source))
    return HrmLooped("tiny", model.to(dtype).eval(), tokenizer)
