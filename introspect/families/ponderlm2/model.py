"""PonderLM-2 (arXiv 2509.23184): every token runs GPT-NeoX's stack several times before the next token begins.

    x[t, 0] = E[token t];   h[t, s] = norm(stack(x[t, s]));   x[t, s + 1] = h[t, s];   logits[t] = head(h[t, k])

A text is x1 z1 x2 z2 ...: a token and its k thoughts, all at the token's position, each attending to all that stands
before. With `interpolation` a thought is softmax(head(h)) E. This is the exact form, token by token and stage by stage;
the published forward over a prompt comes near it by Jacobi passes. Goes in: token ids, a mask, a cache. Come out:
logits of the last stage, and on demand the normed state after every stage.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from introspect.families.parts.layers import Shared, at_least_float32
from introspect.families.parts.neox import NEOX_DESCRIBED, NeoxCausalLM, NeoxLooped
from introspect.families.ponderlm2.blocks import TokenBlock, tokens
from introspect.families.ponderlm2.config import PonderLm2Config
from introspect.models.about import About, equal_to_published
from introspect.records.trial import Site

_DESCRIBED = (
    *("num_latent_thoughts", "interpolation", "interpolation_use_topk", "interpolation_topk", "scale_embeds"),
    *NEOX_DESCRIBED,
)
"""Settings that determine what the weights compute."""


class PonderLm2ForCausalLM(NeoxCausalLM):
    """The looped language model: a loop is a stage of a token."""

    config_class = PonderLm2Config
    config: PonderLm2Config
    _no_split_modules = ["TokenBlock"]  # noqa: RUF012 (transformers reads a plain list)

    def __init__(self, config: PonderLm2Config) -> None:
        super().__init__(config, TokenBlock)

    @property
    def trained_loops(self) -> int:
        """Return the stages as trained: one more than there are thoughts."""
        return self.config.num_latent_thoughts + 1

    @property
    def scale(self) -> float:
        """Return the factor of the embedding."""
        return self.config.scale

    def run(
        self, h: Tensor, shared: Shared, n_loops: int, after: Site | None, **_: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run each token through all stages; the states are normed, and the head reads the last.

        Raises InputError for a cache that was filled by another number of loops.
        """
        assert after is None, "a token begins when the one before has run all its loops, so nothing goes on behind one"
        shared = replace(shared, cache=DynamicCache() if shared.cache is None else shared.cache)
        layers = self.gpt_neox.layers
        states: list[list[Tensor]] = [[] for _ in range(n_loops)]
        for at, token in tokens(shared, n_loops, len(layers)):
            x = h[:, at]
            for loop in range(n_loops):
                x = self._thought(states[loop - 1][-1]) if loop else x
                for layer, block in enumerate(layers):
                    x = block(x, token, loop * len(layers) + layer)
                states[loop].append(self.gpt_neox.final_layer_norm(x))
        whole = tuple(torch.cat(of_loop, dim=1) for of_loop in states)
        return whole[-1], whole

    def _thought(self, state: Tensor) -> Tensor:
        """Return what the next stage begins with, `(batch, 1, d_model)`, from the normed state of a stage."""
        if not self.config.interpolation:
            return state
        logits, table = self.embed_out(state), self.gpt_neox.embed_in.weight
        exact = at_least_float32(logits.dtype)
        if not self.config.interpolation_use_topk:
            return logits.softmax(-1, dtype=exact).to(logits.dtype) @ table * self.scale
        best, of = logits.topk(min(self.config.interpolation_topk, logits.shape[-1]), dim=-1)
        weights = best.softmax(-1, dtype=exact).to(logits.dtype)
        return (weights[..., None, :] @ table[of])[..., 0, :] * self.scale


class PonderLm2Looped(NeoxLooped):
    """PonderLM-2 on GPT-NeoX: a site (loop, layer) is what a block puts out at that stage of every token."""

    about = About(
        name="PonderLM-2",
        loops="a stage of one token: all loops of a token run before the next token begins",
        source="arXiv 2509.23184",
        verified=equal_to_published("November 2026", 8.4e-7, "LUMIA-Group/PonderLM-2 fa784be")
        + "; with one loop transformers' GPT-NeoX",
        checkpoints=("zeng123/PonderLM-2-Pythia-410m", "zeng123/PonderLM-2-Pythia-1.4b"),
        licence="Apache-2.0",
    )
    model_class = PonderLm2ForCausalLM
    required = ("num_attention_heads", "layer_norm_eps", "interpolation")
    passed_over = frozenset(
        # of training, and of the passes by which the published code comes near what is computed here
        ("num_jacobi_iterations", "random_jacobi_iterations", "recurrent_model", "checkpoint_num_layers")
    )
    by_token = True

    @staticmethod
    def counts(config: PonderLm2Config) -> tuple[int, int]:
        """Return the stages as trained and the layers, from a config alone."""
        return config.num_latent_thoughts + 1, config.num_hidden_layers

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        return {"model_type": "ponderlm2_gpt_neox", **{name: getattr(config, name) for name in _DESCRIBED}}
