"""The parts of recursive transformers: a Llama block with low-rank additions of its depth, and the routers.

Goes in: the residual stream `(batch, position, d_model)` and what a pass through a block has of its own. Comes out:
the residual stream after it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from introspect.families.parts.layers import GatedMLP, LlamaAttention, RMSNorm, Shared, at_least_float32, rotate
from introspect.families.recursive.config import RecursiveConfig


@dataclass(frozen=True)
class Pass:
    """What one pass through a block has of its own."""

    slot: int
    """Of the cache."""
    added: nn.ModuleDict | None = None
    """What is added to the projections at this depth, by their names."""
    routed: Tensor | None = None
    """Tokens that are run, `(batch, position, 1)`; None: all."""
    before: dict[nn.Module, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Keys and values of each attention in the first loop, where later ones look at these."""
    leave: Callable[[Tensor], Tensor] | None = None
    """What the last block of a loop does to its output."""


class LowRank(nn.Module):
    """What is added to a tied projection at one depth."""

    def __init__(self, d_in: int, d_out: int, rank: int, scale: float) -> None:
        super().__init__()
        self.lora_A, self.lora_B = nn.Parameter(torch.zeros(rank, d_in)), nn.Parameter(torch.zeros(d_out, rank))
        self.scale = scale

    def forward(self, h: Tensor) -> Tensor:
        """Return `scale * h A^T B^T`."""
        return nn.functional.linear(nn.functional.linear(h, self.lora_A), self.lora_B) * self.scale


_HIDDEN = -3.0e4
"""What a key that must not be seen has where every query has a 1: its weight is then 0, in half precision as well."""


class RecursiveAttention(LlamaAttention):
    """Llama's attention, with the published ways to treat keys and values of tokens that a loop does not run.

    - `recursion`: a loop sees the tokens that it runs, and no others.
    - `sharing`: every loop sees all tokens as the first one left them.
    - `hybrid`: a loop sees the tokens that it runs, and the others as the first one left them.

    Which tokens were run must outlast the forward, so with `recursion` heads have one more number: see _HIDDEN.
    """

    def forward(self, h: Tensor, shared: Shared, own: Pass) -> Tensor:  # type: ignore[override]  # a pass, not a slot
        """Attend over what the slot of this pass has seen; `h` is `(batch, position, d_model)`."""
        q, k, v = (self.heads(projected(self, name, h, own)) for name in ("q_proj", "k_proj", "v_proj"))
        assert shared.angles is not None, "rotary attention without angles"
        q, k = rotate(q, *shared.angles), rotate(k, *shared.angles)
        if own.routed is not None and self.config.kv_sharing != "recursion":
            k, v = self._of_first_loop(k, v, own.routed, own.before)
        if not self.config.marks_keys:
            return projected(self, "o_proj", self.attend(q, k, v, shared, own.slot), own)
        hidden = k.new_zeros((*k.shape[:-1], 1))
        if own.routed is not None:
            hidden = hidden.masked_fill(~own.routed[:, None], _HIDDEN)
        q, k, v = (torch.cat(pair, -1) for pair in ((q, torch.ones_like(q[..., :1])), (k, hidden), (v, 0 * hidden)))
        out = self.attend(q, k, v, shared, own.slot).unflatten(-1, (-1, self.head_dim + 1))
        return projected(self, "o_proj", out[..., :-1].flatten(-2), own)

    def _of_first_loop(
        self, k: Tensor, v: Tensor, routed: Tensor, first: dict[nn.Module, tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Return keys and values of the first loop: those of all tokens, or of those that are not run."""
        if self not in first:
            first[self] = k, v
        if self.config.kv_sharing == "sharing":
            return first[self]
        run = routed[:, None]
        return torch.where(run, k, first[self][0]), torch.where(run, v, first[self][1])


class RecursiveMLP(GatedMLP):
    """Llama's feed-forward part."""

    def forward(self, h: Tensor, own: Pass) -> Tensor:  # type: ignore[override]  # also the pass
        """Transform each position alone."""
        gate, up = (projected(self, name, h, own) for name in ("gate_proj", "up_proj"))
        return projected(self, "down_proj", self.activation(gate) * up, own)


class RecursiveBlock(nn.Module):
    """A Llama block under its weight names."""

    def __init__(self, config: RecursiveConfig) -> None:
        super().__init__()
        self.self_attn = RecursiveAttention(config)
        self.mlp = RecursiveMLP(config.hidden_size, config.intermediate_size, config.hidden_act)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, h: Tensor, shared: Shared, own: Pass) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`."""
        h = h + self.self_attn(self.input_layernorm(h), shared, own)
        h = h + self.mlp(self.post_attention_layernorm(h), own)
        return h if own.leave is None else own.leave(h)


class Routing:
    """Who is run in the loops of one forward.

    With `token`, each token chooses the loop after which it leaves, from the state before the first one. With
    `expert`, a router of each loop chooses among the tokens that the loop before has run: those to which it gives at
    least 0.5, as the auxiliary loss trains it to, or with `capacity` that share of the whole text, its best tokens,
    as in training and in the published evaluation, which looks ahead.
    """

    def __init__(
        self, config: RecursiveConfig, routers: nn.ModuleList, capacity: Sequence[float] | None = None
    ) -> None:
        self.config, self.routers, self.capacity = config, routers, capacity
        self.routed: list[Tensor] = []
        """For each loop, `(batch, position, 1)`."""
        self._begin = self._start = self._chosen = torch.empty(0)
        self._weight: Tensor | None = None

    def begin(self, loop: int, h: Tensor) -> None:
        """Choose the tokens of a loop from the state before it, `(batch, position, d_model)`."""
        self._loop, self._begin = loop, h
        if self.config.routing == "expert":
            said = self._asked(loop - (not self.config.route_first), h)
            last = self.routed[-1] if loop else torch.ones_like(h[..., :1], dtype=torch.bool)
            self.routed.append(last if said is None else last & self._taken(loop, said, last))
            self._weight = None if said is None else said.sigmoid()
            return
        if loop == 0:
            said = self._asked(0, h)
            assert said is not None, "token-choice routing without its router"
            self._start = h
            self._weight, self._chosen = said.softmax(-1).max(-1, keepdim=True)
        self.routed.append(self._chosen >= loop)

    def _taken(self, loop: int, said: Tensor, last: Tensor) -> Tensor:
        """Return tokens that a router takes: by the threshold, or the best of those that the loop before has run."""
        if self.capacity is None:
            return said >= 0
        best = said.masked_fill(~last, -torch.inf).topk(max(1, int(self.capacity[loop] * said.shape[1])), dim=1)
        return torch.zeros_like(last).scatter(1, best.indices, value=True)

    def leave(self, y: Tensor) -> Tensor:
        """Return the state after the loop, from what its last block computed; tokens that were not run keep theirs."""
        if self.config.routing == "expert":
            return torch.where(self.routed[-1], self._gated(self._begin, y), self._begin)
        left = torch.where(self._chosen == self._loop, self._gated(self._start, y), y)
        return torch.where(self.routed[-1], left, self._begin)

    def end(self, h: Tensor) -> Tensor:
        """Undo what was done to tokens that were not run."""
        return torch.where(self.routed[-1], h, self._begin)

    def _asked(self, router: int, h: Tensor) -> Tensor | None:
        """Return what a router says, in float32 or better; None: there is none for the first loop."""
        if router < 0:
            return None
        said: Tensor = self.routers[router](h / self.config.router_temp)
        return said.to(at_least_float32(said.dtype))

    def _gated(self, state: Tensor, y: Tensor) -> Tensor:
        """Add to a state what the blocks made of it."""
        if self._weight is None:
            return y
        if self.config.gating == "none":
            return state + y
        assert self.config.router_alpha is not None
        return state + y * (self._weight * self.config.router_alpha).to(y.dtype)


def projected(part: nn.Module, name: str, h: Tensor, own: Pass) -> Tensor:
    """Project by a tied weight, and by what is added to it at this depth."""
    projection: nn.Module = getattr(part, name)
    tied: Tensor = projection(h)
    return tied + own.added[name](h) if own.added is not None and name in own.added else tied
