"""How a model in three stages is seen by the rest of the package: where they are, and read-outs through the coda."""

from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerFast

from introspect.families.parts.staged_lm import StagedCausalLM
from introspect.models.looped_model import LoopedModel


class StagedLooped(LoopedModel):
    """A model with a coda; the cache holds, behind the slots of the sites, what the coda saw in earlier read-outs."""

    def __init__(self, name: str, model: StagedCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self.n_loops, self.n_layers = self.counts(model.config)
        self.d_model = model.config.n_embd
        self.prelude, self.blocks, self.coda = (tuple(stage) for stage in model.stages)

    def lens(self, state: Tensor) -> Tensor:
        """Return the logits of what any block put out, by what stands behind the coda."""
        logits: Tensor = self.model.head(self.model.closed(state))
        return logits

    def readout(self, state: Tensor, **behind: Any) -> Tensor:
        """Return the logits `(batch, position, vocabulary)` of a loop's end, through coda, norm and head."""
        loop, n_loops = behind.pop("loop", 0), behind.pop("n_loops", 1)
        cached = behind.get("past_key_values") is not None
        output = self.model(inputs_embeds=state, lens=loop, n_loops=n_loops, use_cache=cached, **behind)
        logits: Tensor = output.logits
        return logits

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Return the slots of the cache, one a site and those for read-outs, its heads, and their size."""
        config = self.model.config
        slots = len(self.sites(n_loops)) + (n_loops - 1) * len(self.coda)
        return slots, config.num_key_value_heads, config.head_dim
