"""LoopedCausalLM: the forward pass that all looped models written here have in common.

Goes in: token ids, a mask, a cache, the number of loops. Come out: logits, and on demand the state after every loop.
A family fills in its embedding, its loops and its head.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask
from transformers import DynamicCache, GenerationConfig, PreTrainedModel
from transformers.cache_utils import Cache
from transformers.generation.utils import GenerationMixin
from transformers.masking_utils import create_causal_mask
from transformers.utils.generic import ModelOutput

from introspect.errors import InputError
from introspect.families.parts.cache_loops import check_cache
from introspect.families.parts.layers import Shared, positions_of
from introspect.records.trial import Site


@dataclass
class LoopedOutput(ModelOutput):
    """What a forward pass gives."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    """`(batch, position, vocabulary)`."""
    past_key_values: Cache | None = None
    loop_states: tuple[Tensor, ...] | None = None
    """The state after each loop that was run, `(batch, position, d_model)`."""
    final_state: Tensor | None = None
    """What the head read, `(batch, position, d_model)`."""


class LoopedCausalLM(PreTrainedModel, GenerationMixin):
    """A looped language model; a family writes `trained_loops`, `embedded`, `angles`, `run` and `head`.

    The cache has one slot a site, numbered as the sites run.
    """

    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _keys_to_ignore_on_load_unexpected = [r"rotary_emb\.inv_freq"]  # noqa: RUF012 (computed here, never loaded)

    @property
    def trained_loops(self) -> int:
        """Return the loops as trained, from the config as it stands now."""
        raise NotImplementedError

    def embedded(self, input_ids: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (some add a learned embedding)
        """Return the residual stream before the first block, `(batch, position, d_model)`."""
        return self.get_input_embeddings()(input_ids)

    def check_length(self, columns: int) -> None:
        """Raise InputError for a text of more columns than can be run."""

    def angles(self, positions: Tensor, h: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the rotary angles in the number format of `h`; None where positions are learned."""
        raise NotImplementedError

    def run(
        self, h: Tensor, shared: Shared, n_loops: int, after: Site | None, **more: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the blocks; give what the head reads and the state after each loop, `(batch, position, d_model)` each.

        With `after`, `h` is what the block at that site put out, and only what follows is run.
        """
        raise NotImplementedError

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of what `run` gives first."""
        raise NotImplementedError

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
        after: Site | None = None,
        **more: Any,
    ) -> LoopedOutput:
        """Run `n_loops` loops (default: as trained) and read the last one out.

        `after` goes on behind the block at that site, whose output `inputs_embeds` then is. `more` is what a family
        takes beside, and what generate() passes to every model. Raises InputError for fewer loops than one, and for a
        cache that another number of loops filled.
        """
        n_loops = self.trained_loops if n_loops is None else n_loops
        if n_loops < 1:
            raise InputError(f"n_loops {n_loops}: a looped model runs at least one loop")
        if use_cache is None:
            use_cache = getattr(self.config, "use_cache", True) and not self.training
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache()  # made without a config it grows by one slot a site
        check_cache(past_key_values, n_loops)
        given = input_ids if inputs_embeds is None else inputs_embeds
        assert given is not None, "a forward needs input_ids or inputs_embeds"
        seen = 0 if past_key_values is None else past_key_values.get_seq_length()
        columns = seen + given.shape[1]
        if inputs_embeds is None:
            self.check_length(columns)
        if position_ids is None:
            position_ids = positions_of(given, attention_mask, seen)
        h = self.embedded(given, position_ids) if inputs_embeds is None else inputs_embeds
        mask = create_causal_mask(self.config, h, attention_mask, past_key_values)
        assert not isinstance(mask, BlockMask), "flex attention is not supported"
        shared = Shared(position_ids, self.angles(position_ids, h), mask, past_key_values, columns)
        final, states = self.run(h, shared, n_loops, after, **more)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.head(final[:, kept])
        loss = None if labels is None else self.loss_function(logits, labels, self.config.vocab_size)
        cache = past_key_values if use_cache else None
        return LoopedOutput(loss, logits, cache, loop_states=states, final_state=final)

    def _prepare_cache_for_generation(  # type: ignore[override]  # it says bool and gives None
        self, generation_config: GenerationConfig, model_kwargs: dict[str, Any], *_: Any, **__: Any
    ) -> None:
        """Return `generate` a cache that grows: its own has one slot a layer, but every site needs one."""
        if generation_config.use_cache is not False and model_kwargs.get("past_key_values") is None:
            model_kwargs["past_key_values"] = DynamicCache()
