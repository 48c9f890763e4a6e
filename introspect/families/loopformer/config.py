"""The configuration of LoopFormer, under the field names of its published code."""

from typing import Any

from transformers import PreTrainedConfig

from introspect.errors import InputError


class LoopFormerConfig(PreTrainedConfig):
    """Describe a looped transformer whose loops are steps of a time from 0 to 1 (arXiv 2602.11451)."""

    model_type = "loopformer"

    block_size: int = 1024
    """Longest text, in tokens: so many positions are learned."""
    vocab_size: int = 50304
    n_layer: int = 3
    n_head: int = 32
    n_embd: int = 2048
    bias: bool = False
    intermediate_dim: int = 5120
    max_model_loops: int = 8
    """Loops of the longest way; no field of the published config, whose models were trained for 8."""
    frequency_embedding_size: int = 256
    tie_word_embeddings: bool = True
    use_cache: bool = True
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        self.hidden_size, self.num_attention_heads = self.n_embd, self.n_head  # by which transformers asks for them
        self.num_hidden_layers = self.n_layer
        for name in ("hidden_size", "num_attention_heads", "num_hidden_layers"):
            kwargs.pop(name, None)
        if self.max_model_loops < 1:
            raise InputError(f"max_model_loops {self.max_model_loops}: a looped model runs at least one loop")
        if self.n_embd % self.n_head:
            raise InputError(f"n_embd {self.n_embd} is no multiple of n_head {self.n_head}")
        if not self.tie_word_embeddings:
            raise InputError("tie_word_embeddings is false: LoopFormer's head is its embedding")
        super().__post_init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Return the size of a head."""
        return self.n_embd // self.n_head
