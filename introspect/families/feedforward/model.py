"""Feed-forward language models as they are in transformers, seen as looped models of one loop.

Goes in: a model of one of the types listed here. Comes out: the same interface as for looped models, so that a model
without loops can be asked the same questions. Its parts are found by the structure that these classes share.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from introspect.errors import InputError
from introspect.families.feedforward.stack import stacked
from introspect.families.parts.layers import positions_of
from introspect.models.about import About
from introspect.models.looped_layers import LoopedLayers
from introspect.models.looped_model import LoopedModel
from introspect.records.site import Site

FEED_FORWARD: tuple[str, ...] = (
    "arcee",
    "cohere",
    "cohere2",
    "ernie4_5",
    "exaone4",
    "gemma",
    "gemma3_text",
    "glm",
    "glm4",
    "gpt2",
    "gpt_neox",
    "granite",
    "helium",
    "llama",
    "ministral",
    "mistral",
    "nemotron",
    "olmo",
    "olmo2",
    "olmo3",
    "phi",
    "phi3",
    "qwen2",
    "qwen3",
    "seed_oss",
    "smollm3",
    "stablelm",
    "starcoder2",
)
"""Model types that the tests hold against transformers: one tensor a block, attention that rows can share."""
BLOCKS = ("layers", "h")
FINAL_NORMS = ("norm", "final_layernorm", "final_layer_norm", "ln_f")
LENGTH_DEPENDENT = ("dynamic", "longrope")
"""Rotary angles that change with the length of the text, so that what was cached before would no longer be right."""
UNKNOWN_SETTINGS = ("reorder_and_upcast_attn", "use_bidirectional_attention", "add_cross_attention")
"""Settings that change the attention into one that rows cannot share."""
_WITHOUT_EFFECT = frozenset(
    ("architectures", "dtype", "torch_dtype", "transformers_version", "use_cache", "initializer_range", "_name_or_path")
)
"""Settings that do not change what the weights compute. One too few costs a run; one too many mixes two models up."""


class FeedForwardLooped(LoopedModel):
    """A model that runs its blocks once: one loop, never another number."""

    about = About(
        name="feed-forward",
        loops="none: one pass through the blocks, the baseline of every figure about loops",
        source="transformers' own classes",
        verified="plain hooks on random weights, one small model of each type",
        licence="each its own",
    )
    model_class = AutoModelForCausalLM
    passed_over = frozenset(
        (
            # read by transformers' config classes, which leave them where they are
            *("partial_rotary_factor", "sliding_window_pattern", "original_max_position_embeddings"),
            # written by PonderLM's loader beside `ponderinglm: false`, and then read by nothing
            *("pondering_steps", "scale_embeds", "mutiply_pondering_steps", "checkpoint_num_layers"),
            # written by PonderLM-2's loader beside `num_latent_thoughts: 0`, and then read by nothing
            *("num_jacobi_iterations", "random_jacobi_iterations", "interpolation", "recurrent_model"),
        )
    )

    def __init__(self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self.n_loops, self.n_layers = self.counts(model.config)
        self.d_model = model.config.hidden_size
        self.prelude, self.blocks, self.coda = self.stages(model)
        self.norm, self.lm_head = part_of(model, FINAL_NORMS)[1], model.get_output_embeddings()
        assert len(self.blocks) == self.n_layers, (len(self.blocks), self.n_layers)
        model.register_forward_pre_hook(_count_positions, with_kwargs=True)
        self._check_blocks()

    def stages(self, model: PreTrainedModel) -> tuple[tuple[nn.Module, ...], ...]:
        """Find the blocks, let the forward go on behind any of them, and give those of prelude, core and coda."""
        name, _ = part_of(model, BLOCKS)
        return stacked(model, name, self.loop(model.config)).stages

    @classmethod
    def loop(cls, config: Any) -> LoopedLayers:
        """Say which layers are looped: all of them, once."""
        return LoopedLayers(0, config.num_hidden_layers - 1, "plain")

    @classmethod
    def config_of(cls, settings: dict[str, Any]) -> Any:
        """Make the config; InputError for settings whose computation is not the usual one."""
        kept = {name: value for name, value in settings.items() if name != "model_type"}
        config = AutoConfig.for_model(settings["model_type"]).from_dict(kept)
        cls.check_settings(config)
        return config

    @staticmethod
    def check_settings(config: Any) -> None:
        """Raise InputError for settings whose computation is not the usual one."""
        for kind in _rope_types(getattr(config, "rope_parameters", None) or {}):
            if kind in LENGTH_DEPENDENT:
                raise InputError(f"rope type {kind!r}: its angles depend on the length of the text")
        for setting in UNKNOWN_SETTINGS:
            if getattr(config, setting, None):
                raise InputError(f"{setting} is true: a feed-forward model is run with the usual attention only")

    @staticmethod
    def computed_buffers(model: PreTrainedModel) -> dict[str, Tensor]:
        """Compute anew the rotary frequencies, and the factor by which some scale the embedding."""
        buffers: dict[str, Tensor] = {}
        for path, module in model.named_modules():
            names = [name for name, _ in module.named_buffers(recurse=False)]
            if any(name.endswith("inv_freq") for name in names):
                anew = type(module)(config=model.config)
                buffers |= {f"{path}.{name}": buffer for name, buffer in anew.named_buffers()}
            elif names == ["embed_scale"]:
                buffers[f"{path}.embed_scale"] = torch.tensor(model.config.hidden_size**0.5)
        return buffers

    @staticmethod
    def counts(config: Any) -> tuple[int, int]:
        """Return the one loop and the layers, from a config alone."""
        return 1, config.num_hidden_layers

    @staticmethod
    def check_loops(config: Any, n_loops: int) -> None:
        """Raise InputError for any number of loops but one."""
        if n_loops != 1:
            kind = config.model_type
            again = "--loop-layers runs some of them again"
            raise InputError(f"loops run: {n_loops}; {kind} is a feed-forward model: it runs its blocks once; {again}")

    def forward_arguments(self, n_loops: int) -> dict[str, Any]:
        """Return no arguments at all; InputError as above."""
        self.check_loops(self.model.config, n_loops)
        return {}

    def resume_arguments(self, site: Site, states: Mapping[Site, Tensor]) -> dict[str, Any] | None:
        """Return the forward arguments that go on behind a site: its state is all that is needed."""
        return {"inputs_embeds": states[site], "after": site}

    def readout(self, state: Tensor, **_: Any) -> Tensor:
        """Return the logits `(..., vocabulary)` of what the last block put out, `(..., d_model)`."""
        logits: Tensor = self.lm_head(self.norm(state))
        config = self.model.config
        if getattr(config, "logits_scaling", None) is not None:
            logits = logits / config.logits_scaling
        if getattr(config, "logit_scale", None) is not None:
            logits = logits * config.logit_scale
        cap = getattr(config, "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Return the slots of the cache, one a layer, the heads of keys and values, and their size."""
        self.forward_arguments(n_loops)
        config = self.model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return self.n_layers, heads, size

    def described(self) -> dict[str, Any]:
        """Return all settings but those that are known to change nothing."""
        settings: Mapping[str, Any] = self.model.config.to_dict()
        return {name: value for name, value in settings.items() if _tells(name)}

    @torch.no_grad()
    def _check_blocks(self) -> None:
        """Run one token and see that this version of transformers has one tensor a block and one slot a layer."""
        shapes: list[Any] = []
        handles = [
            block.register_forward_hook(lambda _, __, output: shapes.append(getattr(output, "shape", type(output))))
            for block in (*self.prelude, *self.blocks, *self.coda)
        ]
        cache = self.new_cache()
        try:
            token = torch.zeros(1, 1, dtype=torch.long, device=self.device)
            self.model(input_ids=token, past_key_values=cache, use_cache=True)
        finally:
            for handle in handles:
                handle.remove()
        assert shapes == [(1, 1, self.d_model)] * len(self.sites(1)), f"blocks of {self.name!r} put out {shapes}"
        slots, heads, size = self.cache_shape(1)
        kept = [tuple(layer.keys.shape) for layer in cache.layers]  # type: ignore[union-attr]  # tensors, once used
        assert kept == [(1, heads, 1, size)] * slots, f"the cache of {self.name!r} holds {kept}"


def part_of(model: PreTrainedModel, names: tuple[str, ...]) -> tuple[str, nn.Module]:
    """Find the part of a model that has one of these names."""
    found = [(name, part) for name, part in model.base_model.named_children() if name in names]
    assert len(found) == 1, f"{type(model.base_model).__name__} has {len(found)} of {names}"
    return found[0]


def _tells(setting: str) -> bool:
    return setting not in _WITHOUT_EFFECT and not setting.endswith("_token_id")


def _count_positions(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Count positions from each row's first real token, where transformers would count the padding too."""
    mask, cache = named.get("attention_mask"), named.get("past_key_values")
    if mask is None or named.get("position_ids") is not None:
        return None
    given = arguments[0] if arguments else named.get("input_ids")
    given = named["inputs_embeds"] if given is None else given
    seen = 0 if cache is None else cache.get_seq_length()
    return arguments, named | {"position_ids": positions_of(given, mask, seen)}


def _rope_types(rope: Mapping[str, Any]) -> Iterator[str]:
    """List the rotary types of a config: one for all layers, or one for each kind of layer."""
    if "rope_type" in rope:
        yield rope["rope_type"]
    for each in rope.values():
        if isinstance(each, Mapping):
            yield from _rope_types(each)
