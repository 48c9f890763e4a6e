"""The configuration of CoTFormers and block universal transformers, under the names of the published code's options."""

from typing import Any

from transformers import PreTrainedConfig

from introspect.errors import InputError, unknown

_ARCHITECTURES = ("cotformer", "but", "but_full_depth")
"""What a repeat attends to: all repeats so far, or its own alone, for which there are two names."""
DEPTH_EMBEDDINGS = (None, "learned", "linear_learned")


class CotformerConfig(PreTrainedConfig):
    """Describe a transformer whose middle blocks are repeated (arXiv 2310.10845); no checkpoint has such a file."""

    model_type = "cotformer"

    architecture: str = "cotformer"
    vocab_size: int = 50304
    n_layer: int = 24
    """Blocks in all: those before the loop, in it and behind it."""
    n_layer_begin: int = 0
    n_layer_end: int = 0
    n_head: int = 12
    n_embd: int = 768
    n_repeat: int = 2
    depth_embedding: str | None = None
    """What is added before each repeat, by the repeats that are left: nothing, a learned vector each, or one vector
    as many times."""
    disable_ln_mid: bool = False
    """Whether there is no norm behind each repeat; a block universal transformer has none."""
    bias: bool = False
    rope_base: float = 10_000.0
    tie_word_embeddings: bool = True
    use_cache: bool = True
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        self.hidden_size, self.num_attention_heads = self.n_embd, self.n_head  # by which transformers asks for them
        self.num_key_value_heads, self.num_hidden_layers = self.n_head, self.n_layer
        for name in ("hidden_size", "num_attention_heads", "num_key_value_heads", "num_hidden_layers"):
            kwargs.pop(name, None)
        self._check(kwargs)
        self.disable_ln_mid = self.disable_ln_mid or self.architecture != "cotformer"
        super().__post_init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Return the size of a head."""
        return self.n_embd // self.n_head

    @property
    def n_layer_mid(self) -> int:
        """Return the blocks in the loop."""
        return self.n_layer - self.n_layer_begin - self.n_layer_end

    def check_loops(self, n_loops: int) -> None:
        """Raise InputError for repeats whose number has no learned embedding."""
        if self.depth_embedding == "learned" and n_loops > self.n_repeat:
            raise InputError(f"n_loops {n_loops}: the depth embedding has been learned for {self.n_repeat}")

    def _check(self, more: dict[str, Any]) -> None:
        if self.architecture not in _ARCHITECTURES:
            raise unknown("architecture", self.architecture, _ARCHITECTURES)
        if self.depth_embedding not in DEPTH_EMBEDDINGS:
            raise unknown("depth_embedding", str(self.depth_embedding), [str(each) for each in DEPTH_EMBEDDINGS])
        for name in ("mod_capacity_factor", "halt_threshold", "attention_window_length"):
            if more.get(name) is not None:
                raise InputError(f"{name} {more[name]}: routing, halting and windows are not known")
        if self.n_layer_mid < 1:
            raise InputError(f"n_layer {self.n_layer}: no block is left to repeat between begin and end")
        if self.n_repeat < 1:
            raise InputError(f"n_repeat {self.n_repeat}: a looped model runs at least one loop")
        if self.n_embd % self.n_head or self.head_dim % 2:
            raise InputError(f"n_embd {self.n_embd} with n_head {self.n_head}: heads must be equal and of even size")
