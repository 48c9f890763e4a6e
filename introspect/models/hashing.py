"""The hash by which a run knows its model: weights, tokenizer and settings, whatever files they came from."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast


def hash_of(settings: Mapping[str, Any], tokenizer: PreTrainedTokenizerFast, weights: Mapping[str, Tensor]) -> str:
    """Return 16 hex digits of the SHA-256 of all three."""
    digest = hashlib.sha256(_canonical(settings))
    digest.update(_canonical(_tokenizer_content(tokenizer)))
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _tokenizer_content(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    for call_setting in ("padding", "truncation"):  # left behind by the last call, no part of the tokenizer
        content.pop(call_setting, None)
    return {"tokenizer": content, "chat_template": tokenizer.chat_template}


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
