"""What all trials of a prompt have in common, run once: the tokens before the span, and the rest with nothing injected.

Goes in: a prompt and a number of loops. Comes out: a Prefix, from which a trial goes on behind its first site.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from introspect.injection.prefix.loop_ends import Ends
from introspect.models.looped_model import LoopedModel
from introspect.models.row_cache import RowCache
from introspect.models.tap import Tap
from introspect.prompts import Encoded
from introspect.records.trial import LAST, Injection, Site

LEAST_ROWS = 16
"""Rows of the smallest product with weights. Of fewer than 4 a processor's thread adds up in another order: a trial
alone differed from one in a batch in the seventh digit, which on SmolLM2 turned over one answer of sixteen."""


@dataclass(frozen=True)
class Prefix:
    """A prompt that has been run; the first `split` tokens are shared, the rest is what injections change."""

    encoded: Encoded
    n_loops: int
    split: int
    clean: RowCache
    """The shared beginning, and one row that holds the rest."""
    states: dict[Site, Tensor]
    """The residual stream over the rest at every site, `(1, position, d_model)`."""
    logits: Tensor
    """After the last token, `(1, vocabulary)`: what the first token of the answer is drawn from."""
    readouts: list[Tensor]
    """The same after every loop."""
    leaving: list[Tensor]
    """The rate `(1,)` at which the exit gate leaves after every loop; empty without a gate."""
    exit: str = LAST
    """Of which loop tokens are drawn."""
    exit_arguments: dict[str, Any] = field(default_factory=dict)
    """The forward arguments that make it so."""
    routed: Tensor | None = None
    """Which tokens of the rest each loop has run, `(n_loops, 1, position)`; None where every loop runs all."""

    @property
    def positions(self) -> Tensor:
        """Return the positions of the rest, `(1, position)`."""
        return self.split + torch.arange(self.length, device=self.logits.device)[None]

    def arguments(self, cache: RowCache) -> dict[str, Any]:
        """Return the arguments of a forward over the rest, beside its tokens or states."""
        given = {"position_ids": self.positions, "past_key_values": cache, "use_cache": True}
        return given | {"logits_to_keep": LEAST_ROWS} | self.exit_arguments

    def cache(self, rows: int, new_tokens: int) -> RowCache:
        """Make room for rows that go on for so many tokens."""
        room = max(rows, LEAST_ROWS) if self.clean.shared[0].device.type == "cpu" else rows
        return RowCache(*self.clean.shared, room, self.length + new_tokens, both_ways=self.clean.both_ways)

    @property
    def length(self) -> int:
        """Return the number of tokens in the rest; at least one."""
        return len(self.encoded.token_ids) - self.split

    @property
    def columns(self) -> slice:
        """Say which of the rest are in the injection span."""
        start, stop = self.encoded.span_start, self.encoded.span_stop
        return slice(start - self.split, self.length if stop is None else stop - self.split)

    def weights(self, injections: Sequence[Injection | None]) -> Tensor | None:
        """Return what the strength is multiplied with, `(injection, position of the columns)`; None: 1 everywhere.

        It is where the model is.
        """
        if not self.encoded.gaps and not any(injection and injection.weights for injection in injections):
            return None
        begin = self.encoded.span_start
        weights = torch.zeros(len(injections), len(range(*self.columns.indices(self.length))))
        for row, injection in enumerate(injections):
            given = injection.weights if injection and injection.weights else (1.0,) * len(self.encoded.spans)
            for weight, (start, stop) in zip(given, self.encoded.spans, strict=True):
                weights[row, start - begin : None if stop is None else stop - begin] = weight
        return weights.to(self.logits.device)

    def norms(self) -> dict[Site, float]:
        """Return the mean norm of the residual stream over the spans at every site, nothing injected."""
        inside = self.inside()
        return {site: residual_norms(h[0, inside]).mean().item() for site, h in self.states.items()}

    def run_share(self, routed: Tensor | None) -> list[Tensor]:
        """Return share `(row,)` of the span's tokens that each loop has run; empty where all are, or there are none.

        `routed` is like that of the prefix, with more rows.
        """
        inside = self.inside()
        return [] if routed is None or not inside else list(routed[:, :, inside].double().mean(-1))

    def inside(self) -> list[int]:
        """List the positions of the rest that are in a span."""
        spans = [(start, len(self.encoded.token_ids) if stop is None else stop) for start, stop in self.encoded.spans]
        return [position - self.split for start, stop in spans for position in range(start, stop)]


def shared_tokens(looped: LoopedModel, encoded: Encoded) -> int:
    """Return how many tokens at the beginning of a prompt all of its trials share: those before the span, never all.

    None where a prompt is read both ways: what is injected later changes its beginning too.
    """
    return 0 if looped.both_ways else min(encoded.span_start, len(encoded.token_ids) - 1)


def prefill(tap: Tap, encoded: Encoded, n_loops: int, exit_: str = LAST) -> Prefix:
    """Run the tokens before the span, leaving at least the last one of the prompt, and then the rest."""
    both_ways, split = tap.looped.both_ways, shared_tokens(tap.looped, encoded)
    begin, rest = encoded.token_ids[:split], encoded.token_ids[split:]
    clean = RowCache(*_beginning(tap, list(begin), n_loops), 1, len(rest), both_ways=both_ways)
    clean.aim(0, [0], len(rest))
    states: dict[Site, Tensor] = {}
    ends, exit_arguments = Ends(tap.looped, n_loops, exit_), tap.looped.exit_arguments(exit_)
    sites = tap.looped.sites(n_loops)
    visits = ends.watching({site: partial(_keep, states, site) for site in sites}, sites)
    arguments = inputs(tap, [list(rest)], [split], clean) | exit_arguments
    output = tap.run(visits, n_loops=n_loops, **arguments)
    ends.ran(output)
    final, routed = output.logits[:, -1], getattr(output, "routed", None)
    said = ends.logits(0, clean, arguments["position_ids"], final), ends.leaving(0)
    return Prefix(encoded, n_loops, split, clean, states, final, *said, exit_, exit_arguments, routed)


def inputs(tap: Tap, ids: list[list[int]], positions: list[int], cache: RowCache) -> dict[str, Any]:
    """Return the arguments of a forward over new tokens of each row, given the position of the first one of each."""
    tokens, first = (torch.tensor(numbers, device=tap.looped.device) for numbers in (ids, positions))
    return {
        "input_ids": tokens,
        "position_ids": first[:, None] + torch.arange(tokens.shape[1], device=tokens.device),
        "past_key_values": cache,
        "use_cache": True,
        "logits_to_keep": LEAST_ROWS,
    }


def residual_norms(h: Tensor) -> Tensor:
    """Return the norm of each position of `(..., d_model)`, in float32 at least."""
    return h.to(torch.promote_types(h.dtype, torch.float32)).norm(dim=-1)


def _beginning(tap: Tap, ids: list[int], n_loops: int) -> tuple[Tensor, Tensor]:
    """Return keys and values of the beginning, `(slots, kv_heads, columns, head_dim)` each."""
    looped = tap.looped
    slots, heads, size = looped.cache_shape(n_loops)
    empty = torch.empty(slots, heads, 0, size, dtype=looped.dtype, device=looped.device)
    if not ids:
        return empty, empty
    cache = RowCache(empty, empty, 1, len(ids))
    cache.aim(0, [0], len(ids))
    arguments = inputs(tap, [ids], [0], cache)
    ends = Ends(looped, n_loops)
    visits = ends.watching({}, looped.sites(n_loops)) if looped.coda else {}
    final = tap.run(visits, n_loops=n_loops, **arguments).logits[:, -1]
    if looped.coda:  # what its blocks keep of each loop's read-out is part of the beginning
        ends.logits(0, cache, arguments["position_ids"], final)
    keys, values = cache.own
    return keys[:, 0], values[:, 0]


def _keep(states: dict[Site, Tensor], site: Site, h: Tensor) -> None:
    states[site] = h.clone()
