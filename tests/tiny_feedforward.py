"""Makers of small feed-forward models with random weights, of every type that is supported."""

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from introspect.families.feedforward.model import FeedForwardLooped
from tests.tiny import tiny_tokenizer

NO_GROUPS = ("gpt2", "gpt_neox")
WINDOW = 4


def tiny_feedforward(
    model_type: str = "llama", seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object
) -> FeedForwardLooped:
    """Make a model of three blocks, random weights and norm gains away from 1; windows are shorter than the texts."""
    return FeedForwardLooped(model_type, random_weights(model_type, seed, dtype, **fields), tiny_tokenizer())


def random_weights(model_type: str, seed: int, dtype: torch.dtype, **fields: object) -> PreTrainedModel:
    """Make that model as transformers has it."""
    shape: dict[str, object] = {
        "vocab_size": len(tiny_tokenizer()),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    if model_type not in NO_GROUPS:
        shape |= {"num_key_value_heads": 2, "head_dim": 8}
    if hasattr(AutoConfig.for_model(model_type), "sliding_window"):
        shape |= {"sliding_window": WINDOW}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **(shape | fields)))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = 0.2 * torch.randn(weight.shape, generator=source)
            weight.copy_(1 + noise if weight.ndim == 1 and name.endswith("weight") else noise)
    return model.to(dtype).eval()
