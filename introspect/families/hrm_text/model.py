"""The HRM-Text layout: a low and a high stack of blocks that take turns, several low passes to each high one.

Goes in: token ids, a mask, a cache, the number of passes. Come out: logits of the last high pass, and the normed state
after every pass. A loop is one pass through one stack. Weight names and config are those that transformers has for it.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.conversion_mapping import (
    get_checkpoint_conversion_mapping,
    register_checkpoint_conversion_mapping,
)
from transformers.models.hrm_text import HrmTextConfig

from introspect.errors import InputError
from introspect.families.parts.layers import Attention, GatedMLP, Shared, rms_normed, rotary_angles, rotate
from introspect.families.parts.looped_lm import LoopedCausalLM
from introspect.models.row_cache import RowCache
from introspect.records.trial import Site


class HrmAttention(Attention):
    """Attention whose heads are gated before they are put together."""

    def __init__(self, config: HrmTextConfig) -> None:
        super().__init__(config, config.num_attention_heads, config.num_attention_heads, config.head_dim)
        wide, bias = config.num_attention_heads * config.head_dim, config.attention_bias
        self.q_proj, self.k_proj, self.v_proj, self.gate_proj = (
            nn.Linear(config.hidden_size, wide, bias=bias) for _ in range(4)
        )
        self.o_proj = nn.Linear(wide, config.hidden_size, bias=bias)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Attend over what this slot has seen; `h` is `(batch, position, d_model)`."""
        q, k, v = (self.heads(project(h)) for project in (self.q_proj, self.k_proj, self.v_proj))
        assert shared.angles is not None, "rotary attention without angles"
        attended = self.attend(rotate(q, *shared.angles), rotate(k, *shared.angles), v, shared, slot)
        return self.o_proj(torch.sigmoid(self.gate_proj(h)) * attended)


class HrmBlock(nn.Module):
    """One block; its norms have no gains."""

    def __init__(self, config: HrmTextConfig) -> None:
        super().__init__()
        self.self_attn = HrmAttention(config)
        self.mlp = GatedMLP(config.hidden_size, config.intermediate_size, config.hidden_act, bias=config.mlp_bias)
        self.eps = config.rms_norm_eps

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`."""
        h = h + self.self_attn(rms_normed(h, self.eps), shared, slot)
        return h + self.mlp(rms_normed(h, self.eps))


class HrmStack(nn.Module):
    """The blocks of one stack."""

    def __init__(self, config: HrmTextConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList([HrmBlock(config) for _ in range(config.num_layers_per_stack or 0)])


class HrmModel(nn.Module):
    """The embedding, both stacks, and the state in which the low one begins."""

    def __init__(self, config: HrmTextConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.L_module, self.H_module = HrmStack(config), HrmStack(config)
        self.z_L_init = nn.Parameter(torch.zeros(config.hidden_size), requires_grad=False)


class HrmForCausalLM(LoopedCausalLM):
    """The looped language model.

    Its forward takes `token_type_ids` `(batch, position)`, all ones for a prompt as it was trained: where they are 1
    in the first forward of a text, tokens attend in both directions. Without them attention is causal throughout.
    """

    config_class = HrmTextConfig
    config: HrmTextConfig
    base_model_prefix = "model"
    _no_split_modules = ["HrmBlock"]  # noqa: RUF012 (transformers reads a plain list)
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 (read by transformers)

    def __init__(self, config: HrmTextConfig) -> None:
        check_config(config)
        super().__init__(config)
        self.model = HrmModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @property
    def trained_loops(self) -> int:
        """Return the passes as trained."""
        return self.config.H_cycles * (self.config.L_cycles + 1)

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of the tokens."""
        return self.model.embed_tokens

    def embedded(self, input_ids: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (positions are rotary)
        """Return the scaled embedding, in which the high state begins."""
        scale = self.config.embedding_scale
        assert scale is not None
        embedding: Tensor = self.model.embed_tokens(input_ids)
        return embedding * scale

    def angles(self, positions: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rotary angles."""
        rope: Any = self.config.rope_parameters  # a dict, once checked
        return rotary_angles(positions, self.config.head_dim, rope["rope_theta"], h.dtype)

    def run(
        self,
        h: Tensor,
        shared: Shared,
        n_loops: int,
        after: Site | None,
        token_type_ids: Tensor | None = None,
        **_: Any,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the passes; the states are normed, and the head reads that of the last one, a high pass."""
        assert after is None, "the high state of the tokens is in no block's output, so nothing goes on behind one"
        check_passes(self.config, n_loops)
        if token_type_ids is not None and self.config.prefix_lm:
            shared = _both_ways(shared, token_type_ids)
        high, low = h, self.model.z_L_init.to(h.dtype).expand_as(h)
        states = []
        for number in range(n_loops):
            stack = self.stack(number)
            h = low + high
            for layer, block in enumerate(stack.layers):
                h = block(h, shared, number * len(stack.layers) + layer)
            h = rms_normed(h, self.config.rms_norm_eps)
            high, low = (h, low) if stack is self.model.H_module else (high, h)
            states.append(h)
        return high, tuple(states)

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of a normed state."""
        return self.lm_head(state)

    def stack(self, number: int) -> HrmStack:
        """Return the stack that a pass goes through: the high one after so many of the low one."""
        turn = number % (self.config.L_cycles + 1)
        return self.model.H_module if turn == self.config.L_cycles else self.model.L_module


def check_passes(config: HrmTextConfig, n_loops: int) -> None:
    """Raise InputError for a number of passes that does not end in a high one."""
    cycle = config.L_cycles + 1
    if n_loops < 1 or n_loops % cycle:
        raise InputError(
            f"loops run: {n_loops}; a loop is a pass through one stack, and {cycle} passes are one cycle: "
            f"{cycle - 1} low (L_cycles) and a high one, so it must be a multiple of {cycle}"
        )


def check_config(config: HrmTextConfig) -> None:
    """Raise InputError for a config that the layout cannot compute."""
    rope: Any = config.rope_parameters or {}
    if rope.get("rope_type", "default") != "default":
        raise InputError(f"rope type {rope['rope_type']!r}: the HRM-Text layout has 'default' only")
    for field in ("H_cycles", "L_cycles", "num_layers_per_stack"):
        if (getattr(config, field) or 0) < 1:
            raise InputError(f"{field} {getattr(config, field)}: the HRM-Text layout has at least one")


def _both_ways(shared: Shared, token_type_ids: Tensor) -> Shared:
    """Let tokens of type 1 see one another, in the first forward of a text; later ones are causal anyway."""
    if isinstance(shared.cache, RowCache):
        raise ValueError("token_type_ids: rows that share a beginning attend causally only")
    if shared.cache is not None and shared.cache.get_seq_length():
        return shared
    prompt = token_type_ids == 1
    both = prompt[:, None, :, None] & prompt[:, None, None, :]
    mask = shared.mask
    if mask is None:
        mask = torch.ones(both.shape[-2:], dtype=torch.bool, device=both.device).tril()
    mask = mask | both if mask.dtype == torch.bool else mask.masked_fill(both, 0.0)
    return Shared(shared.positions, shared.angles, mask, shared.cache)


# The published files fuse gate, query, key and value; transformers takes them apart for its own class and, so, for ours
register_checkpoint_conversion_mapping(
    HrmForCausalLM.__name__, get_checkpoint_conversion_mapping(HrmTextConfig.model_type)
)
