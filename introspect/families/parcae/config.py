"""The configuration of the Parcae layout, read from the published `config.json` files as they stand."""

import math
from typing import Any

from transformers import PreTrainedConfig

from introspect.errors import InputError

PUBLISHED_FIELDS = {
    **{"injection_type": "diagonal", "block_class_name": "TransformerPreNormBlock", "norm_class_name": "RMSNorm"},
    **{"mlp_class_name": "BaseMLP", "nonlin_name": "ReLU2", "init_strategy": "scaled-zero"},
    **{"mup_model_scaling_factor": 1, "bias": False, "qk_bias": False, "clip_qkv": None},
    **{"randomize_positions_from": None},
}
"""Settings that have one value in all published models; no other is known here."""
_STATE_INITS = ("like-init", "zero")
ROPE_BASE = 50_000.0
"""Of the rotary angles; the published loader never reads `rope_settings`, whatever they say."""


class ParcaeConfig(PreTrainedConfig):
    """Describe a looped transformer with a stable linear re-feed of its input (arXiv 2604.12946).

    The published files have no `model_type`, but a `_class_name`.
    """

    model_type = "parcae"

    n_embd: int = 1024
    num_attention_heads: int = 8
    num_key_value_heads: int | None = None
    intermediate_size: int = 4096
    recurrent_intermediation_embedding_dimension: int | None = None
    """Width of the core's feed-forward parts; None: as outside of it."""
    vocab_size: int = 32768
    padded_vocab_size: int | None = None
    n_layers_in_prelude: int = 4
    n_layers_in_recurrent_block: int = 4
    n_layers_in_coda: int = 4
    mean_recurrence: int = 8
    mean_backprop_depth: int = 4
    """Loops that were trained through; with the layers of the core it says which blocks have a value gate."""
    block_size: int = 2048
    norm_eps: float = 1e-5
    prelude_norm: bool = True
    qk_norm: bool = True
    logit_softcap: float | None = None
    state_init: str = "like-init"
    state_seed: int = 0
    """Key of the noise in which the recurrent state begins; ours, the published code draws anew in every forward."""
    tie_word_embeddings: bool = True
    use_cache: bool = True
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        self.tie_word_embeddings = kwargs.pop("tie_embeddings", self.tie_word_embeddings)
        self.num_key_value_heads = self.num_key_value_heads or self.num_attention_heads
        self.padded_vocab_size = self.padded_vocab_size or self.vocab_size
        self.recurrent_intermediation_embedding_dimension = (
            self.recurrent_intermediation_embedding_dimension or self.intermediate_size
        )
        self.hidden_size = self.n_embd  # by which transformers asks for it
        self.num_hidden_layers = self.n_layers_in_prelude + self.n_layers_in_recurrent_block + self.n_layers_in_coda
        for name in ("hidden_size", "num_hidden_layers"):
            kwargs.pop(name, None)
        self._check(kwargs)
        super().__post_init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Return the size of a head."""
        return self.n_embd // self.num_attention_heads

    @property
    def state_deviation(self) -> float:
        """Return the size of the noise in which the state begins, that of an embedding at its initialization."""
        return math.sqrt(2 / (5 * self.n_embd))

    def _check(self, others: dict[str, Any]) -> None:
        for name in ("n_layers_in_prelude", "n_layers_in_recurrent_block", "n_layers_in_coda", "mean_recurrence"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: a Parcae model has at least one")
        heads = self.num_attention_heads
        if self.n_embd % (2 * heads):
            raise InputError(f"n_embd {self.n_embd} does not give {heads} num_attention_heads of an even size")
        if self.num_key_value_heads != heads:
            raise InputError(f"num_key_value_heads {self.num_key_value_heads}: the core has as many as heads, {heads}")
        for name, same in (("recurrent_embedding_dimension", self.n_embd), ("recurrent_num_attention_heads", heads)):
            if others.get(name) not in (None, same):
                raise InputError(f"{name} {others[name]}: only a core as wide as the rest is known, {same}")
        for name, known in PUBLISHED_FIELDS.items():
            if others.get(name, known) != known:
                raise InputError(f"{name} {others[name]!r}: only {known!r} is known")
        if self.state_init not in _STATE_INITS:
            raise InputError(f"state_init {self.state_init!r}: known are {', '.join(_STATE_INITS)}")
