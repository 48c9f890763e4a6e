"""Writes a model as a GGUF file in the published layout: names, permutations and offsets of llama.cpp's converter."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.quants import dequantize, quantize

from introspect.families.feedforward.model import FeedForwardLooped

ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3": "gemma3_text"}
"""Name in a GGUF file, and the model_type it stands for."""
PLAIN = gguf.GGMLQuantizationType.F32


def write_gguf(
    looped: FeedForwardLooped,
    path: Path,
    architecture: str = "llama",
    kind: gguf.GGMLQuantizationType = PLAIN,
    tensors: dict[str, np.ndarray] | None = None,
    cut: str = "gpt-2",
    **settings: float,
) -> Path:
    """Write the file, matrices in this format; extra tensors and settings are written as they stand."""
    writer = gguf.GGUFWriter(path, architecture)
    _write_settings(writer, looped.model.config, settings)
    _write_tokenizer(writer, looped.tokenizer, cut)
    for name, weight in {**_tensors(looped, architecture), **(tensors or {})}.items():
        form = kind if weight.ndim == 2 else PLAIN
        writer.add_tensor(name, quantize(weight, form), raw_dtype=form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def rounded(weight: np.ndarray, kind: gguf.GGMLQuantizationType) -> np.ndarray:
    """Return what becomes of a matrix that is written in this format."""
    return dequantize(quantize(weight, kind), kind)


def _write_settings(writer: gguf.GGUFWriter, config: Any, settings: dict[str, float]) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_key_length(head)
    writer.add_value_length(head)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if config.model_type == "llama":
        writer.add_vocab_size(config.vocab_size)
        writer.add_rope_dimension_count(head)
    if config.model_type == "gemma3_text":
        writer.add_sliding_window(config.sliding_window)
    for key, value in settings.items():
        writer.add_float32(f"{writer.arch}.{key.replace('__', '.')}", value)


def _write_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any, cut: str) -> None:
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary, special = tokenizer.get_vocab(), {each["content"] for each in content["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in content["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)


def _tensors(looped: FeedForwardLooped, architecture: str) -> dict[str, np.ndarray]:
    (kind,) = (key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    config = looped.model.config
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    tensors = {}
    for name, weight in looped.model.state_dict().items():
        part, _, what = name.rpartition(".")
        if part == "lm_head" and config.tie_word_embeddings:
            continue
        value = weight.float().numpy()
        if architecture == "llama" and part.endswith(("q_proj", "k_proj")):
            heads = config.num_attention_heads if part.endswith("q_proj") else config.num_key_value_heads
            value = value.reshape(heads, 2, value.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(value.shape)
        if architecture == "gemma3" and part.endswith("norm"):
            value = value + 1
        tensors[f"{names.get_name(part)}.{what}"] = np.ascontiguousarray(value)
    return tensors
