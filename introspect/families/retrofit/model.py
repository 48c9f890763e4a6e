"""Retrofitted recurrence (arXiv 2511.07384): a pretrained transformer whose middle blocks are looped as in Huginn.

Stages, adapter and noise are Huginn's; the blocks are those of Llama or OLMo-2, and the final norm is read once, behind
the coda. With one loop and an adapter that only passes the prelude on, it is the pretrained model without the blocks
that were left out. Published as smcleish/Recurrent-Llama-3.2-train-recurrence-4 and others of Llama, TinyLlama, OLMo-2.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from introspect.families.huginn.adapter import RavenLooped
from introspect.families.huginn.model import Angles, RavenAttention, RavenForCausalLM, RavenMLP
from introspect.families.parts.layers import RMSNorm, Shared, at_least_float32, rotate
from introspect.families.retrofit.config import NOISE, RetrofitConfig
from introspect.models.about import About, equal_to_published


class RetrofitAttention(RavenAttention):
    """Llama's attention, or OLMo-2's with norms over all heads of queries and of keys, in one matrix."""

    def __init__(self, config: RetrofitConfig) -> None:
        super().__init__(config)
        if config.post_norm:
            wide, narrow, _ = self.widths
            self.q_norm, self.k_norm = RMSNorm(wide, config.norm_eps), RMSNorm(narrow, config.norm_eps)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Attend over what this slot has seen; `h` is `(batch, position, d_model)`."""
        q, k, v = self.Wqkv(h).split(self.widths, dim=-1)
        if self.config.post_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        assert shared.angles is not None, "rotary attention without angles"
        q, k = (rotate(self.heads(x), *shared.angles) for x in (q, k))
        return self.proj(self.attend(q, k, self.heads(v), shared, slot))


class RetrofitBlock(nn.Module):
    """One block; norms stand before both parts as in Llama, or behind them as in OLMo-2."""

    def __init__(self, config: RetrofitConfig) -> None:
        super().__init__()
        self.post_norm = config.post_norm
        self.norm_1, self.norm_2 = (RMSNorm(config.n_embd, config.norm_eps) for _ in range(2))
        self.attn, self.mlp = RetrofitAttention(config), RavenMLP(config)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`."""
        if self.post_norm:
            h = h + self.norm_1(self.attn(h, shared, slot))
            return h + self.norm_2(self.mlp(h))
        h = h + self.attn(self.norm_1(h), shared, slot)
        return h + self.mlp(self.norm_2(h))


class RetrofitForCausalLM(RavenForCausalLM):
    """The looped language model made from a pretrained one."""

    config_class = RetrofitConfig
    config: RetrofitConfig
    block_class: ClassVar[type[nn.Module]] = RetrofitBlock
    normed_before_coda: ClassVar[bool] = False
    _no_split_modules = ["RetrofitBlock"]  # noqa: RUF012 (transformers reads a plain list)

    def initial(self, refeed: Tensor, shared: Shared) -> Tensor:
        """Return the state before the first loop, like `refeed`: noise or zeros, or the prelude's output itself."""
        return super().initial(refeed, shared) if self._noisy else refeed

    def entered_first(self, state: Tensor, refeed: Tensor) -> Tensor:
        """Return what the core's first block reads in the first loop, past the adapter where the config says so."""
        return state if self.config.initial_state_mode == "skip-adapter" else self.entered(state, refeed)

    @property
    def _noisy(self) -> bool:
        return self.config.initial_state_mode in NOISE

    def angles(self, positions: Tensor, h: Tensor) -> Angles:
        """Return cosines and sines in the number format of `h`, `(batch, 1, position, head_dim)`, both halves alike."""
        exact = at_least_float32(h.dtype)
        assert self.config.head_dim is not None
        assert self.config.rope_parameters is not None
        speeds = _speeds(self.config.rope_parameters, self.config.head_dim).to(h.device, exact)
        angles = (positions[..., None].to(exact) * speeds).repeat(1, 1, 2)[:, None]
        return angles.cos().to(h.dtype), angles.sin().to(h.dtype)


class RetrofitLooped(RavenLooped):
    """Retrofitted recurrence, seen as Huginn is."""

    about = About(
        name="Retrofitted recurrence",
        loops="the middle blocks of a pretrained model, which are fed the first blocks' output anew in each",
        source="arXiv 2511.07384",
        verified=equal_to_published("November 2026", 2.0e-6, "LoopedLMs/retrofitting-recurrence 3797ded")
        + "; with one loop transformers' Llama and OLMo-2",
        checkpoints=("smcleish/Recurrent-Llama-3.2-train-recurrence-4",),
        licence="each its own, not known for all",
    )
    model_class = RetrofitForCausalLM
    required = ("mean_recurrence", "n_heads|num_attention_heads", "norm_eps")
    passed_over = RavenLooped.passed_over | RavenLooped.only.keys()  # left as they were in Huginn's config
    only: ClassVar = {}
    stops: ClassVar[tuple[int, ...]] = ()  # of the pretrained model's vocabulary, whose tokenizer knows them

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config, shared = self.model.config, super().described()
        del shared["rope_base"]
        said = config.initial_state_mode
        mode = {} if said in (None, "random") else {"initial_state_mode": said}
        own = {"layout": "retrofit", "post_norm": config.post_norm, "rope": config.rope_parameters}
        return shared | own | mode  # without a mode the hash is that of before there were modes


def _speeds(rope: dict[str, Any], head_dim: int) -> Tensor:
    """Return the angle by which each pair turns in one position, `(head_dim / 2,)` in float64.

    `llama3` slows down, `factor` times, the pairs that turn less often than `low_freq_factor` times within the context
    of pretraining, leaves those that turn more often than `high_freq_factor` times, and blends in between.
    """
    speeds = rope["rope_theta"] ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    if rope.get("rope_type", "default") == "default":
        return speeds
    turns = rope["original_max_position_embeddings"] * speeds / (2 * math.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return speeds * (kept + (1 - kept) / rope["factor"])
