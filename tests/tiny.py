"""Makers of small looped models with random weights, in memory: what every test runs on that needs a model."""

import functools
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from introspect.families.ouro.adapter import OuroLooped
from introspect.families.ouro.config import OuroConfig
from introspect.families.ouro.model import OuroForCausalLM

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% if not (continue_final_message and loop.last) %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXTS = (
    "Do you notice an injected thought? Yes, I notice a thought about bread.",
    "user assistant system No, I do not.",
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Make a byte-level BPE tokenizer with a ChatML template, some 300 tokens, the special ones at 0, 1 and 2."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained()),
        bos_token=SPECIAL[1],
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[0],
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def tiny_config(n_layers: int = 2, n_loops: int = 3, d_model: int = 32, **fields: object) -> OuroConfig:
    """Make the config of a tiny model in the Ouro layout, two heads sharing one key-value head."""
    shape = {
        "vocab_size": len(tiny_tokenizer()),
        "hidden_size": d_model,
        "intermediate_size": 2 * d_model,
        "num_hidden_layers": n_layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "total_ut_steps": n_loops,
    }
    return OuroConfig(**(shape | fields))


def tiny_model(
    seed: int = 0,
    n_layers: int = 2,
    n_loops: int = 3,
    d_model: int = 32,
    dtype: torch.dtype = torch.float32,
    **fields: object,
) -> OuroLooped:
    """Make a looped model with random weights, norm gains away from 1 and a gate bias, the same for the same seed."""
    model = OuroForCausalLM(tiny_config(n_layers, n_loops, d_model, **fields))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=source)
            weight.copy_(1 + 0.3 * noise if "norm" in name else 0.3 * noise)
    return OuroLooped("tiny", model.to(dtype).eval(), tiny_tokenizer())


@functools.cache
def _trained() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer.to_str()


def save_tiny(looped: OuroLooped, folder: Path) -> Path:
    """Save a model and its tokenizer as a folder that `load_model` reads; give the folder."""
    looped.model.save_pretrained(folder)
    looped.tokenizer.save_pretrained(folder)
    return folder
