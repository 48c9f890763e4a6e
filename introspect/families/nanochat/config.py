"""The configuration of looped nanochat, with the fields under which its checkpoints are described."""

from typing import Any

from transformers import PreTrainedConfig

from introspect.errors import InputError

INJECTIONS = ("inject_init_prelude", "inject_init_random", "passthrough")
"""How a loop gets the prelude's output: mixed in, with that output or noise as first state; or as first state alone."""


class NanochatConfig(PreTrainedConfig):
    """Describe the looped fork of nanochat; its checkpoints have no config.json, so `model_type` is ours."""

    model_type = "looped_nanochat"

    n_embd: int = 1280
    n_head: int = 10
    n_kv_head: int = 10
    vocab_size: int = 65536
    sequence_len: int = 2048
    window_pattern: str = "L"
    """By block, from the first on, again and again: L sees `sequence_len` tokens back, S half; the last block is L."""
    n_prelude: int = 2
    n_recur_block: int = 4
    n_coda: int = 2
    train_recur_mean: float = 4.0
    input_injection: str = "inject_init_random"
    logit_softcap: float = 15.0
    state_seed: int = 0
    """Key of the noise in which the recurrent state begins; ours, the fork draws anew in every forward."""
    tie_word_embeddings: bool = False
    use_cache: bool = True
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        self.hidden_size, self.num_attention_heads = self.n_embd, self.n_head  # by which transformers asks for them
        self.num_key_value_heads = self.n_kv_head
        self.num_hidden_layers = self.n_prelude + self.n_recur_block + self.n_coda
        for name in ("hidden_size", "num_attention_heads", "num_key_value_heads", "num_hidden_layers"):
            kwargs.pop(name, None)
        self._check()
        super().__post_init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Return the size of a head."""
        return self.n_embd // self.n_head

    @property
    def rows(self) -> int:
        """Return the rows of the embedding, the vocabulary filled up to a multiple of 64."""
        return -(-self.vocab_size // 64) * 64

    @property
    def window(self) -> int:
        """Return how many tokens back every block sees."""
        short = "S" in (self.window_pattern * self.num_hidden_layers)[: self.num_hidden_layers - 1]
        return self.sequence_len // 2 if short else self.sequence_len

    def _check(self) -> None:
        for name in ("n_prelude", "n_recur_block", "n_coda", "train_recur_mean"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: looped nanochat has at least one")
        if self.n_embd % (2 * self.n_head):
            raise InputError(f"n_embd {self.n_embd} does not give {self.n_head} n_head of an even size")
        if self.n_head % self.n_kv_head:
            raise InputError(f"n_head {self.n_head} is no multiple of n_kv_head {self.n_kv_head}")
        if not self.window_pattern or set(self.window_pattern) - set("LS"):
            raise InputError(f"window_pattern {self.window_pattern!r}: is made of L and S")
        if self.input_injection not in INJECTIONS:
            raise InputError(f"input_injection {self.input_injection!r}: known are {', '.join(INJECTIONS)}")
