"""How a recursive transformer is seen by the rest of the package: its blocks, loops and read-out."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from introspect.families.parts.layers import Shared, positions_of
from introspect.families.recursive.blocks import Pass
from introspect.families.recursive.config import RecursiveConfig
from introspect.families.recursive.model import RecursiveForCausalLM
from introspect.models.about import About, equal_to_published
from introspect.models.looped_model import LoopedModel
from introspect.records.trial import Site

_DESCRIBED = (
    *("num_hidden_layers", "num_recursion", "sharing", "num_attention_heads", "num_key_value_heads", "head_dim"),
    *("hidden_act", "rms_norm_eps", "lora_rank", "lora_alpha", "lora_targets"),
    *("routing", "router_alpha", "router_temp", "gating", "route_first", "kv_sharing"),
)
"""Settings that determine what the weights compute."""


class RecursiveLooped(LoopedModel):
    """Tied Llama blocks; with middle_* sharing the first and the last layer stand outside the loops."""

    about = About(
        name="Recursive, Relaxed Recursive, Mixture-of-Recursions",
        loops="the tied blocks; a position in an unrolled stack",
        source="arXiv 2410.20672, 2507.10524",
        verified=equal_to_published("November 2026", 6.6e-7, "anxi710/mixture_of_recursions 9ae22b7")
        + "; no published checkpoint is known",
    )
    model_class = RecursiveForCausalLM
    required = ("num_recursion", "sharing", "num_attention_heads", "rms_norm_eps")

    def __init__(self, name: str, model: RecursiveForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self.n_loops, self.n_layers = self.counts(model.config)
        self.d_model = model.config.hidden_size
        self.blocks = tuple(model.model.layers)
        self.prelude, self.coda = tuple(model.model.prelude), tuple(model.model.coda)

    @staticmethod
    def counts(config: RecursiveConfig) -> tuple[int, int]:
        """Return the loops as trained and the layers, from a config alone."""
        return config.num_recursion, config.base_depth

    @staticmethod
    def outside(config: RecursiveConfig) -> tuple[int, int]:
        """Return the blocks before and behind the loops, from a config alone."""
        return config.n_outside, config.n_outside

    def locate(self, site: Site, n_loops: int) -> tuple[nn.Module, int]:
        """Return the block of a site and which of its calls within one forward it is; SiteError if there is none."""
        block, call = super().locate(site, n_loops)
        if site.stage == "core":
            tied, call = self.model.tied(site, n_loops)
            block = self.blocks[tied]
        return block, call

    @staticmethod
    def check_loops(config: RecursiveConfig, n_loops: int) -> None:
        """Raise InputError for a number of loops that nothing was learned for."""
        LoopedModel.check_loops(config, n_loops)
        config.check_loops(n_loops)

    def readout(self, state: Tensor, **behind: Any) -> Tensor:
        """Return logits `(batch, position, vocabulary)` of what a loop's last block put out, as if none followed."""
        if self.coda:
            positions, cache = behind.get("position_ids"), behind.get("past_key_values")
            positions = positions_of(state, None, 0) if positions is None else positions
            shared = Shared(positions, self.model.angles(positions, state), None, cache)
            loop, n_loops = behind.get("loop", 0), behind.get("n_loops", 1)
            n_sites = len(self.sites(n_loops))
            state = self.coda[0](state, shared, Pass(n_sites - 1 if loop == n_loops - 1 else n_sites + loop))
        logits: Tensor = self.model.head(state)
        return logits

    @property
    def resumes(self) -> bool:
        """Say whether a forward can go on behind a site; not where what was decided before it is no state."""
        return bool(self.model.config.routing == "none")

    def resume_arguments(self, site: Site, states: Mapping[Site, Tensor]) -> dict[str, Any] | None:
        """Return the forward arguments that go on behind a site; None where tokens are routed."""
        if not self.resumes:
            return None
        return {"inputs_embeds": states[site], "after": site}

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Return the slots of the cache, one a site and those for read-outs, its heads, and their size."""
        config = self.model.config
        slots = len(self.sites(n_loops)) + (n_loops - 1) * len(self.coda)
        return slots, config.num_key_value_heads, config.head_dim + config.marks_keys

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        settings = {name: getattr(config, name) for name in _DESCRIBED}
        kept = {} if config.routing == "none" else {"kept": "first loop"}  # until November 2026 it was the loop before
        return {"model_type": config.model_type, "rope_theta": config.rope_parameters["rope_theta"], **settings, **kept}
