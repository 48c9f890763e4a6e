"""Makers of small models without loops, random weights, whose middle layers are looped without training."""

import torch
from transformers import PreTrainedModel

from introspect.families.training_free.model import TrainingFreeLooped
from tests.tiny import tiny_tokenizer
from tests.tiny_feedforward import random_weights

LOOPED = "1-2"
MIXED = ("cohere2", "exaone4", "gemma3_text", "ministral", "olmo3")
"""Types some of whose layers see a window only, and some of which turn by other angles."""


def without_loops(model_type: str, dtype: torch.dtype) -> PreTrainedModel:
    """Make a model of four layers, every second one with a window where there are both kinds."""
    kinds = {"layer_types": ["sliding_attention", "full_attention"] * 2} if model_type in MIXED else {}
    return random_weights(model_type, 0, dtype, num_hidden_layers=4, **kinds)


def tiny_training_free(
    model_type: str = "llama", step: str = "damped", layers: str = LOOPED, dtype: torch.dtype = torch.float32
) -> TrainingFreeLooped:
    """Loop two of its layers, with one before and one behind them, unless other ones are said."""
    return TrainingFreeLooped.of(layers, step)(model_type, without_loops(model_type, dtype), tiny_tokenizer())
