"""The configuration of the Huginn (Raven) layout, read from the published `config.json` files as they stand."""

import math
from typing import Any

from transformers import PreTrainedConfig

from introspect.errors import InputError

_STATE_INITS = ("like-init", "zero")
"""How the recurrent state begins: noise as large as the embedding, or nothing."""


class RavenConfig(PreTrainedConfig):
    """Describe a recurrent-depth transformer: prelude, a core that is run again and again, coda (arXiv 2502.05171)."""

    model_type = "huginn_raven"

    n_embd: int = 5280
    n_heads: int | None = None
    """The config of the repository calls it `num_attention_heads`; 55 where neither is there."""
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    intermediate_size: int = 17920
    vocab_size: int = 65536
    n_layers_in_prelude: int = 2
    n_layers_in_recurrent_block: int = 4
    n_layers_in_coda: int = 2
    mean_recurrence: int = 32
    block_size: int = 4096
    rope_base: float = 50_000.0
    norm_eps: float = 1e-6
    bias: bool = False
    qk_bias: bool = True
    injection_type: str = "linear"
    state_init: str = "like-init"
    state_seed: int = 0
    """Key of the noise in which the recurrent state begins; ours, the published code draws anew in every forward."""
    init_values: dict[str, float] | None = None
    tie_word_embeddings: bool = True
    use_cache: bool = True
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        self.tie_word_embeddings = kwargs.pop("tie_embeddings", self.tie_word_embeddings)
        self.n_heads = self._heads(kwargs.pop("num_attention_heads", None))
        self.num_key_value_heads = self.num_key_value_heads or self.n_heads
        self.head_dim = self.head_dim or self.n_embd // self.n_heads
        deviation = math.sqrt(2 / (5 * self.n_embd))
        self.init_values = {"std": deviation, "embed_scale": math.sqrt(self.n_embd)} | (self.init_values or {})
        self.hidden_size, self.num_attention_heads = self.n_embd, self.n_heads  # by which transformers asks for them
        self.num_hidden_layers = self.n_layers_in_prelude + self.n_layers_in_recurrent_block + self.n_layers_in_coda
        for name in ("hidden_size", "num_hidden_layers"):
            kwargs.pop(name, None)
        self._check()
        super().__post_init__(**kwargs)

    @property
    def embed_scale(self) -> float:
        """Return the factor of the embedding."""
        assert self.init_values is not None
        return self.init_values["embed_scale"]

    def _heads(self, other: int | None) -> int:
        """Return the heads under either name; InputError where the two differ."""
        if self.n_heads and other and self.n_heads != other:
            raise InputError(f"n_heads {self.n_heads} and num_attention_heads {other}: two names of one number")
        return self.n_heads or other or 55

    def _check(self) -> None:
        assert self.n_heads is not None
        for name in ("n_layers_in_recurrent_block", "mean_recurrence"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: a looped model has at least one")
        if self.n_embd % self.n_heads:
            raise InputError(f"n_embd {self.n_embd} is no multiple of n_heads {self.n_heads}")
        if self.n_heads % (self.num_key_value_heads or 1):
            raise InputError(f"n_heads {self.n_heads} is no multiple of num_key_value_heads {self.num_key_value_heads}")
        if self.injection_type != "linear":
            raise InputError(f"injection_type {self.injection_type!r}: only 'linear' is known")
        if self.state_init not in _STATE_INITS:
            raise InputError(f"state_init {self.state_init!r}: known are {', '.join(_STATE_INITS)}")
