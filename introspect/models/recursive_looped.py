"""How a recursive transformer is seen by the rest of the package: its blocks, loops and read-out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast
from transformers.cache_utils import Cache

from introspect.errors import InputError
from introspect.models.looped import LoopedModel
from introspect.models.parts import Shared, positions_of
from introspect.models.recursive import RecursiveForCausalLM
from introspect.models.recursive_blocks import Pass
from introspect.models.recursive_config import RecursiveConfig
from introspect.models.rows import RowCache
from introspect.records import Site

DESCRIBED = (
    *("num_hidden_layers", "num_recursion", "sharing", "num_attention_heads", "num_key_value_heads", "head_dim"),
    *("hidden_act", "rms_norm_eps", "lora_rank", "lora_alpha", "lora_targets"),
    *("routing", "router_alpha", "router_temp", "gating", "route_first", "kv_sharing"),
)
"""Settings that determine what the weights compute."""


class RecursiveLooped(LoopedModel):
    """Tied Llama blocks; with middle_* sharing the first and the last layer stand outside the loops."""

    model_class = RecursiveForCausalLM

    def __init__(self, name: str, model: RecursiveForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self.n_loops, self.n_layers = self.counts(model.config)
        self.d_model = model.config.hidden_size
        self.blocks = tuple(model.model.layers)
        self.prelude, self.coda = tuple(model.model.prelude), tuple(model.model.coda)

    @staticmethod
    def counts(config: RecursiveConfig) -> tuple[int, int]:
        """Give the loops as trained and the layers, from a config alone."""
        return config.num_recursion, config.base_depth

    def locate(self, site: Site, n_loops: int) -> tuple[nn.Module, int]:
        """Give the block of a site and which of its calls within one forward it is; SiteError if there is none."""
        block, call = super().locate(site, n_loops)
        if site.stage == "core":
            tied, call = self.model.tied(site, n_loops)
            block = self.blocks[tied]
        return block, call

    def forward_arguments(self, n_loops: int) -> dict[str, Any]:
        """Give the forward arguments that run `n_loops` loops; InputError where nothing was learned for so many."""
        if n_loops < 1:
            raise InputError(f"loops run: {n_loops} is no number of loops; it must be at least 1")
        self.model.check_loops(n_loops)
        return {"n_loops": n_loops}

    def readout(self, state: Tensor, **behind: Any) -> Tensor:
        """Give the logits `(batch, position, vocabulary)` of what a loop's last block put out, as if none followed.

        What was cached stays as it was. The last layer of middle_* sharing attends over the earlier tokens as the
        cache holds them, which is behind all loops of the forward that it is of.
        """
        if not self.coda:
            return self._said(state)
        cache = behind.get("past_key_values")
        positions = behind.get("position_ids")
        positions = positions_of(state, None, 0) if positions is None else positions
        shared = Shared(positions, self.model.angles(positions, state), _causal(state, cache), cache)
        slot = 0 if cache is None else self.cache_shape(behind["n_loops"])[0] - 1
        with _kept(cache, slot, state.shape[1]):
            return self._said(self.coda[0](state, shared, Pass(slot)))

    def _said(self, state: Tensor) -> Tensor:
        logits: Tensor = self.model.head(state)
        return logits

    def resume_arguments(self, site: Site, states: Mapping[Site, Tensor]) -> dict[str, Any] | None:
        """Give the forward arguments that go on behind a site; None where tokens are routed."""
        if self.model.config.routing != "none":
            return None
        return {"inputs_embeds": states[site], "after": site}

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Give the slots of the cache, one a site, the heads of keys and values, and their size."""
        config = self.model.config
        slots = n_loops * self.n_layers + len(self.prelude) + len(self.coda)
        return slots, config.num_key_value_heads, config.head_dim

    def described(self) -> dict[str, Any]:
        """Give the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        settings = {name: getattr(config, name) for name in DESCRIBED}
        return {"model_type": config.model_type, "rope_theta": config.rope_parameters["rope_theta"], **settings}


def _causal(state: Tensor, cache: Cache | None) -> Tensor | None:
    """Give a mask `(1, 1, position, column)` of what each new position sees; None where attention knows by itself."""
    if cache is None or isinstance(cache, RowCache):
        return None
    new, columns = state.shape[1], cache.get_seq_length()
    return torch.ones(1, 1, new, columns, dtype=torch.bool, device=state.device).tril(columns - new)


@contextmanager
def _kept(cache: Cache | None, slot: int, new: int) -> Iterator[None]:
    """Take the new columns out of a slot, so that others can be put there, and put them back in the end."""
    if cache is None:
        yield
    elif isinstance(cache, RowCache):
        held = [own[slot].clone() for own in cache.own]
        try:
            yield
        finally:
            for own, was in zip(cache.own, held, strict=True):
                own[slot] = was
    else:
        layer: Any = cache.layers[slot]  # a DynamicLayer: its tensors are replaced, never written into
        whole = layer.keys, layer.values
        layer.keys, layer.values = (x[:, :, : x.shape[2] - new] for x in whole)
        try:
            yield
        finally:
            layer.keys, layer.values = whole
