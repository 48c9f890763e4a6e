"""The configuration of Nanbeige4.2, read from the published `config.json` files as they stand."""

from typing import Any

from transformers import PreTrainedConfig

from introspect.errors import InputError
from introspect.families.parts.llama_fields import check_llama_fields, fill_llama_fields


class NanbeigeConfig(PreTrainedConfig):
    """Describe a looped transformer: `num_hidden_layers` Llama blocks, run `num_loops` times."""

    model_type = "nanbeige"

    vocab_size: int = 166144
    hidden_size: int = 3072
    intermediate_size: int = 10752
    num_hidden_layers: int = 22
    num_attention_heads: int = 48
    num_key_value_heads: int | None = 8
    head_dim: int | None = 128
    hidden_act: str = "silu"
    max_position_embeddings: int = 262144
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-5
    attention_bias: bool = False
    mlp_bias: bool = False
    attention_dropout: float = 0.0
    use_cache: bool = True
    tie_word_embeddings: bool = False
    rope_parameters: dict[str, Any] | None = None
    num_loops: int = 2
    loop_loss_weights: list[float] | None = None
    """One weight of training a loop but the last; if there are any, they tell the loops."""
    bos_token_id: int | None = 166100
    eos_token_id: int | None = 166101
    pad_token_id: int | None = 0

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        fill_llama_fields(self, kwargs, theta=70_000_000.0)
        self._check()
        super().__post_init__(**kwargs)

    @property
    def trained_loops(self) -> int:
        """Return the loops as trained."""
        return len(self.loop_loss_weights) + 1 if self.loop_loss_weights else self.num_loops

    def _check(self) -> None:
        check_llama_fields(self, "Nanbeige")
        if self.trained_loops < 1:
            raise InputError(f"num_loops {self.num_loops}: a looped model runs at least one loop")
