"""The tokens before the injection span, run once and shared by all rows of all batches.

Goes in: a prompt and a number of loops. Comes out: a Prefix, whose cache is copied for each batch and never changed.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from introspect.models.tap import Tap
from introspect.prompts import Encoded
from introspect.records import Site


@dataclass(frozen=True)
class Prefix:
    """A prompt of which the first `split` tokens are in the cache."""

    encoded: Encoded
    n_loops: int
    split: int
    cache: Cache

    def caches(self, rows: int) -> Cache:
        """Copy the cache for so many rows."""
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(rows)
        return cache

    @property
    def rest(self) -> Sequence[int]:
        """Give the tokens of the prompt that are not in the cache; at least one."""
        return self.encoded.token_ids[self.split :]

    @property
    def columns(self) -> slice:
        """Say which of `rest` are in the injection span."""
        start, stop = self.encoded.span_start, self.encoded.span_stop
        return slice(start - self.split, len(self.rest) if stop is None else stop - self.split)


def prefill(tap: Tap, encoded: Encoded, n_loops: int) -> Prefix:
    """Run the tokens before the span, leaving at least the last one of the prompt."""
    split = min(encoded.span_start, len(encoded.token_ids) - 1)
    cache = tap.looped.new_cache()
    if split:
        ids = torch.tensor([encoded.token_ids[:split]], device=tap.looped.device)
        tap.run({}, n_loops=n_loops, input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Prefix(encoded, n_loops, split, cache)


def clean_norms(tap: Tap, prefix: Prefix) -> dict[Site, float]:
    """Measure the mean norm of the residual stream over the span's prompt tokens at every site, nothing injected."""
    norms: dict[Site, float] = {}

    def measure(site: Site, h: Tensor) -> None:
        norms[site] = residual_norms(h[:, prefix.columns]).mean().item()

    visits = {site: partial(measure, site) for site in tap.looped.sites(prefix.n_loops)}
    ids = torch.tensor([prefix.rest], device=tap.looped.device)
    cache = prefix.caches(1)
    tap.run(visits, n_loops=prefix.n_loops, input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return norms


def residual_norms(h: Tensor) -> Tensor:
    """Give the norm of each position of `(..., d_model)`, in float32 at least."""
    return h.to(torch.promote_types(h.dtype, torch.float32)).norm(dim=-1)
