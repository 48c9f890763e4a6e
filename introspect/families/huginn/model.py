"""The Huginn (Raven) layout on transformers 5: prelude, a looped core with input re-feed, coda (arXiv 2502.05171).

    e = prelude(embedding);  x = noise;  x = core(adapter([x, e])) in every loop;  logits = head(norm(coda(norm(x))))

Weight names are those of the published checkpoint. Two things differ from its code, and are what experiments need: the
mask is honoured, so that padded rows equal single ones, and the noise is keyed by (seed, position), so that a trial and
its control begin alike, in any batch and behind any cache.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from introspect.families.huginn.config import RavenConfig
from introspect.families.parts.layers import Attention, RMSNorm, Shared, at_least_float32
from introspect.families.parts.staged_lm import StagedCausalLM, StageModules, noise_at

Angles = tuple[Tensor, Tensor]


class RavenAttention(Attention):
    """Attention with one matrix for queries, keys and values, and a learned bias on the first two."""

    def __init__(self, config: RavenConfig) -> None:
        assert config.n_heads is not None
        assert config.num_key_value_heads is not None
        assert config.head_dim is not None
        super().__init__(config, config.n_heads, config.num_key_value_heads, config.head_dim)
        wide, narrow = config.n_heads * self.head_dim, config.num_key_value_heads * self.head_dim
        self.widths = [wide, narrow, narrow]
        self.Wqkv = nn.Linear(config.n_embd, sum(self.widths), bias=config.bias)
        self.proj = nn.Linear(wide, config.n_embd, bias=config.bias)
        if config.qk_bias:
            self.qk_bias = nn.Parameter(torch.zeros(2, 1, config.n_heads, self.head_dim))

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Attend over what this slot has seen; `h` is `(batch, position, d_model)`."""
        q, k, v = (self.heads(part) for part in self.Wqkv(h).split(self.widths, dim=-1))
        if self.config.qk_bias:
            q, k = (x + bias.transpose(0, 1) for x, bias in zip((q, k), self.qk_bias, strict=True))
        assert shared.angles is not None, "rotary attention without angles"
        return self.proj(self.attend(self.turned(q, shared.angles), self.turned(k, shared.angles), v, shared, slot))

    def turned(self, x: Tensor, angles: Angles) -> Tensor:
        """Turn each pair of neighbours of the last axis by its angle, in float32 or better."""
        cos, sin = angles
        first, second = x.to(cos.dtype).unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-1).flatten(-2).to(x.dtype)


class RavenMLP(nn.Module):
    """The gated feed-forward part, both halves in one matrix."""

    def __init__(self, config: RavenConfig) -> None:
        super().__init__()
        self.fc = nn.Linear(config.n_embd, 2 * config.intermediate_size, bias=config.bias)
        self.proj = nn.Linear(config.intermediate_size, config.n_embd, bias=config.bias)

    def forward(self, h: Tensor) -> Tensor:
        """Transform each position alone."""
        gate, value = self.fc(h).chunk(2, dim=-1)
        return self.proj(nn.functional.silu(gate) * value)


class RavenBlock(nn.Module):
    """One block; the residual stream itself is normed behind both parts."""

    def __init__(self, config: RavenConfig) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = (RMSNorm(config.n_embd, config.norm_eps) for _ in range(2))
        self.norm_3, self.norm_4 = (RMSNorm(config.n_embd, config.norm_eps) for _ in range(2))
        self.attn, self.mlp = RavenAttention(config), RavenMLP(config)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`."""
        h = self.norm_2(self.attn(self.norm_1(h), shared, slot) + h)
        return self.norm_4(self.mlp(self.norm_3(h)) + h)


class RavenModel(nn.Module):
    """All parts but the head."""

    def __init__(self, config: RavenConfig, block_class: type[nn.Module]) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.prelude = nn.ModuleList([block_class(config) for _ in range(config.n_layers_in_prelude)])
        self.adapter = nn.Linear(2 * config.n_embd, config.n_embd, bias=config.bias)
        self.core_block = nn.ModuleList([block_class(config) for _ in range(config.n_layers_in_recurrent_block)])
        self.coda = nn.ModuleList([block_class(config) for _ in range(config.n_layers_in_coda)])
        self.ln_f = RMSNorm(config.n_embd, config.norm_eps)


class RavenForCausalLM(StagedCausalLM):
    """The recurrent-depth language model."""

    config_class = RavenConfig
    config: RavenConfig
    block_class: ClassVar[type[nn.Module]] = RavenBlock
    normed_before_coda: ClassVar[bool] = True
    base_model_prefix = "transformer"
    _no_split_modules = ["RavenBlock"]  # noqa: RUF012 (transformers reads a plain list)
    _tied_weights_keys = {"lm_head.weight": "transformer.wte.weight"}  # noqa: RUF012 (read by transformers)
    _keys_to_ignore_on_load_unexpected = [r"^freqs_cis$", r"rotary_emb\.inv_freq"]  # noqa: RUF012 (computed here)

    def __init__(self, config: RavenConfig) -> None:
        super().__init__(config)
        self.transformer = RavenModel(config, self.block_class)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.post_init()

    @property
    def trained_loops(self) -> int:
        """Return the loops in the mean of training."""
        return self.config.mean_recurrence

    @property
    def stages(self) -> StageModules:
        """Return the blocks of prelude, core and coda."""
        return self.transformer.prelude, self.transformer.core_block, self.transformer.coda

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of the tokens."""
        return self.transformer.wte

    def embedded(self, input_ids: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (positions are turned in)
        """Return the scaled embedding, `(batch, position, d_model)`."""
        return self.transformer.wte(input_ids) * self.config.embed_scale

    def angles(self, positions: Tensor, h: Tensor) -> Angles:
        """Return cosines and sines, `(batch, 1, position, head_dim / 2)` in float32 or better."""
        size, exact = self.config.head_dim or 0, at_least_float32(h.dtype)
        steps = torch.arange(0, size, 2, device=positions.device, dtype=exact)
        angles = positions[:, None, :, None].to(exact) * self.config.rope_base ** (-steps / size)
        return angles.cos(), angles.sin()

    def initial(self, refeed: Tensor, shared: Shared) -> Tensor:
        """Return the state before the first loop, like `refeed`: noise cut off at three deviations, or zeros."""
        if self.config.state_init == "zero":
            return torch.zeros_like(refeed)
        assert self.config.init_values is not None
        size = self.config.init_values["std"] * self.config.embed_scale
        return noise_at(shared, refeed, self.config.state_seed, deviation=size)

    def entered(self, state: Tensor, refeed: Tensor) -> Tensor:
        """Return what the core's first block reads: the state and the prelude's output, through one matrix."""
        return self.transformer.adapter(torch.cat((state, refeed), dim=-1))

    def opened(self, h: Tensor) -> Tensor:
        """Return what the coda's first block reads."""
        return self.transformer.ln_f(h) if self.normed_before_coda else h

    def closed(self, h: Tensor) -> Tensor:
        """Return what the head reads."""
        return self.transformer.ln_f(h)

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of what the coda gave."""
        return self.lm_head(state)
