"""A maker of small LoopUS models with random weights."""

import torch
from transformers import AutoConfig

from introspect.families.loopus.config import LoopUsConfig
from introspect.families.loopus.model import LoopUsForCausalLM, LoopUsLooped
from tests.tiny import tiny_tokenizer


def base_settings(base: str = "qwen3", **fields: object) -> dict[str, object]:
    """Make the fields of a pretrained model's config of four layers, heads wider than its stream in all."""
    shape = {
        **{"vocab_size": len(tiny_tokenizer()), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4},
        **{"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "pad_token_id": 0, "bos_token_id": 1},
        **{"eos_token_id": 2, "tie_word_embeddings": False, "rope_theta": 100.0},
    }
    if base == "phi3":
        del shape["head_dim"]
    return {"model_type": base} | AutoConfig.for_model(base, **(shape | fields)).to_dict()


def tiny_loopus_config(base: str = "qwen3", **fields: object) -> LoopUsConfig:
    """Make the config of a model with one layer before and behind the two that are run three times."""
    shape = {"base_config_dict": base_settings(base), "encoder_layer_indices": [0], "decoder_layer_indices": [3]}
    return LoopUsConfig(**({"base_model_name_or_path": f"some/{base}", "N": 3} | shape | fields))


def tiny_loopus(seed: int = 0, dtype: torch.dtype = torch.float32, base: str = "qwen3") -> LoopUsLooped:
    """Make a looped model with random weights and norm gains away from 1, the same for the same seed."""
    model = LoopUsForCausalLM(tiny_loopus_config(base))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if "norm" in name else 0.3 * noise)
    return LoopUsLooped("tiny-loopus", model.to(dtype).eval(), tiny_tokenizer())
