"""How a model in the HRM-Text layout is seen by the rest of the package: a loop is a pass through one stack."""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast
from transformers.models.hrm_text import HrmTextConfig

from introspect.families.hrm_text.model import HrmForCausalLM, check_config, check_passes
from introspect.families.parts.layers import rms_normed
from introspect.models.about import About
from introspect.models.looped_model import LoopedModel
from introspect.records.trial import Site

_DESCRIBED = (
    *("H_cycles", "L_cycles", "num_layers_per_stack", "num_attention_heads", "head_dim", "hidden_act"),
    *("rms_norm_eps", "embedding_scale", "prefix_lm"),
)
"""Settings that determine what the weights compute."""


class HrmLooped(LoopedModel):
    """The HRM-Text layout: low passes and then a high one, again and again; `blocks` are the low ones, then the high.

    A site is (pass, layer within its stack). The package goes on from tokens: behind a site, the high state in which
    a text begins is no longer known.
    """

    about = About(
        name="HRM-Text",
        loops="a pass through one stack: low ones (L), then a high one (H), and again",
        source="arXiv 2605.20613",
        verified="transformers' own class on the same random weights, in every run of the tests; November 2026: "
        "largest relative difference 6.0e-7 (float32), transformers 5.23.0",
        checkpoints=("sapientinc/HRM-Text-1B",),
        licence="of the weights: not known",
    )
    model_class = HrmForCausalLM
    required = ("H_cycles", "L_cycles", "num_attention_heads")

    def __init__(self, name: str, model: HrmForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self.n_loops, self.n_layers = self.counts(model.config)
        self.d_model = model.config.hidden_size
        self.blocks = (*model.model.L_module.layers, *model.model.H_module.layers)

    @classmethod
    def config_of(cls, settings: dict[str, Any]) -> HrmTextConfig:
        """Make the config of a checkpoint; InputError for what the layout cannot compute."""
        config = HrmTextConfig.from_dict(settings)
        check_config(config)
        return config

    @staticmethod
    def counts(config: HrmTextConfig) -> tuple[int, int]:
        """Return the passes as trained and the layers of a stack, from a config alone."""
        assert config.num_layers_per_stack is not None
        return config.H_cycles * (config.L_cycles + 1), config.num_layers_per_stack

    def pass_names(self, n_loops: int) -> list[str]:
        """Name the passes: `L0.2` is the third low one of the first cycle, `H0` the high one behind it."""
        low = self.model.config.L_cycles
        cycles = (divmod(number, low + 1) for number in range(n_loops))
        return [f"H{cycle}" if turn == low else f"L{cycle}.{turn}" for cycle, turn in cycles]

    def locate(self, site: Site, n_loops: int) -> tuple[nn.Module, int]:
        """Return the block of a site and which of its calls within one forward it is; SiteError if there is none."""
        super().locate(site, n_loops)
        low = self.model.config.L_cycles
        cycle, turn = divmod(site.loop, low + 1)
        call = cycle if turn == low else cycle * low + turn
        return self.model.stack(site.loop).layers[site.layer], call

    @staticmethod
    def check_loops(config: HrmTextConfig, n_loops: int) -> None:
        """Raise InputError for a number of passes that does not end in a high one."""
        check_passes(config, n_loops)

    @property
    def both_ways(self) -> bool:
        """Say whether the tokens of a prompt attend to one another in both directions, as the config has it."""
        return bool(self.model.config.prefix_lm)

    def prompt_arguments(self, prompt: Tensor) -> dict[str, Any]:
        """Return the forward arguments that let the tokens of a prompt see one another."""
        return {"token_type_ids": prompt.long()} if self.both_ways else {}

    def readout(self, state: Tensor, **_: Any) -> Tensor:
        """Return the logits `(..., vocabulary)` of what a pass's last block put out, `(..., d_model)`.

        Behind a high pass they are those of a model of so many passes. Behind a low one they say what the head, which
        was trained on high states, reads in the low state: a lens, nothing that the model would say.
        """
        logits: Tensor = self.model.head(rms_normed(state, self.model.config.rms_norm_eps))
        return logits

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Return the slots of the cache, one a site, the heads of keys and values, and their size."""
        config = self.model.config
        return n_loops * self.n_layers, config.num_attention_heads, config.head_dim

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        settings = {name: getattr(config, name) for name in _DESCRIBED}
        return {"model_type": config.model_type, "rope_theta": config.rope_parameters["rope_theta"], **settings}
