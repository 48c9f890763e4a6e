"""GGUF as a checkpoint: config, tokenizer and quantised weights in one file, read through transformers' own reader.

Goes in: the path of a file. Come out: what a folder would give, with weights unpacked into the chosen number format.
What transformers would pass over without a word (tensors, settings, a way to cut text) is refused by name instead.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import pre_tokenizers
from transformers import PreTrainedConfig, PreTrainedTokenizerFast
from transformers.integrations.ggml import GGUF_CONFIG_MAPPING
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
from transformers.integrations.gguf.reader import read_gguf_metadata

from introspect.errors import InputError
from introspect.families.gguf.rope import TENSOR, rope_of

ARCHITECTURES = ("gemma3", "llama", "qwen2", "qwen3")
"""Those that the tests hold against the same weights in transformers' own layout."""
_WITHOUT_EFFECT = ("vocab_size", "rope.dimension_count", "attention.key_length", "attention.value_length")
"""Settings that only repeat the shapes of the weights; one that contradicts them is refused with those."""
REQUIRED = ("block_count", "attention.head_count", "attention.layer_norm_rms_epsilon")
"""Settings that no default may stand in for: no weight shows them."""
ENDS = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id")
"""Tokens that end a text or a turn, of which transformers reads the first."""
NO_NAME = ("_model_name_or_path", "unk_token_id")
GPT2_SPLITS = ("gpt-2", "smollm")
"""Ways to cut text that transformers takes the one of GPT-2 for."""
Stamp = tuple[str, int, int]
"""Path, bytes and time of the last change: what tells that a file is still the one that was read."""


def gguf_settings(name: str) -> dict[str, Any]:
    """Read what config.json would hold. Raises InputError for a broken file and one that cannot be run."""
    metadata = _metadata(_stamp(name))
    with _reading(name):
        settings: dict[str, Any] = PreTrainedConfig.get_config_dict(Path(name).parent, gguf_file=Path(name).name)[0]
    size = metadata.get(f"{metadata['general.architecture']}.attention.key_length")
    if size is not None:
        settings["head_dim"] = size  # transformers reads it of some architectures only
    ends = {int(metadata[key]) for key in ENDS if key in metadata}
    read = {key: _as_written(value) for key, value in settings.items() if key not in NO_NAME}
    return read | {"eos_token_id": sorted(ends)} | _rope(name, read)


def _rope(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Read what divides the rotary angles, which a file of Llama 3 holds as a tensor."""
    with _reading(name):
        import gguf  # the quick reader, as long as the file is read

        found = [tensor.data.tolist() for tensor in gguf.GGUFReader(name).tensors if tensor.name == TENSOR]
    if not found:
        return {}
    rope = rope_of(found[0], settings["rope_theta"])
    if rope is None:
        raise InputError(f"model {name!r}: {TENSOR} divides its rotary angles in a way that is not known here")
    return {"rope_parameters": rope}


def tokenizer_of(name: str) -> PreTrainedTokenizerFast:
    """Make the tokenizer that the file describes. Raises InputError likewise."""
    return deepcopy(_tokenizer(_stamp(name)))


def unpacked_gguf(model_class: Any, name: str, config: Any, dtype: torch.dtype) -> tuple[Any, dict[str, Any]]:
    """Load the weights, unpacked, as a plain model of this config, and what the loading has to report.

    Any: whichever class the config needs.
    """
    with _reading(name):
        folder, file = str(Path(name).parent), Path(name).name
        loading = {"output_loading_info": True, "ignore_mismatched_sizes": True}
        model, report = model_class.from_pretrained(folder, gguf_file=file, config=config, dtype=dtype, **loading)
        report["unexpected_keys"] = [*report["unexpected_keys"], *_left_over(model, name)]
    model.hf_quantizer.remove_quantization_config(model)  # nothing is quantised any more; with it, nothing is saved
    return model, report


def file_hash(name: str) -> str:
    """Return the SHA-256 of the file, which is read once in a process as long as it does not change."""
    return _hash(_stamp(name))


def _stamp(name: str) -> Stamp:
    stat = Path(name).stat()
    return name, stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=8)
def _hash(file: Stamp) -> str:
    with Path(file[0]).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@lru_cache(maxsize=2)
def _metadata(file: Stamp) -> Mapping[str, Any]:
    """Read the metadata; InputError for what transformers cannot read or would pass over."""
    name = file[0]
    with _reading(name):
        metadata, _ = read_gguf_metadata(name)
    architecture = metadata["general.architecture"]
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise InputError(f"model {name!r}: GGUF files of architecture {architecture!r} cannot be run; known: {known}")
    fields: Any = GGUF_CONFIG_MAPPING[architecture]  # Any: transformers gives it no type
    taken = {*fields, *_WITHOUT_EFFECT}
    for key, value in metadata.items():
        whose, _, setting = key.partition(".")
        if whose == architecture and setting not in taken:
            raise InputError(f"model {name!r}: {key} is {value!r}, which transformers' reader passes over")
    for setting in REQUIRED:
        if f"{architecture}.{setting}" not in metadata:
            raise InputError(f"model {name!r}: it lacks {architecture}.{setting}, which no weight shows")
    cut = metadata.get("tokenizer.ggml.pre")
    if metadata.get("tokenizer.ggml.model") == "gpt2" and cut not in (*GGUF_PRE_TOKENIZER_SPLITS, *GPT2_SPLITS):
        raise InputError(f"model {name!r}: its tokenizer cuts text as {cut!r}, which is not known here")
    return metadata


@lru_cache(maxsize=1)
def _tokenizer(file: Stamp) -> PreTrainedTokenizerFast:
    """Convert the tokenizer, which takes seconds where merges are made anew from the vocabulary."""
    cut, path = _metadata(file).get("tokenizer.ggml.pre"), Path(file[0])
    with _reading(file[0]):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(path.parent, gguf_file=path.name)
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    if cut == "smollm":
        digits = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(digits)
    return tokenizer


def _as_written(value: Any) -> Any:  # Any: a setting
    """Return the shortest number that the file can have rounded: its 0.0000099999997 was 0.00001."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _left_over(model: Any, name: str) -> list[str]:
    """List the tensors of the file that have no place in the model: transformers passes over them."""
    import gguf

    metadata, tensors = _metadata(_stamp(name)), read_gguf_metadata(name)[1]
    (kind,) = (key for key, each in gguf.MODEL_ARCH_NAMES.items() if each == metadata["general.architecture"])
    names = gguf.get_tensor_name_map(kind, model.config.num_hidden_layers)
    parts = (weight.rpartition(".") for weight in model.state_dict())
    return sorted(set(tensors) - {f"{names.get_name(part)}.{what}" for part, _, what in parts} - {TENSOR})


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Read quickly and silently; whatever the readers raise at a broken file is one line."""
    from introspect.families.gguf.reader import quick_reader

    try:
        with quick_reader():
            yield
    except InputError:
        raise
    except Exception as error:  # neither reader says what it raises: struct's, numpy's, unicode's and its own errors
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"model {name!r}: its file cannot be read, broken or cut short? ({why})") from error
