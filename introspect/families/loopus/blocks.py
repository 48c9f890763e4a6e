"""The layers of LoopUS, in Qwen3's layout and in that of Phi-4, and the gate with which a loop ends.

Goes in: the residual stream `(batch, position, d_model)` and what all layers of one forward share. Comes out: the
stream after the layer; behind the last layer of the loop, after the gate.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from transformers.activations import ACT2FN

from introspect.families.parts.layers import Attention, GatedMLP, RMSNorm, Shared, rotate

RANKS = 16
"""The gate looks at a state through one sixteenth of its width, rounded up."""


class SelectiveGate(nn.Module):
    """Mixes what a loop ends with and what it began with, channel by channel.

    a = exp(-softplus(P Q (new - old) + b) * exp(A_log));   state = a * new + (1 - a) * old
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        rank = -(-size // RANKS)
        self.dt_input_proj = nn.Linear(size, rank, bias=False)
        self.delta_proj = nn.Linear(rank, size)
        self.A_log = nn.Parameter(torch.zeros(size))

    def forward(self, new: Tensor, old: Tensor) -> Tensor:
        """Return the state with which the next loop begins, like both."""
        kept = torch.exp(-softplus(self.delta_proj(self.dt_input_proj(new - old))) * self.A_log.exp())
        return kept * new + (1 - kept) * old


@dataclass(frozen=True)
class Gated(Shared):
    """What all layers of one forward share, with the gate and the state with which the loop at hand began."""

    gate: SelectiveGate | None = None
    began: list[Tensor] = field(default_factory=list)


class QwenAttention(Attention):
    """Qwen3's attention: queries and keys are normed head by head."""

    def __init__(self, config: Any, base: dict[str, Any]) -> None:
        heads, groups, size = base["num_attention_heads"], base["num_key_value_heads"], base["head_dim"]
        super().__init__(config, heads, groups, size)
        wide, bias = config.hidden_size, base["attention_bias"]
        self.q_proj, self.o_proj = nn.Linear(wide, heads * size, bias=bias), nn.Linear(heads * size, wide, bias=bias)
        self.k_proj, self.v_proj = (nn.Linear(wide, groups * size, bias=bias) for _ in range(2))
        self.q_norm, self.k_norm = (RMSNorm(size, base["rms_norm_eps"]) for _ in range(2))

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Attend over what this slot has seen; `h` is `(batch, position, d_model)`."""
        q, k, v = (self.heads(project(h)) for project in (self.q_proj, self.k_proj, self.v_proj))
        assert shared.angles is not None, "rotary attention without angles"
        q, k = rotate(self.q_norm(q), *shared.angles), rotate(self.k_norm(k), *shared.angles)
        return self.o_proj(self.attend(q, k, v, shared, slot))


class PhiAttention(Attention):
    """Phi-4's attention: queries, keys and values come from one projection."""

    def __init__(self, config: Any, base: dict[str, Any]) -> None:
        heads, groups, size = base["num_attention_heads"], base["num_key_value_heads"], base["head_dim"]
        super().__init__(config, heads, groups, size)
        self.parts = heads * size, groups * size, groups * size
        self.qkv_proj = nn.Linear(config.hidden_size, sum(self.parts), bias=False)
        self.o_proj = nn.Linear(heads * size, config.hidden_size, bias=False)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Attend over what this slot has seen; `h` is `(batch, position, d_model)`."""
        q, k, v = (self.heads(part) for part in self.qkv_proj(h).split(self.parts, dim=-1))
        assert shared.angles is not None, "rotary attention without angles"
        return self.o_proj(self.attend(rotate(q, *shared.angles), rotate(k, *shared.angles), v, shared, slot))


class PhiMLP(nn.Module):
    """Phi-4's feed-forward part: gate and input come from one projection."""

    def __init__(self, size: int, wide: int, activation: str) -> None:
        super().__init__()
        self.gate_up_proj, self.down_proj = nn.Linear(size, 2 * wide, bias=False), nn.Linear(wide, size, bias=False)
        self.activation = ACT2FN[activation]

    def forward(self, h: Tensor) -> Tensor:
        """Transform each position alone."""
        gate, up = self.gate_up_proj(h).chunk(2, dim=-1)
        return self.down_proj(up * self.activation(gate))


class LoopUsBlock(nn.Module):
    """One layer; the first one of the loop notes with what it began, the last one ends it with the gate."""

    def __init__(self, config: Any, base: dict[str, Any], *, opens: bool = False, closes: bool = False) -> None:
        super().__init__()
        self.opens, self.closes = opens, closes
        size, wide, eps = config.hidden_size, base["intermediate_size"], base["rms_norm_eps"]
        phi = base["model_type"] == "phi3"
        self.self_attn = PhiAttention(config, base) if phi else QwenAttention(config, base)
        self.mlp = PhiMLP(size, wide, base["hidden_act"]) if phi else GatedMLP(size, wide, base["hidden_act"])
        self.input_layernorm, self.post_attention_layernorm = (RMSNorm(size, eps) for _ in range(2))

    def forward(self, h: Tensor, shared: Gated, slot: int) -> Tensor:
        """Return the residual stream after the layer, `(batch, position, d_model)`."""
        if self.opens:
            shared.began[:] = [h]
        h = h + self.self_attn(self.input_layernorm(h), shared, slot)
        h = h + self.mlp(self.post_attention_layernorm(h))
        if not self.closes:
            return h
        assert shared.gate is not None
        return shared.gate(h, shared.began[0])
