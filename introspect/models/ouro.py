"""The Ouro layout on transformers 5: one stack of blocks run several times, with a norm after every loop.

Goes in: token ids, a mask, a cache. Come out: logits of the last loop (or of the loop at which the exit gate
leaves), and on demand the normed state after every loop. Weight names are those of the published checkpoints.
Rotary angles are computed in the forward pass, so that no unsaved buffer can come back uninitialised.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, GenerationConfig, PreTrainedModel
from transformers.cache_utils import Cache
from transformers.generation.utils import GenerationMixin
from transformers.masking_utils import create_causal_mask
from transformers.utils.generic import ModelOutput

from introspect.errors import InputError
from introspect.models.ouro_blocks import OuroBlock, OuroNorm, at_least_float32
from introspect.models.ouro_config import OuroConfig


@dataclass
class LoopedOutput(ModelOutput):
    """What a forward pass gives."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    """`(batch, position, vocabulary)`."""
    past_key_values: Cache | None = None
    loop_states: tuple[Tensor, ...] | None = None
    """The state after each loop, normed, `(batch, position, d_model)`."""


class OuroPreTrainedModel(PreTrainedModel):
    """How the models of this layout are made, loaded and saved."""

    config_class = OuroConfig
    config: OuroConfig
    base_model_prefix = "model"
    _no_split_modules = ["OuroBlock"]  # noqa: RUF012 (transformers reads a plain list)
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _keys_to_ignore_on_load_unexpected = [r"rotary_emb\.inv_freq"]  # noqa: RUF012 (computed here, never loaded)


class OuroModel(OuroPreTrainedModel):
    """The embedding, the looped stack, its norm and its exit gate."""

    def __init__(self, config: OuroConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.layers = nn.ModuleList([OuroBlock(config, layer) for layer in range(config.num_hidden_layers)])
        self.norm = OuroNorm(config.hidden_size, config.rms_norm_eps)
        self.early_exit_gate = nn.Linear(config.hidden_size, 1)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        n_loops: int | None = None,
        after: tuple[int, int] | None = None,
    ) -> tuple[Tensor, ...]:
        """Give the normed state after each of `n_loops` loops (default: `config.total_ut_steps`).

        `after` goes on behind the block at that (loop, layer), whose output `inputs_embeds` then is; the loops
        before are left out of what is given.
        """
        n_loops = self.config.total_ut_steps if n_loops is None else n_loops
        if n_loops < 1:
            raise InputError(f"n_loops {n_loops}: a looped model runs at least one loop")
        h = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        seen = 0 if past_key_values is None else past_key_values.get_seq_length()
        if position_ids is None:
            position_ids = _positions(h, attention_mask, seen)
        mask = create_causal_mask(self.config, h, attention_mask, past_key_values)
        angles = _angles(self.config, position_ids, h.dtype)
        states = []
        first_loop, first_layer = (0, 0) if after is None else (after[0], after[1] + 1)
        for loop in range(first_loop, n_loops):
            for layer in self.layers[first_layer if loop == first_loop else 0 :]:
                h = layer(h, loop, angles, mask, past_key_values)
            h = self.norm(h)
            states.append(h)
        return tuple(states)


class OuroForCausalLM(OuroPreTrainedModel, GenerationMixin):
    """The looped language model."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 (read by transformers)

    def __init__(self, config: OuroConfig) -> None:
        super().__init__(config)
        self.model = OuroModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        n_loops: int | None = None,
        exit_threshold: float | None = None,
        after: tuple[int, int] | None = None,
        **_: Any,  # arguments that generate() passes to every model
    ) -> LoopedOutput:
        """Run the loops and read the last one out.

        `exit_threshold` (0 to 1) reads each token at the first loop at which the exit gate's cumulative
        probability reaches it; None, the default whatever the config says, always reads the last loop. `after` is
        that of OuroModel.
        """
        if use_cache is None:
            use_cache = self.config.use_cache and not self.training
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache()  # made without a config it grows by one slot a (loop, layer)
        states = self.model(input_ids, attention_mask, position_ids, past_key_values, inputs_embeds, n_loops, after)
        state = states[-1] if exit_threshold is None else self._exit(states, exit_threshold)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(state[:, kept])
        loss = None if labels is None else self.loss_function(logits, labels, self.config.vocab_size)
        cache = past_key_values if use_cache else None
        return LoopedOutput(loss=loss, logits=logits, past_key_values=cache, loop_states=states)

    def _exit(self, states: tuple[Tensor, ...], threshold: float) -> Tensor:
        """Take each token's state from the first loop at which the exit probability adds up to `threshold`."""
        chosen = states[-1]
        stay = [torch.sigmoid(-self.model.early_exit_gate(h)) for h in states[:-1]]
        for loop in reversed(range(len(stay))):
            reached = 1 - torch.stack(stay[: loop + 1]).prod(0) >= threshold
            chosen = torch.where(reached, states[loop], chosen)
        return chosen

    def _prepare_cache_for_generation(  # type: ignore[override]  # it says bool and gives None
        self, generation_config: GenerationConfig, model_kwargs: dict[str, Any], *_: Any, **__: Any
    ) -> None:
        """Give `generate` a cache that grows: its own has one slot a layer, but every (loop, layer) needs one."""
        if generation_config.use_cache is not False and model_kwargs.get("past_key_values") is None:
            model_kwargs["past_key_values"] = DynamicCache()


def _positions(h: Tensor, attention_mask: Tensor | None, seen: int) -> Tensor:
    """Count the positions of each row from its first real token, so that padding on the left moves nothing."""
    if attention_mask is None:
        return torch.arange(seen, seen + h.shape[1], device=h.device)[None]
    expected = (h.shape[0], seen + h.shape[1])
    if tuple(attention_mask.shape) != expected:
        raise ValueError(f"attention_mask {tuple(attention_mask.shape)}: must cover cached and new tokens, {expected}")
    return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -h.shape[1] :]


def _angles(config: OuroConfig, position_ids: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Give cosines and sines of the rotary angles, each `(batch, 1, position, head_dim)`."""
    assert config.rope_parameters is not None
    assert config.head_dim is not None
    exact = at_least_float32(dtype)
    steps = torch.arange(0, config.head_dim, 2, device=position_ids.device, dtype=exact)
    frequencies = config.rope_parameters["rope_theta"] ** (-steps / config.head_dim)
    angles = (position_ids[..., None].to(exact) * frequencies).repeat(1, 1, 2)[:, None]
    return angles.cos().to(dtype), angles.sin().to(dtype)
