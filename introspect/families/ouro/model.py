"""The Ouro layout on transformers 5: one stack of blocks run several times, with a norm after every loop.

Goes in: token ids, a mask, a cache. Come out: logits of the last loop (or of the loop at which the exit gate
leaves), and on demand the normed state after every loop. Weight names are those of the published checkpoints.
"""

from typing import Any

import torch
from torch import Tensor, nn

from introspect.families.ouro.config import OuroConfig
from introspect.families.parts.layers import GatedMLP, LlamaAttention, RMSNorm, Shared
from introspect.families.parts.normed_stack import NormedStackCausalLM
from introspect.records.trial import Site


class OuroBlock(nn.Module):
    """One block: both parts have a norm before them and one on what they add."""

    def __init__(self, config: OuroConfig) -> None:
        super().__init__()
        self.self_attn = LlamaAttention(config)
        self.mlp = GatedMLP(config.hidden_size, config.intermediate_size, config.hidden_act)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.input_layernorm_2 = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm_2 = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`."""
        h = h + self.input_layernorm_2(self.self_attn(self.input_layernorm(h), shared, slot))
        return h + self.post_attention_layernorm_2(self.mlp(self.post_attention_layernorm(h)))


class OuroModel(nn.Module):
    """The embedding, the looped stack, its norm and its exit gate."""

    def __init__(self, config: OuroConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.layers = nn.ModuleList([OuroBlock(config) for _ in range(config.num_hidden_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.early_exit_gate = nn.Linear(config.hidden_size, 1)


class OuroForCausalLM(NormedStackCausalLM):
    """The looped language model.

    Its forward takes `exit_threshold` (0 to 1), which reads each token at the first loop at which the exit gate's
    cumulative probability reaches it; or `exit_loop`, which reads that loop. None, the default of both whatever the
    config says, always reads the last loop.
    """

    config_class = OuroConfig
    config: OuroConfig
    _no_split_modules = ["OuroBlock"]  # noqa: RUF012 (transformers reads a plain list)

    def __init__(self, config: OuroConfig) -> None:
        super().__init__(config, OuroModel(config))

    @property
    def trained_loops(self) -> int:
        """Return the loops as trained."""
        return self.config.total_ut_steps

    def run(
        self,
        h: Tensor,
        shared: Shared,
        n_loops: int,
        after: Site | None,
        exit_threshold: float | None = None,
        exit_loop: int | None = None,
        **_: Any,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the stack; the states are normed, and the head reads that of the loop at which a token leaves."""
        states = self.passes(h, shared, n_loops, after)
        final = states[-1] if exit_loop is None else states[exit_loop]
        return final if exit_threshold is None else self._exit(states, exit_threshold), tuple(states)

    def _exit(self, states: list[Tensor], threshold: float) -> Tensor:
        """Take each token's state from the first loop at which the exit probability adds up to `threshold`."""
        chosen = states[-1]
        stay = [torch.sigmoid(-self.model.early_exit_gate(h)) for h in states[:-1]]
        for loop in reversed(range(len(stay))):
            reached = 1 - torch.stack(stay[: loop + 1]).prod(0) >= threshold
            chosen = torch.where(reached, states[loop], chosen)
        return chosen
