"""The configuration of PonderLM on GPT-NeoX, read from the published `config.json` files as they stand."""

from typing import Any

from introspect.errors import InputError
from introspect.families.parts.neox import NeoxConfig


class PonderConfig(NeoxConfig):
    """Describe a GPT-NeoX whose stack is run `pondering_steps + 1` times (arXiv 2505.20674).

    The published files have GPT-NeoX's `model_type`; what they have beside is `pondering_steps`.
    """

    pondering_steps: int = 3
    scale_embeds: bool = False
    """Whether the embedding is multiplied by the root of its width."""
    mutiply_pondering_steps: bool = False
    """Whether the stream begins with the embedding times the steps in use; spelled as in the published code."""
    ponderinglm: bool = True
    checkpoint_num_layers: int | None = None
    """Of training: layers whose activations are computed again."""

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        super().__post_init__(**kwargs)
        if self.pondering_steps < 0:
            raise InputError(f"pondering_steps {self.pondering_steps}: must be 0 or more")
