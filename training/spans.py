"""Rows with an injection of their own each, from where their span begins to where it ends, as the engine does it.

Goes in: prompts of different lengths and spans, ids padded on the right, what is added. Come out: the states of all
loops from the first token on that differs between the rows; what they share is run once.
"""

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from introspect.families.parts.looped_lm import LoopedCausalLM
from introspect.prompts import Encoded
from introspect.records.trial import Site
from training.layouts import at_blocks, said
from training.train_introspection import Dose

Weights = list[tuple[float, ...]]
"""Of each row, by what its vector is multiplied in each span."""


def shared_length(prompts: list[Encoded]) -> int:
    """Count the tokens with which all prompts begin and that are in no span."""
    length = min(prompt.span_start for prompt in prompts)
    columns = zip(*(prompt.token_ids[:length] for prompt in prompts), strict=True)
    return next((i for i, column in enumerate(columns) if len(set(column)) > 1), length)


def spanned_states(
    model: LoopedCausalLM, prompts: list[Encoded], ids: Tensor, doses: list[Dose], added: Tensor, weights: Weights
) -> tuple[Tensor, ...]:
    """Run the rows with `added[row]` at the row's site on its spans: `h[b, t] += inside[b, t] * added[b]`."""
    shared, cache = shared_length(prompts), DynamicCache()
    if shared:
        said(model, ids[:1, :shared], cache)
        cache.batch_repeat_interleave(len(prompts))
    inside = _inside(prompts, weights, ids.shape[1])[:, shared:, None]
    rows_at: dict[Site, list[int]] = {}
    for row, dose in enumerate(doses):
        rows_at.setdefault(dose.site, []).append(row)

    def change(site: Site, h: Tensor) -> Tensor:
        if site not in rows_at:
            return h
        chosen = torch.tensor(rows_at[site])
        return h.index_add(0, chosen, inside[chosen] * added[chosen, None])

    with at_blocks(model, change):
        return said(model, ids[:, shared:], cache)


def _inside(prompts: list[Encoded], weights: Weights, length: int) -> Tensor:
    """Return `(row, token)`: the span's weight inside a span of the row, and 0 outside."""
    inside = torch.zeros(len(prompts), length)
    for row, (prompt, of_spans) in enumerate(zip(prompts, weights, strict=True)):
        for (start, stop), weight in zip(prompt.spans, of_spans, strict=True):
            inside[row, start:stop] = weight
    return inside
