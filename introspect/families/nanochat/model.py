"""Looped nanochat (LoopedLMs/looped_nanochat): nanochat's parts, in prelude, a looped core and coda.

    e = prelude(norm(embedding));  x = e;  x = norm(core(inject([e, x]))) in every loop;  head(norm(coda(x)))

This is the architecture as far as that fork's code shows it; no checkpoint of it is known. Of its forward are left out:
its exit gate, which is off by default, and the start from the state of the token before, an option of its sampler.
Blocks with a short window are computed only as long as the window holds all tokens.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from introspect.errors import InputError
from introspect.families.nanochat.config import NanochatConfig
from introspect.families.parts.layers import (
    Attention,
    RMSNorm,
    Shared,
    at_least_float32,
    rms_normed,
    rotary_angles,
    rotate,
)
from introspect.families.parts.staged_adapter import StagedLooped
from introspect.families.parts.staged_lm import StagedCausalLM, StageModules, noise_at
from introspect.models.about import About, equal_to_published
from introspect.records.trial import PRELUDE, Site

_EPS, _ROPE_BASE = 1e-6, 10_000.0
"""Of all norms, and of the rotary angles."""


class NanochatAttention(Attention):
    """Attention with norms without gain on queries and keys, behind the rotation."""

    def __init__(self, config: NanochatConfig) -> None:
        super().__init__(config, config.n_head, config.n_kv_head, config.head_dim)
        size, narrow = config.n_embd, config.n_kv_head * config.head_dim
        self.c_q, self.c_proj = (nn.Linear(size, size, bias=False) for _ in range(2))
        self.c_k, self.c_v = (nn.Linear(size, narrow, bias=False) for _ in range(2))

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Attend over what this slot has seen; `h` is `(batch, position, d_model)`."""
        q, k, v = (self.heads(project(h)) for project in (self.c_q, self.c_k, self.c_v))
        assert shared.angles is not None, "rotary attention without angles"
        q, k = (rms_normed(rotate(x, *shared.angles), _EPS) for x in (q, k))
        return self.c_proj(self.attend(q, k, v, shared, slot))


class NanochatMLP(nn.Module):
    """The feed-forward part: the square of what is above zero."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(size, 4 * size, bias=False), nn.Linear(4 * size, size, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        """Transform each position alone."""
        return self.c_proj(nn.functional.relu(self.c_fc(h)).square())


class NanochatBlock(nn.Module):
    """One block; the residual stream itself is normed behind both parts."""

    def __init__(self, config: NanochatConfig) -> None:
        super().__init__()
        self.attn, self.mlp = NanochatAttention(config), NanochatMLP(config.n_embd)
        self.n1, self.n2, self.n3, self.n4 = (RMSNorm(config.n_embd, _EPS) for _ in range(4))

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`."""
        h = self.n2(h + self.attn(self.n1(h), shared, slot))
        return self.n4(h + self.mlp(self.n3(h)))


class NanochatModel(nn.Module):
    """The embedding and all blocks."""

    def __init__(self, config: NanochatConfig) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.rows, config.n_embd)
        self.prelude, self.recur, self.coda = (
            nn.ModuleList([NanochatBlock(config) for _ in range(n)])
            for n in (config.n_prelude, config.n_recur_block, config.n_coda)
        )


class NanochatForCausalLM(StagedCausalLM):
    """The looped language model."""

    config_class = NanochatConfig
    config: NanochatConfig
    base_model_prefix = "transformer"
    _no_split_modules = ["NanochatBlock"]  # noqa: RUF012 (transformers reads a plain list)
    _keys_to_ignore_on_load_unexpected = [r"^gate\."]  # noqa: RUF012 (the exit gate is off)

    def __init__(self, config: NanochatConfig) -> None:
        super().__init__(config)
        self.transformer = NanochatModel(config)
        if config.input_injection != "passthrough":
            self.inject = nn.Linear(2 * config.n_embd, config.n_embd, bias=False)
        self.norm_emb, self.norm_recur, self.norm_final = (RMSNorm(config.n_embd, _EPS) for _ in range(3))
        self.lm_head = nn.Linear(config.n_embd, config.rows, bias=False)
        self.post_init()

    @property
    def trained_loops(self) -> int:
        """Return the loops in the mean of training."""
        return int(self.config.train_recur_mean)

    @property
    def stages(self) -> StageModules:
        """Return the blocks of prelude, core and coda."""
        return self.transformer.prelude, self.transformer.recur, self.transformer.coda

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of the tokens."""
        return self.transformer.wte

    def embedded(self, input_ids: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (positions are turned in)
        """Return the normed embedding, `(batch, position, d_model)`."""
        return self.norm_emb(self.transformer.wte(input_ids))

    def check_length(self, columns: int) -> None:
        """Raise InputError for a text from whose end some block's window does not reach back to the first token."""
        last, window = columns - 1, self.config.window
        if last > window:
            pattern = self.config.window_pattern
            raise InputError(f"position {last}: window_pattern {pattern} sees {window} tokens back")

    def angles(self, positions: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosines and sines, turning backwards and rounded to bfloat16 as in nanochat."""
        angles = rotary_angles(positions, self.config.head_dim, _ROPE_BASE, at_least_float32(h.dtype))
        cos, sin = (each.bfloat16().to(h.dtype) for each in angles)
        return cos, -sin

    def initial(self, refeed: Tensor, shared: Shared) -> Tensor:
        """Return the state before the first loop: the prelude's output, or standard normal noise.

        The fork scaled that noise by `n_embd ** -0.5` before its commit e3594f8 (21 February 2026).
        """
        if self.config.input_injection != "inject_init_random":
            return refeed
        return noise_at(shared, refeed, self.config.state_seed, cut=None)

    def entered(self, state: Tensor, refeed: Tensor) -> Tensor:
        """Mix the prelude's output in."""
        if self.config.input_injection == "passthrough":
            return state
        return self.inject(torch.cat((refeed, state), dim=-1))

    def left(self, h: Tensor) -> Tensor:
        """Norm the end of a loop."""
        return self.norm_recur(h)

    def closed(self, h: Tensor) -> Tensor:
        """Norm the coda's output."""
        return self.norm_final(h)

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of what the coda gave, in float32 or better and within the soft cap."""
        logits, cap = self.lm_head(state)[..., : self.config.vocab_size], self.config.logit_softcap
        return cap * torch.tanh(logits.to(at_least_float32(logits.dtype)) / cap)


class NanochatLooped(StagedLooped):
    """Looped nanochat: a state is what the core's last block put out, before the norm at the end of a loop."""

    about = About(
        name="looped nanochat",
        loops="the core between prelude and coda, with a norm at its end, into which the prelude's output is mixed",
        source="github.com/LoopedLMs/looped_nanochat",
        verified=equal_to_published("November 2026", 1.7e-6, "LoopedLMs/looped_nanochat e2bb9b5")
        + " but for its random start, which a plain reference has; no published checkpoint is known",
    )
    model_class = NanochatForCausalLM
    required = ("train_recur_mean", "n_head")
    passed_over = frozenset(("size", "train_recur_max", "bptt_k"))  # of training; n_embd tells the size

    @staticmethod
    def counts(config: NanochatConfig) -> tuple[int, int]:
        """Return the loops in the mean of training and the layers of the core, from a config alone."""
        return int(config.train_recur_mean), config.n_recur_block

    @staticmethod
    def outside(config: NanochatConfig) -> tuple[int, int]:
        """Return the blocks of prelude and coda, from a config alone."""
        return config.n_prelude, config.n_coda

    def resume_arguments(self, site: Site, states: Mapping[Site, Tensor]) -> dict[str, Any]:
        """Return the forward arguments that go on behind a site; the core also needs what the prelude gave."""
        last = Site(PRELUDE, len(self.prelude) - 1)
        refeed = {"refeed": states[last]} if site.stage == "core" else {}
        return {"inputs_embeds": states[site], "after": site, **refeed}

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        names = ("n_head", "n_kv_head", "n_prelude", "n_recur_block", "n_coda", "train_recur_mean", "window_pattern")
        named = (*names, "sequence_len", "vocab_size", "input_injection", "logit_softcap", "state_seed")
        noise = {"noise": "normal"} if config.input_injection == "inject_init_random" else {}  # it was smaller once
        return {"model_type": config.model_type, **{name: getattr(config, name) for name in named}, **noise}
