"""The configuration of retrofitted recurrence, read from the published `config.json` files as they stand."""

from typing import Any

from introspect.errors import InputError, unknown
from introspect.families.huginn.config import RavenConfig

ROPE_TYPES = {
    "default": {"rope_theta"},
    "llama3": {"rope_theta", "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"},
}
"""Known ways to choose the rotary frequencies, and the settings that each needs."""
NOISE = (None, "random", "noise")
"""Names of a first loop that begins from noise; files of the published code say `random`, older ones nothing."""
STATE_MODES = (*NOISE, "skip-adapter", "embed-init")
"""How the first loop begins: from noise, with the prelude's output in place of what the adapter gives, or from the
prelude's output through the adapter."""
OLMO_EPS = 1e-6
"""What OLMo-2's conversion takes over as `norm_eps`; Llama's sets 1e-5."""


class RetrofitConfig(RavenConfig):
    """Describe a pretrained transformer cut into prelude, looped core and coda (arXiv 2511.07384).

    The published files have Huginn's `model_type`; what they have beside is `max_position_embeddings`. Their
    `rope_base` is not read, as in the published code.
    """

    max_position_embeddings: int = 131072
    rope_parameters: dict[str, Any] | None = None
    qk_bias: bool = False
    norm_eps: float = 1e-5
    post_norm: bool | None = None
    """OLMo-2's blocks, with norms behind both parts and on queries and keys; None: told by `norm_eps`."""

    initial_state_mode: str | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        theta, scaling = kwargs.pop("rope_theta", None), kwargs.pop("rope_scaling", None)
        if self.rope_parameters is None:
            if theta is None:
                raise InputError("rope_theta is missing: the rotary frequencies of the pretrained model follow from it")
            self.rope_parameters = {"rope_type": "default", "rope_theta": theta} | (scaling or {})
        if self.post_norm is None:
            self.post_norm = self.norm_eps <= OLMO_EPS
        super().__post_init__(**kwargs)

    def _check(self) -> None:
        super()._check()
        rope = self.rope_parameters or {}
        rope_type = rope.get("rope_type", "default")
        if rope_type not in ROPE_TYPES:
            raise InputError(f"rope_type {rope_type!r}: known are {', '.join(ROPE_TYPES)}")
        missing = ROPE_TYPES[rope_type] - rope.keys()
        if missing:
            raise InputError(f"rope_parameters lack {', '.join(sorted(missing))}")
        if self.initial_state_mode not in STATE_MODES:
            raise unknown("initial_state_mode", self.initial_state_mode, [str(mode) for mode in STATE_MODES])
        if self.qk_bias:
            raise InputError("qk_bias true: retrofitted models have no bias on queries and keys")
