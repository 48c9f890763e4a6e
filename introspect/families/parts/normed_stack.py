"""NormedStackCausalLM: a stack of blocks that is run in loops, with the model's norm after every pass."""

from typing import Any

from torch import Tensor, nn

from introspect.families.parts.layers import Shared, rotary_angles
from introspect.families.parts.looped_lm import LoopedCausalLM
from introspect.records.site import Site


class NormedStackCausalLM(LoopedCausalLM):
    """A looped language model whose `model` has `embed_tokens`, `layers` and `norm`, in Llama's layout.

    Each pass begins with the normed state of the one before, and the head reads a normed state.
    """

    base_model_prefix = "model"
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 (read by transformers)
    model: Any  # the embedding, the stack and its norm, with what a family adds

    def __init__(self, config: Any, model: nn.Module) -> None:
        super().__init__(config)
        self.model = model
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of the tokens."""
        embedding: nn.Module = self.model.embed_tokens
        return embedding

    def angles(self, positions: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosines and sines of the rotary angles."""
        return rotary_angles(positions, self.config.head_dim, self.config.rope_parameters["rope_theta"], h.dtype)

    def passes(self, h: Tensor, shared: Shared, n_loops: int, after: Site | None) -> list[Tensor]:
        """Return the normed states `(batch, position, d_model)` after each pass that ends behind `after`."""
        layers = self.model.layers
        states: list[Tensor] = []  # as `list[Tensor]()` it could not be compiled
        first_loop, first_layer = (0, 0) if after is None else (after.loop, after.layer + 1)
        for loop in range(first_loop, n_loops):
            for layer in range(first_layer if loop == first_loop else 0, len(layers)):
                h = layers[layer](h, shared, loop * len(layers) + layer)
            h = self.model.norm(h)
            states.append(h)
        return states

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of a normed state."""
        logits: Tensor = self.lm_head(state)
        return logits
