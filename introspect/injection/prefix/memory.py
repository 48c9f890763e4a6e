"""How much memory a row takes, and how many rows fit: for the dry run and for the default batch size."""

import psutil
import torch

from introspect.errors import InputError
from introspect.injection.prefix.prefix import shared_tokens
from introspect.models.looped_model import LoopedModel
from introspect.prompts import Encoded

MOST_ROWS = 256
"""Larger batches gain little, and a batch is what is lost when a run is cut off."""
USABLE = 0.8
"""Share of the free memory that is planned for; the rest is for fragmentation and for what is not counted."""
_WIDTHS = 12
"""What one block holds at once, in copies of the residual stream: the wide part of the MLP thrice, and a few more."""
SCORES = 3
"""Copies of the attention scores, in float32: in two parts, put together, and as weights."""


def bytes_per_row(looped: LoopedModel, encoded: Encoded, *, n_loops: int, max_new_tokens: int) -> int:
    """Estimate the bytes that one row of a batch takes at its longest, from above.

    Counted are the row's own part of the cache, the states that are read out, and the larger of what are never there
    together: activations and attention scores of one block over the rest of the prompt, and the logits with their
    float64 copies.
    """
    tokens = len(encoded.token_ids)
    rest = tokens - shared_tokens(looped, encoded)
    cache = (rest + max_new_tokens) * looped.bytes_per_token(n_loops)
    activations = rest * looped.d_model * looped.dtype.itemsize * _WIDTHS
    heads = looped.d_model // looped.cache_shape(n_loops)[2]
    scores = rest * tokens * heads * 4 * SCORES
    readouts = n_loops * looped.d_model * looped.dtype.itemsize
    logits = len(looped.tokenizer) * (looped.dtype.itemsize + 6 * 8)
    return int(cache + readouts + max(activations + scores, logits))


def free_bytes(device: torch.device) -> int:
    """Say how much memory is free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def rows_that_fit(looped: LoopedModel, row_bytes: int, *, most: int = MOST_ROWS) -> int:
    """Return the number of rows that fit, at most `most`; raise InputError when not even one does."""
    free = free_bytes(looped.device)
    rows = int(free * USABLE) // row_bytes
    if rows < 1:
        raise InputError(
            f"not enough memory for one row: it takes {row_bytes / 1e9:.2f} GB, {free / 1e9:.2f} GB are free"
        )
    return min(rows, most)
