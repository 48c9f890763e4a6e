"""The configuration of PonderLM-2 on GPT-NeoX, read from the published `config.json` files as they stand."""

from typing import Any

from introspect.errors import InputError
from introspect.families.parts.neox import NeoxConfig


class PonderLm2Config(NeoxConfig):
    """Describe a GPT-NeoX whose stack runs `num_latent_thoughts + 1` times at every token (arXiv 2509.23184).

    The published files have GPT-NeoX's `model_type`; what they have beside is `num_latent_thoughts`.
    """

    num_latent_thoughts: int = 1
    interpolation: bool | None = None
    """Whether a thought is a mean of embeddings under what the head says; if not, it is the normed state itself."""
    interpolation_use_topk: bool = False
    """Whether that mean is over the most probable tokens only."""
    interpolation_topk: int = 100
    """How many these are."""
    scale_embeds: bool = False
    """Whether the embedding is multiplied by a root of its width."""

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        super().__post_init__(**kwargs)
        if self.num_latent_thoughts < 0:
            raise InputError(f"num_latent_thoughts {self.num_latent_thoughts}: must be 0 or more")
        if self.interpolation_topk < 1:
            raise InputError(f"interpolation_topk {self.interpolation_topk}: must be at least 1")

    @property
    def scale(self) -> float:
        """Return the factor of the embedding: the root of its width, or of 2.5 times that where states are fed back."""
        if not self.scale_embeds:
            return 1.0
        return float((self.hidden_size if self.interpolation else 2.5 * self.hidden_size) ** 0.5)
