"""The configuration of PonderLM on GPT-NeoX, read from the published `config.json` files as they stand."""

from typing import Any

from transformers.models.gpt_neox import GPTNeoXConfig

from introspect.errors import InputError


class PonderConfig(GPTNeoXConfig):
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
        if self.rope.get("rope_type", "default") != "default":
            raise InputError(f"rope type {self.rope['rope_type']!r}: PonderLM has 'default' only")
        if self.pondering_steps < 0:
            raise InputError(f"pondering_steps {self.pondering_steps}: must be 0 or more")
        if self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"hidden_size {self.hidden_size} is no multiple of num_attention_heads {self.num_attention_heads}"
            )
        if self.rotary_size % 2:
            raise InputError(f"partial_rotary_factor: {self.rotary_size} of a head's numbers turn, which is odd")

    @property
    def head_dim(self) -> int:
        """Give the size of a head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def rotary_size(self) -> int:
        """Give how many numbers of each head the rotary angles turn."""
        return int(self.head_dim * self.rope["partial_rotary_factor"])

    @property
    def rope(self) -> dict[str, Any]:
        """Give the settings of the rotary angles."""
        assert self.rope_parameters is not None, "GPT-NeoX fills them in"
        return dict(self.rope_parameters)
