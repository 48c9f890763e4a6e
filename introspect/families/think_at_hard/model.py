"""Think-at-Hard (arXiv 2511.08577): tokens that a decider finds hard are run through the whole stack again.

    x = E[token];  L = head(norm(stack(x)))
    while the decider says so:  x = E mixed by softmax(L);  L = L + head(norm(stack(x))), adapted

The logits are summed over a token's iterations: the sum is what the decider reads, what the next iteration begins with
and what the model says. From the second iteration on a low-rank adapter is on. A token attends to itself and the tokens
before it as they were in all iterations so far that have run them. Goes in: token ids, a mask, a cache. Come out: the
summed logits, and which tokens each iteration has run. Every block computes all tokens, and a mask chooses; the
published code packs those that are run. The head is linear, so that the sum of logits is the head of the sum of normed
states, which is kept instead.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from introspect.families.parts.layers import RMSNorm, Shared, at_least_float32, rotary_angles
from introspect.families.parts.routed_lm import RoutedCausalLM
from introspect.families.think_at_hard.blocks import Decider, Iteration, TahBlock
from introspect.families.think_at_hard.checkpoint import FILES
from introspect.families.think_at_hard.config import TahConfig
from introspect.models.about import About, equal_to_published
from introspect.models.looped_model import LoopedModel
from introspect.records.trial import Site

_DESCRIBED = (
    *("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act", "rms_norm_eps"),
    *("rope_theta", "max_iter", "input_topk", "lora_rank", "lora_alpha", "lora_targets", "decider_layers"),
    *("decider_topk", "decider_dims", "decider_expansion", "decider_normalizes"),
)
"""Settings that determine what the weights compute."""


class TahModel(nn.Module):
    """The embedding, the looped stack and its norm."""

    def __init__(self, config: TahConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.layers = nn.ModuleList([TahBlock(config) for _ in range(config.num_hidden_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class TahForCausalLM(RoutedCausalLM):
    """The looped language model."""

    config_class = TahConfig
    config: TahConfig
    base_model_prefix = "model"
    _no_split_modules = ["TahBlock"]  # noqa: RUF012 (transformers reads a plain list)
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 (read by transformers)

    def __init__(self, config: TahConfig) -> None:
        super().__init__(config)
        self.model = TahModel(config)
        self.iter_decider = Decider(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @property
    def trained_loops(self) -> int:
        """Return the most iterations as trained."""
        return self.config.max_iter

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of the tokens."""
        return self.model.embed_tokens

    def angles(self, positions: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rotary angles."""
        return rotary_angles(positions, self.config.head_dim, self.config.rope_theta, h.dtype)

    def run(
        self, h: Tensor, shared: Shared, n_loops: int, after: Site | None, routed: list[Tensor] | None = None, **_: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run at most so many iterations; the states are the sums over each token's iterations so far, normed each."""
        assert after is None, "what was decided before a site is in no block's output"
        layers = self.model.layers
        states: list[Tensor] = []
        seen: dict[nn.Module, list[tuple[Any, Any]]] = {}
        final, said = h, torch.zeros_like(h)
        active, begun = torch.ones_like(h[..., :1], dtype=torch.bool), h
        for loop in range(n_loops):
            h = torch.where(active, begun, final)
            hidden, own = [h], Iteration(loop > 0, active, seen)
            for layer, block in enumerate(layers):
                h = block(h, shared, loop * len(layers) + layer, own)
                hidden.append(h)
            final = torch.where(active, h, final)
            read = self.model.norm(final)
            said = torch.where(active, said + read, said)
            states.append(said)
            if routed is not None:
                routed.append(active)
            if loop < n_loops - 1:
                hidden[-1], logits = read, self.lm_head(said)
                active, begun = active & self._again(logits, hidden), self._mixed(logits)
        return said, tuple(states)

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of the sum of normed states."""
        return self.lm_head(state)

    def _again(self, logits: Tensor, hidden: list[Tensor]) -> Tensor:
        """Say which tokens the decider wants to be run again, `(batch, position, 1)`."""
        assert self.config.decider_layers is not None
        decided: Tensor = self.iter_decider(logits, torch.cat([hidden[i] for i in self.config.decider_layers], dim=-1))
        return decided

    def _mixed(self, logits: Tensor) -> Tensor:
        """Return the embedding `(batch, position, d_model)` in the mean over the most probable next tokens."""
        table, exact = self.model.embed_tokens.weight, at_least_float32(logits.dtype)
        if self.config.input_topk is None:
            return logits.softmax(-1, dtype=exact).to(table.dtype) @ table
        top = logits.topk(min(self.config.input_topk, logits.shape[-1]), dim=-1)
        weights = top.values.softmax(-1, dtype=exact).to(table.dtype)
        return (weights[..., None] * table[top.indices]).sum(-2)


class TahLooped(LoopedModel):
    """Think-at-Hard: no blocks outside the loop; a site is the loop-th call of its block, for tokens that it runs."""

    about = About(
        name="Think-at-Hard",
        loops="an iteration of the whole stack over the tokens that are found hard, adapted from the second on",
        source="arXiv 2511.08577",
        verified=equal_to_published("November 2026", 1.4e-6, "thu-nics/TaH 1e07bc3") + "; small published files",
        checkpoints=("nics-efc/TaH-plus-1.7B",),
    )
    model_class = TahForCausalLM
    summed = True
    required = ("max_iter", "num_attention_heads", "rms_norm_eps", "rope_theta|rope_parameters", "decider_layers")
    files = FILES
    passed_over = frozenset(("max_position_embeddings", "sliding_window", "max_window_layers"))
    only: ClassVar = {
        "use_sliding_window": (False,),
        "layer_types": ("full_attention",),
        "attention_bias": (False,),
    }

    def __init__(self, name: str, model: TahForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self.n_loops, self.n_layers = self.counts(model.config)
        self.d_model = model.config.hidden_size
        self.blocks = tuple(model.model.layers)

    @staticmethod
    def counts(config: TahConfig) -> tuple[int, int]:
        """Return the most iterations as trained and the layers, from a config alone."""
        return config.max_iter, config.num_hidden_layers

    def readout(self, state: Tensor, **_: Any) -> Tensor:
        """Return the logits `(..., vocabulary)` that an iteration adds which ended in `(..., d_model)`."""
        logits: Tensor = self.model.lm_head(self.model.model.norm(state))
        return logits

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Return the slots of the cache, one a site, the heads of keys and values, and their size."""
        config = self.model.config
        return n_loops * self.n_layers, config.num_key_value_heads, config.head_dim + 1

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        return {"model_type": config.model_type, **{name: getattr(config, name) for name in _DESCRIBED}}
