"""Nanbeige4.2: Llama's stack run several times, its final norm after every loop, on the normed state of the one before.

Goes in: token ids, a mask, a cache. Come out: logits of the last loop, and on demand the normed state after every loop.
Weight names are Llama's, as in the published checkpoint; positions are alike in all loops.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from introspect.families.nanbeige.config import NanbeigeConfig
from introspect.families.parts.layers import GatedMLP, LlamaAttention, RMSNorm, Shared
from introspect.families.parts.normed_stack import NormedStackCausalLM
from introspect.models.about import About, equal_to_published
from introspect.models.looped_model import LoopedModel
from introspect.records.site import Site

_DESCRIBED = (
    *("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act", "rms_norm_eps"),
    *("attention_bias", "mlp_bias", "rope_parameters"),
)
"""Settings that determine what the weights compute."""


class NanbeigeBlock(nn.Module):
    """One block, Llama's."""

    def __init__(self, config: NanbeigeConfig) -> None:
        super().__init__()
        size, wide = config.hidden_size, config.intermediate_size
        self.self_attn = LlamaAttention(config, bias=config.attention_bias)
        self.mlp = GatedMLP(size, wide, config.hidden_act, bias=config.mlp_bias)
        self.input_layernorm = RMSNorm(size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(size, config.rms_norm_eps)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`."""
        h = h + self.self_attn(self.input_layernorm(h), shared, slot)
        return h + self.mlp(self.post_attention_layernorm(h))


class NanbeigeModel(nn.Module):
    """The embedding, the looped stack and its norm."""

    def __init__(self, config: NanbeigeConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.layers = nn.ModuleList([NanbeigeBlock(config) for _ in range(config.num_hidden_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class NanbeigeForCausalLM(NormedStackCausalLM):
    """The looped language model."""

    config_class = NanbeigeConfig
    config: NanbeigeConfig
    _no_split_modules = ["NanbeigeBlock"]  # noqa: RUF012 (transformers reads a plain list)

    def __init__(self, config: NanbeigeConfig) -> None:
        super().__init__(config, NanbeigeModel(config))

    @property
    def trained_loops(self) -> int:
        """Return the loops as trained."""
        return self.config.trained_loops

    def run(
        self, h: Tensor, shared: Shared, n_loops: int, after: Site | None, **_: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the stack; the states are normed, and the head reads the last."""
        states = self.passes(h, shared, n_loops, after)
        return states[-1], tuple(states)


class NanbeigeLooped(LoopedModel):
    """Nanbeige4.2: no blocks outside the loop; a site is the loop-th call of its block."""

    about = About(
        name="Nanbeige4.2",
        loops="the whole stack, with its norm after every pass",
        source="the model card of Nanbeige4.2-3B",
        verified=equal_to_published("November 2026", 9.6e-7, "johnhalloran321/Nanbeige4.2-3B-mps-fix a8de726")
        + "; with one loop transformers' Llama on the same weights",
        checkpoints=("Nanbeige/Nanbeige4.2-3B",),
        licence="Apache-2.0",
    )
    model_class = NanbeigeForCausalLM
    required = ("num_loops|loop_loss_weights", "num_attention_heads", "rms_norm_eps", "rope_theta|rope_parameters")
    passed_over = frozenset(
        (
            "kv_channels",  # the size of a head under another name
            # settings of parts that are refused where they are on
            *("num_residual_streams", "mhc_sinkhorn_iterations", "mhc_init_gating_factor", "ngram_fused_mode"),
            "depth_attention_static_anchor_once",
        )
    )

    def __init__(self, name: str, model: NanbeigeForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self.n_loops, self.n_layers = self.counts(model.config)
        self.d_model = model.config.hidden_size
        self.blocks = tuple(model.model.layers)

    @staticmethod
    def counts(config: NanbeigeConfig) -> tuple[int, int]:
        """Return the loops as trained and the layers, from a config alone."""
        return config.trained_loops, config.num_hidden_layers

    def readout(self, state: Tensor, **_: Any) -> Tensor:
        """Return the logits `(..., vocabulary)` of what a loop's last block put out, `(..., d_model)`."""
        logits: Tensor = self.model.lm_head(self.model.model.norm(state))
        return logits

    def resume_arguments(self, site: Site, states: Mapping[Site, Tensor]) -> dict[str, Any]:
        """Return the forward arguments that go on behind a site."""
        return {"inputs_embeds": states[site], "after": site}

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Return the slots of the cache, one a site, the heads of keys and values, and their size."""
        config = self.model.config
        return n_loops * self.n_layers, config.num_key_value_heads, config.head_dim

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        settings = {name: getattr(config, name) for name in _DESCRIBED}
        return {"model_type": config.model_type, "trained_loops": config.trained_loops, **settings}
