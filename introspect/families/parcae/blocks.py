"""The blocks of the Parcae layout, and the map by which its loops are fed.

Goes in: the residual stream `(batch, position, d_model)`, and the value embeddings of its tokens. Comes out: the same
stream behind a block.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from introspect.families.parcae.config import ParcaeConfig
from introspect.families.parts.layers import Attention, RMSNorm, Shared

GATE_CHANNELS = 32
"""Of the residual stream, the first ones, from which the gates of the value embeddings are read."""


@dataclass(frozen=True)
class ParcaeShared(Shared):
    """What all blocks of one forward share, the value embeddings of its tokens included."""

    values: dict[str, Tensor] = field(default_factory=dict)
    """By the number of the block among all blocks, `(batch, position, d_model)`."""


class DiagonalInjection(nn.Module):
    """Let the state decay, channel by channel, and add a linear map of what is fed."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.A_log, self.dt_bias = (nn.Parameter(torch.zeros(size)) for _ in range(2))
        self.B = nn.Parameter(torch.eye(size))

    def forward(self, state: Tensor, refeed: Tensor) -> Tensor:
        """Return `exp(-dt exp(A_log)) * state + dt * B refeed`, where dt is the softplus of its bias."""
        dt = nn.functional.softplus(self.dt_bias)
        return state * torch.exp(-dt * self.A_log.exp()) + dt * nn.functional.linear(refeed, self.B)


class ParcaeAttention(Attention):
    """Attention with norms on queries and keys behind the rotation, and gated value embeddings in some blocks."""

    def __init__(self, config: ParcaeConfig, *, gated: bool) -> None:
        super().__init__(config, config.num_attention_heads, config.num_attention_heads, config.head_dim)
        size = config.n_embd
        self.c_q, self.c_k, self.c_v, self.c_proj = (nn.Linear(size, size, bias=False) for _ in range(4))
        if gated:
            self.ve_gate = nn.Linear(min(GATE_CHANNELS, size), config.num_attention_heads, bias=False)
        self.gated = gated

    def forward(self, h: Tensor, shared: Shared, slot: int, values: Tensor | None) -> Tensor:
        """Attend over what this slot has seen; `h` is `(batch, position, d_model)`."""
        q, k, v = (self.heads(project(h)) for project in (self.c_q, self.c_k, self.c_v))
        if values is not None and self.gated:
            gates = 2 * torch.sigmoid(self.ve_gate(h[..., :GATE_CHANNELS]))
            v = v + gates.transpose(1, 2)[..., None] * self.heads(values)
        assert shared.angles is not None, "rotary attention without angles"
        q, k = (self._normed(_turned(x, *shared.angles)) for x in (q, k))
        return self.c_proj(self.attend(q, k, v, shared, slot))

    def _normed(self, x: Tensor) -> Tensor:
        return nn.functional.rms_norm(x, (self.head_dim,)) if self.config.qk_norm else x


class ParcaeMLP(nn.Module):
    """The feed-forward part: half the square of what is above zero."""

    def __init__(self, d_model: int, d_mlp: int) -> None:
        super().__init__()
        self.fc, self.proj = nn.Linear(d_model, d_mlp, bias=False), nn.Linear(d_mlp, d_model, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        """Transform each position alone."""
        return self.proj(0.5 * nn.functional.relu(self.fc(h)).square())


class ParcaeBlock(nn.Module):
    """One block, with norms before both parts; `number` counts the blocks, `depth` the passes before it in training."""

    def __init__(self, config: ParcaeConfig, number: int, depth: int, d_mlp: int) -> None:
        super().__init__()
        self.number = str(number)
        trained_through = config.n_layers_in_recurrent_block * config.mean_backprop_depth
        self.norm_1, self.norm_2 = (RMSNorm(config.n_embd, config.norm_eps) for _ in range(2))
        self.attn = ParcaeAttention(config, gated=every_other(depth, trained_through))
        self.mlp = ParcaeMLP(config.n_embd, d_mlp)

    def forward(self, h: Tensor, shared: ParcaeShared, slot: int) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`."""
        h = h + self.attn(self.norm_1(h), shared, slot, shared.values.get(self.number))
        return h + self.mlp(self.norm_2(h))


def every_other(number: int, n: int) -> bool:
    """Say whether it is one of every other of `n`, the last included."""
    return number % 2 == (n - 1) % 2


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of neighbours of the last axis by its angle, in float32 or better."""
    first, second = x.to(cos.dtype).unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-1).flatten(-2).to(x.dtype)
