"""The configuration of the Ouro layout, read from the published `config.json` files as they stand.

Goes in: the fields of a checkpoint. Comes out: a config with the special-token ids mended (the published ones set
bos, eos and pad all to 0, so that a chat never ends) and with fields that contradict one another refused.
"""

from typing import Any

from transformers import PreTrainedConfig

from introspect.errors import InputError
from introspect.families.parts.llama_fields import check_llama_fields, fill_llama_fields


class OuroConfig(PreTrainedConfig):
    """Describe a looped transformer: `num_hidden_layers` blocks, run `total_ut_steps` times (arXiv 2510.25741)."""

    model_type = "ouro"

    vocab_size: int = 49152
    hidden_size: int = 2048
    intermediate_size: int = 5632
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 65536
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-6
    use_cache: bool = True
    tie_word_embeddings: bool = False
    rope_parameters: dict[str, Any] | None = None
    attention_dropout: float = 0.0
    total_ut_steps: int = 4
    early_exit_threshold: float | None = None
    bos_token_id: int | None = 1
    eos_token_id: int | None = 2
    pad_token_id: int | None = 0

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        fill_llama_fields(self, kwargs, theta=1_000_000.0)
        if self.eos_token_id == self.pad_token_id == self.bos_token_id == 0:
            self.bos_token_id, self.eos_token_id = 1, 2
        self._check(kwargs.get("use_sliding_window"))
        super().__post_init__(**kwargs)

    def _check(self, sliding_window: bool | None) -> None:
        check_llama_fields(self, "the Ouro layout")
        if sliding_window:
            raise InputError("use_sliding_window is true: the Ouro layout attends over everything before a token")
        if self.total_ut_steps < 1:
            raise InputError(f"total_ut_steps {self.total_ut_steps}: a looped model runs at least one loop")
