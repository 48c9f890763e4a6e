"""A maker of small Think-at-Hard models with random weights."""

import torch

from introspect.families.think_at_hard.config import TahConfig
from introspect.families.think_at_hard.model import TahForCausalLM, TahLooped
from tests.tiny import tiny_tokenizer


def tiny_tah_config(**fields: object) -> TahConfig:
    """Make the config of a model with two blocks, run at most three times."""
    shape = {
        **{"vocab_size": len(tiny_tokenizer()), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2},
        **{"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "rope_theta": 100.0, "max_iter": 3},
        **{"input_topk": 20, "lora_rank": 2, "lora_alpha": 4.0, "decider_topk": 10, "decider_layers": [1, 2]},
        **{"decider_dims": [8, 12, 8], "decider_expansion": 2, "pad_token_id": 0},
    }
    return TahConfig(**(shape | fields))


def tiny_tah(seed: int = 0, dtype: torch.dtype = torch.float32, **fields: object) -> TahLooped:
    """Make a looped model with random weights and norm gains away from 1, the same for the same seed."""
    model = TahForCausalLM(tiny_tah_config(**fields))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if "norm.weight" in name else 0.3 * noise)
        model.iter_decider.threshold.fill_(0.5)
    return TahLooped("tiny-tah", model.to(dtype).eval(), tiny_tokenizer())
