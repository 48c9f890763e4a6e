"""The configuration of recursive transformers: Llama blocks tied over depth, per-depth LoRA, a router per token.

Goes in: the fields of a checkpoint. Comes out: a config whose fields do not contradict one another.
"""

from typing import Any

from transformers import PreTrainedConfig

from introspect.errors import InputError, unknown
from introspect.families.parts.llama_fields import check_llama_fields, fill_llama_fields

SHARING = ("cycle", "sequence", "middle_cycle", "middle_sequence")
ROUTING = ("none", "token", "expert")
KV_SHARING = ("recursion", "sharing", "hybrid")
_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class RecursiveConfig(PreTrainedConfig):
    """Describe a recursive transformer (arXiv 2410.20672) or a mixture of recursions (arXiv 2507.10524).

    `num_hidden_layers` counts the depth that is run, as in the model it was made from; `num_recursion` is how often
    each tied block stands in it, and with middle_* sharing the first and the last layer are not tied. `lora_rank` 0
    leaves the tied blocks alike at every depth. `routing` says who decides how often a token is run: each token
    itself (token), or each recursion (expert).
    """

    model_type = "recursive_llama"

    vocab_size: int = 49152
    hidden_size: int = 960
    intermediate_size: int = 2560
    num_hidden_layers: int = 32
    num_attention_heads: int = 15
    num_key_value_heads: int | None = 5
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-5
    use_cache: bool = True
    tie_word_embeddings: bool = True
    rope_parameters: dict[str, Any] | None = None
    attention_dropout: float = 0.0
    num_recursion: int = 3
    sharing: str = "middle_cycle"
    lora_rank: int = 0
    lora_alpha: float = 32.0
    lora_targets: list[str] | None = None
    routing: str = "none"
    router_alpha: float | None = None
    router_temp: float = 1.0
    gating: str = "weighted"
    route_first: bool = True
    kv_sharing: str | None = None
    """Of routed tokens: recursion, sharing, or with expert choice hybrid, its default; see RecursiveAttention."""
    bos_token_id: int | None = 1
    eos_token_id: int | None = 2
    pad_token_id: int | None = 0

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        fill_llama_fields(self, kwargs, theta=10_000.0)
        if self.lora_targets is None:
            self.lora_targets = list(_PROJECTIONS)
        if self.router_alpha is None:
            self.router_alpha = 0.1 if self.routing == "expert" else 1.0
        if self.kv_sharing is None:
            self.kv_sharing = "recursion" if self.routing == "token" else "hybrid"
        self._check_depth()
        self._check_routing()
        super().__post_init__(**kwargs)

    @property
    def marks_keys(self) -> bool:
        """Say whether keys tell which tokens were run."""
        return self.routing != "none" and self.kv_sharing == "recursion"

    @property
    def n_outside(self) -> int:
        """Return the layers before the tied ones, and so many stand behind them."""
        return int(self.sharing.startswith("middle"))

    @property
    def base_depth(self) -> int:
        """Return the number of tied blocks."""
        return (self.num_hidden_layers - 2 * self.n_outside) // self.num_recursion

    def check_loops(self, n_loops: int) -> None:
        """Raise InputError for loops that nothing was learned for."""
        what = "routers" if self.routing != "none" else "LoRA weights" if self.lora_rank else None
        if what is not None and n_loops > self.num_recursion:
            raise InputError(f"n_loops {n_loops}: loops beyond the {self.num_recursion} learned have no {what}")

    def _check_depth(self) -> None:
        if self.sharing not in SHARING:
            raise unknown("sharing", self.sharing, SHARING)
        tied = self.num_hidden_layers - 2 * self.n_outside
        if self.num_recursion < 1 or tied < 1 or tied % self.num_recursion:
            raise InputError(
                f"num_recursion {self.num_recursion}: the {tied} tied layers of sharing {self.sharing!r} are no "
                f"multiple of it"
            )
        check_llama_fields(self, "recursive_llama")
        if self.lora_rank < 0:
            raise InputError(f"lora_rank {self.lora_rank}: must be 0, for none, or more")
        for target in self.lora_targets or []:
            if target not in _PROJECTIONS:
                raise unknown("lora target", target, _PROJECTIONS)

    def _check_routing(self) -> None:
        for kind, name, known in (
            ("routing", self.routing, ROUTING),
            ("gating", self.gating, ("weighted", "none")),
            ("kv_sharing", self.kv_sharing, KV_SHARING),
        ):
            if name not in known:
                raise unknown(kind, name, known)
        if self.routing == "token" and self.kv_sharing == "hybrid":
            raise InputError("kv_sharing 'hybrid' with routing 'token': known with expert only; recursion or sharing")
        if self.routing != "none" and self.sharing.endswith("sequence"):
            raise InputError(
                f"routing {self.routing!r} with sharing {self.sharing!r}: tokens are routed in cycles only"
            )
