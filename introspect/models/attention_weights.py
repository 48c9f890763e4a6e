"""Watch the attention of a model: its weights are worked out beside the kernel, which stays the one that computes.

Goes in: a model and what is to be done with each matrix. Nothing that the model computes changes by a bit, and one
matrix is there at a time, since fast kernels never hold any.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from introspect.models.looped_model import LoopedModel
from introspect.models.row_attention import ATTENTION, attend
from introspect.records.trial import Site

WATCHED = "introspect_watched"
"""Name of the watched attention among the attention functions of transformers, while a model is watched."""

Weigh = Callable[[Site, Tensor], None]
"""Shown a site and its attention weights, `(row, head, asking, asked)`, in float32 or better."""


@contextmanager
def watched(looped: LoopedModel, sites: Sequence[Site], weigh: Weigh) -> Iterator[None]:
    """Show the attention weights of uncached forwards through all `sites`, in running order, as often as they are run.

    A forward must go through all of them. Where a block sees a token as it was in several repeats, the weights on it
    are added up. A padded token's own row is uniform or NaN: leave it out by the mask.
    """
    calls = iter(_again(sites))

    def function(
        module: nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, scaling: float, **more: Any
    ) -> tuple[Tensor, Tensor | None]:
        weigh(next(calls), _by_token(weights_of(q, k, mask, scaling)))
        return attend(module, q, k, v, mask, scaling=scaling, **more)

    ALL_ATTENTION_FUNCTIONS.register(WATCHED, function)
    ALL_MASK_ATTENTION_FUNCTIONS.register(WATCHED, ALL_MASK_ATTENTION_FUNCTIONS[ATTENTION])
    looped.model.set_attn_implementation(WATCHED)
    try:
        yield
    finally:
        looped.model.set_attn_implementation(ATTENTION)


def weights_of(q: Tensor, k: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
    """Return the weights `(row, head, asking, asked)` of queries and keys `(row, head or group, position, head_dim)`.

    Without a mask each token sees itself and those before it.
    """
    k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    exact = torch.promote_types(q.dtype, torch.float32)
    scores = (q.to(exact) @ k.to(exact).transpose(2, 3)) * scaling
    if mask is None:
        ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1 + k.shape[2] - q.shape[2])
        scores = scores.masked_fill(ahead, float("-inf"))
    else:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    return scores.softmax(-1)


def _by_token(weights: Tensor) -> Tensor:
    """Add up the weights on one token, where a block sees every token as it was in each of its repeats so far.

    A token that is run alone sees the others as they were once.
    """
    asking, asked = weights.shape[-2:]
    return weights if asking in (1, asked) else weights.unflatten(-1, (asked // asking, asking)).sum(-2)


def _again(sites: Sequence[Site]) -> Iterator[Site]:
    while True:
        yield from sites
