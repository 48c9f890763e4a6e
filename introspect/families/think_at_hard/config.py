"""The configuration of Think-at-Hard: Qwen3's fields, and those of its loops in one file.

The published checkpoint has them in several: the base model's config.json, `tah_config.json` and the adapter's.
"""

from typing import Any

from transformers import PreTrainedConfig

from introspect.errors import InputError

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class TahConfig(PreTrainedConfig):
    """Describe a Qwen3 whose hard tokens are run again, with an adapter on (arXiv 2511.08577)."""

    model_type = "think_at_hard"

    vocab_size: int = 151936
    hidden_size: int = 2048
    intermediate_size: int = 6144
    num_hidden_layers: int = 28
    num_attention_heads: int = 16
    num_key_value_heads: int = 8
    head_dim: int = 128
    hidden_act: str = "silu"
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1_000_000.0
    tie_word_embeddings: bool = True
    max_iter: int = 2
    """Iterations of a hard token, the first included."""
    input_topk: int | None = 100
    """Tokens in whose mean embedding the next iteration begins; None: all."""
    lora_rank: int = 32
    lora_alpha: float = 32.0
    lora_targets: list[str] | None = None
    """Projections with an adapter; None: all."""
    decider_topk: int = 100
    """Logits that the decider reads."""
    decider_layers: list[int] | None = None
    """Hidden states that it reads: 0 is the embedding, the last one is normed; None: the last."""
    decider_dims: list[int] | None = None
    decider_expansion: int = 4
    decider_normalizes: bool = False
    use_cache: bool = True
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        self.lora_targets = list(PROJECTIONS) if self.lora_targets is None else self.lora_targets
        self.decider_layers = [self.num_hidden_layers] if self.decider_layers is None else self.decider_layers
        self.decider_dims = [256, 512, 256] if self.decider_dims is None else self.decider_dims
        rope = kwargs.pop("rope_parameters", None) or kwargs.pop("rope_scaling", None) or {}
        self.rope_theta = rope.get("rope_theta", self.rope_theta)
        if rope.get("rope_type", "default") != "default":
            raise InputError(f"rope type {rope['rope_type']!r}: Think-at-Hard has 'default' only")
        self._check(self.lora_targets, self.decider_layers)
        super().__post_init__(**kwargs)

    @property
    def n_decided(self) -> int:
        """Return how many logits the decider reads."""
        return min(self.decider_topk, self.vocab_size)

    def _check(self, targets: list[str], read: list[int]) -> None:
        if self.max_iter < 1:
            raise InputError(f"max_iter {self.max_iter}: a looped model runs at least one loop")
        if self.num_attention_heads % self.num_key_value_heads:
            raise InputError(
                f"num_attention_heads {self.num_attention_heads} is no multiple of "
                f"num_key_value_heads {self.num_key_value_heads}"
            )
        for target in targets:
            if target not in PROJECTIONS:
                raise InputError(f"lora_targets: {target!r} is no projection; known: {', '.join(PROJECTIONS)}")
        for layer in read:
            if not 0 <= layer <= self.num_hidden_layers:
                raise InputError(f"decider_layers: {layer}; hidden states are 0 to {self.num_hidden_layers}")
        if self.lora_rank < 1 or not read:
            raise InputError(f"lora_rank {self.lora_rank}, decider_layers {read}: both must be there")
