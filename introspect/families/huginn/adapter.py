"""How a model in the Huginn layout is seen by the rest of the package: three stages, read out through the coda."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor

from introspect.families.huginn.config import RavenConfig
from introspect.families.huginn.model import RavenForCausalLM
from introspect.families.parts.staged_adapter import StagedLooped
from introspect.models.about import About, equal_to_published
from introspect.records.trial import PRELUDE, Site


class RavenLooped(StagedLooped):
    """The Huginn layout."""

    about = About(
        name="Huginn (Raven)",
        loops="the core between prelude and coda, which is fed the prelude's output anew in each",
        source="arXiv 2502.05171",
        verified=equal_to_published("November 2026", 1.5e-6, "seal-rg/recurrent-pretraining 59e0b69")
        + "; a trained organism",
        checkpoints=("tomg-group-umd/huginn-0125",),
        licence="Apache-2.0",
    )
    model_class = RavenForCausalLM
    required: ClassVar[tuple[str, ...]] = ("mean_recurrence", "n_heads|num_attention_heads", "norm_eps", "rope_base")
    passed_over = frozenset(
        (
            *("n_layers", "padding_multiple", "padded_vocab_size", "effective_expected_depth", "init_strategy"),
            *("init_orthogonal", "sampling_scheme", "mean_backprop_depth", "activation_checkpoint_impl"),
            *("architecture_class_name", "test_time_noise_type"),
        )
    )
    only: ClassVar = {
        "block_class_name": ("SandwichBlock",),
        "norm_class_name": ("RMSNorm", "RMSNorm_llama"),
        "mlp_class_name": ("GatedMLP",),
        "nonlin_name": ("SiLU",),
    }

    stops: ClassVar[tuple[int, ...]] = (65504, 65505, 65508)
    """Tokens at which the published code stops, whatever the generation config says."""

    @cached_property
    def end_of_turn(self) -> tuple[int, ...]:
        """Return the tokens that end an answer, sorted; a small vocabulary has no published ones."""
        known = (token for token in self.stops if token < self.model.config.vocab_size)
        return tuple(sorted({*super().end_of_turn, *known}))

    @staticmethod
    def counts(config: RavenConfig) -> tuple[int, int]:
        """Return the loops in the mean of training and the layers of the core, from a config alone."""
        return config.mean_recurrence, config.n_layers_in_recurrent_block

    @staticmethod
    def outside(config: RavenConfig) -> tuple[int, int]:
        """Return the blocks of prelude and coda, from a config alone."""
        return config.n_layers_in_prelude, config.n_layers_in_coda

    def resume_arguments(self, site: Site, states: Mapping[Site, Tensor]) -> dict[str, Any]:
        """Return the forward arguments that go on behind a site; the core also needs what the prelude gave."""
        last = Site(PRELUDE, len(self.prelude) - 1)
        refeed = {"refeed": states[last]} if site.stage == "core" else {}
        return {"inputs_embeds": states[site], "after": site, **refeed}

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        names = ("mean_recurrence", "n_heads", "num_key_value_heads", "head_dim", "rope_base", "norm_eps", "qk_bias")
        shape = ("n_layers_in_prelude", "n_layers_in_recurrent_block", "n_layers_in_coda", "init_values")
        named = (*names, *shape, "state_init", "state_seed")
        return {"model_type": config.model_type, **{name: getattr(config, name) for name in named}}
