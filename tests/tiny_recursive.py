"""Maker of small recursive transformers with random weights."""

import torch

from introspect.families.recursive.adapter import RecursiveLooped
from introspect.families.recursive.config import RecursiveConfig
from introspect.families.recursive.model import RecursiveForCausalLM
from tests.tiny import tiny_tokenizer


def tiny_recursive(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> RecursiveLooped:
    """Make a model of two tied blocks in three loops, norm gains away from 1, routers that decide either way."""
    tokenizer = tiny_tokenizer()
    sharing = str(fields.get("sharing", "cycle"))
    shape: dict[str, object] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 6 + 2 * sharing.startswith("middle"),
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "num_recursion": 3,
        "sharing": sharing,
        "lora_alpha": 3.0,
        "tie_word_embeddings": False,
    }
    model = RecursiveForCausalLM(RecursiveConfig(**(shape | fields)))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if "norm" in name else 0.3 * noise)
    return RecursiveLooped("tiny", model.to(dtype).eval(), tokenizer)
