"""PonderLM (arXiv 2505.20674): GPT-NeoX's stack run again and again, each time on embeddings that were pondered over.

    x = E[tokens];   x = x + softmax(head(norm(stack(x)))) E   after every loop but the last

Goes in: token ids, a mask, a cache. Come out: logits of the last loop, and on demand the normed state after every loop.
Weight names are those of the published checkpoints, whose code has no cache; here every loop has slots of its own.
"""

from typing import Any

from torch import Tensor

from introspect.families.parts.layers import Shared, at_least_float32
from introspect.families.parts.neox import NEOX_DESCRIBED, NeoxCausalLM, NeoxLooped
from introspect.families.ponder.config import PonderConfig
from introspect.models.about import About, equal_to_published
from introspect.records.trial import Site

_DESCRIBED = ("pondering_steps", "scale_embeds", "mutiply_pondering_steps", *NEOX_DESCRIBED)
"""Settings that determine what the weights compute."""


class PonderForCausalLM(NeoxCausalLM):
    """The looped language model."""

    config_class = PonderConfig
    config: PonderConfig
    _no_split_modules = ["NeoxBlock"]  # noqa: RUF012 (transformers reads a plain list)

    @property
    def trained_loops(self) -> int:
        """Return the loops as trained: one more than there are steps of pondering."""
        return self.config.pondering_steps + 1

    @property
    def scale(self) -> float:
        """Return the factor of the embedding."""
        return self.config.hidden_size**0.5 if self.config.scale_embeds else 1.0

    def run(
        self, h: Tensor, shared: Shared, n_loops: int, after: Site | None, **_: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the stack; the states are normed, and the head reads the last."""
        assert after is None, "what the stream began with is in no block's output, so nothing goes on behind one"
        layers, begun = self.gpt_neox.layers, h * self._times(n_loops)
        states: list[Tensor] = []
        for loop in range(n_loops):
            if states:
                begun = begun + self._pondered(states[-1])
            h = begun
            for layer, block in enumerate(layers):
                h = block(h, shared, loop * len(layers) + layer)
            states.append(self.gpt_neox.final_layer_norm(h))
        return states[-1], tuple(states)

    def _times(self, n_loops: int) -> int:
        """Return the factor of the stream's beginning: the steps in use, as published, if the config wants it."""
        return n_loops - 1 if self.config.mutiply_pondering_steps and n_loops > 1 else 1

    def _pondered(self, state: Tensor) -> Tensor:
        """Return the embedding `(batch, position, d_model)` in the mean over what the head says comes next."""
        logits = self.embed_out(state)
        weights = logits.softmax(-1, dtype=at_least_float32(logits.dtype)).to(logits.dtype)
        return weights @ self.gpt_neox.embed_in.weight * self.scale


class PonderLooped(NeoxLooped):
    """PonderLM on GPT-NeoX: no blocks outside the loop; a site is the loop-th call of its block.

    The package goes on from tokens: behind a site, the embedding with which a loop began is no longer known.
    """

    about = About(
        name="PonderLM",
        loops="the whole stack, on embeddings to which the expected next one is added after each",
        source="arXiv 2505.20674",
        verified=equal_to_published("November 2026", 6.1e-7, "LUMIA-Group/PonderingLM 3deec20")
        + "; with one loop transformers' GPT-NeoX",
        checkpoints=("zeng123/PonderingPythia-1.4B", "zeng123/PonderingPythia-2.8B"),
    )
    model_class = PonderForCausalLM
    required = ("num_attention_heads", "layer_norm_eps")

    @staticmethod
    def counts(config: PonderConfig) -> tuple[int, int]:
        """Return the loops as trained and the layers, from a config alone."""
        return config.pondering_steps + 1, config.num_hidden_layers

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        return {"model_type": "ponder_gpt_neox", **{name: getattr(config, name) for name in _DESCRIBED}}
