"""How a model in the Ouro layout is seen by the rest of the package: its blocks, loops and read-out."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from introspect.families.ouro.config import OuroConfig
from introspect.families.ouro.model import OuroForCausalLM
from introspect.models.about import About, equal_to_published
from introspect.models.looped_model import LoopedModel
from introspect.records.trial import LAST, Site


class OuroLooped(LoopedModel):
    """The Ouro layout: no blocks outside the loop; a site is the loop-th call of its block."""

    about = About(
        name="Ouro (LoopLM)",
        loops=(
            "the whole stack, with a norm after every pass; an exit gate. The last loop is read here; the published "
            "default leaves by the gate, which is introspect sweep MODEL --exit gate"
        ),
        source="arXiv 2510.25741",
        verified=equal_to_published("November 2026", 1.6e-6, "LoopedLMs/ouro_rl 531187b") + "; trained organisms",
        checkpoints=tuple(f"ByteDance/Ouro-{size}" for size in ("1.4B", "2.6B", "1.4B-Thinking", "2.6B-Thinking")),
        licence="Apache-2.0",
    )
    model_class = OuroForCausalLM
    required = ("total_ut_steps", "num_attention_heads", "rms_norm_eps", "rope_theta|rope_parameters")
    passed_over = frozenset(("sliding_window", "max_window_layers"))  # told by use_sliding_window
    only: ClassVar = {"use_sliding_window": (False,), "layer_types": ("full_attention",)}

    def __init__(self, name: str, model: OuroForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self.n_loops, self.n_layers = self.counts(model.config)
        self.d_model = model.config.hidden_size
        self.blocks = tuple(model.model.layers)

    @staticmethod
    def counts(config: OuroConfig) -> tuple[int, int]:
        """Return the loops as trained and the layers, from a config alone."""
        return config.total_ut_steps, config.num_hidden_layers

    def forward_arguments(self, n_loops: int) -> dict[str, Any]:
        """Return the forward arguments that run `n_loops` loops with early exit switched off."""
        return {**super().forward_arguments(n_loops), "exit_threshold": None}

    def readout(self, state: Tensor, **_: Any) -> Tensor:
        """Return the logits `(..., vocabulary)` of what a loop's last block put out, `(..., d_model)`."""
        logits: Tensor = self.model.lm_head(self.model.model.norm(state))
        return logits

    def exit_arguments(self, exit_: str) -> dict[str, Any]:
        """Return the forward arguments for `last`, `gate`, `gate:0.9` or the number of a loop."""
        kind, _, threshold = exit_.partition(":")
        if exit_ == LAST:
            return {}
        if kind != "gate":
            return {"exit_loop": int(exit_)}
        published = self.model.config.early_exit_threshold
        return {"exit_threshold": float(threshold) if threshold else 1.0 if published is None else published}

    def exit_rate(self, state: Tensor) -> Tensor:
        """Return the rate `(...)` at which the exit gate leaves after a loop that ended in `(..., d_model)`."""
        rate: Tensor = torch.sigmoid(self.model.model.early_exit_gate(self.model.model.norm(state)))[..., 0]
        return rate

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
        names = ("total_ut_steps", "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act")
        settings = {name: getattr(config, name) for name in (*names, "num_hidden_layers", "rms_norm_eps")}
        return {"model_type": config.model_type, "rope_theta": config.rope_parameters["rope_theta"], **settings}
