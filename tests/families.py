"""A small model of every family, for the tests that all of them must pass."""

from collections.abc import Callable
from dataclasses import dataclass, field

from introspect.models.looped_model import LoopedModel
from tests.tiny import tiny_model
from tests.tiny_cotformer import tiny_cotformer
from tests.tiny_feedforward import tiny_feedforward
from tests.tiny_hrm_text import tiny_hrm_text
from tests.tiny_loopformer import tiny_loopformer
from tests.tiny_loopus import tiny_loopus
from tests.tiny_nanbeige import tiny_nanbeige
from tests.tiny_nanochat import tiny_nanochat
from tests.tiny_parcae import tiny_parcae
from tests.tiny_ponder import tiny_ponder
from tests.tiny_ponderlm2 import tiny_ponderlm2
from tests.tiny_raven import tiny_raven
from tests.tiny_recursive import tiny_recursive
from tests.tiny_retrofit import tiny_retrofit
from tests.tiny_tah import tiny_tah
from tests.tiny_training_free import tiny_training_free


@dataclass(frozen=True)
class Family:
    """How a family is tested."""

    make: Callable[..., LoopedModel]
    """Takes `dtype`; gives 3 loops unless the family cannot."""
    loops: tuple[int, ...] = (1, 2, 3, 3, 4)
    """Numbers of loops that it can run."""
    looped: dict[str, str] = field(default_factory=dict)
    """How its layers are looped, in the words of `load_model`; its loops as trained are one then."""
    routed: bool = False
    """Whether loops run some tokens only, so that an addition to others may be lost."""


FAMILIES = {
    "ouro": Family(lambda dtype: tiny_model(dtype=dtype)),
    "raven": Family(tiny_raven),
    "recursive": Family(tiny_recursive),
    "recursive-middle": Family(lambda dtype: tiny_recursive(dtype=dtype, sharing="middle_sequence")),
    "relaxed": Family(lambda dtype: tiny_recursive(dtype=dtype, lora_rank=2), loops=(1, 2, 3, 3)),
    "mor-token": Family(lambda dtype: tiny_recursive(dtype=dtype, routing="token"), loops=(1, 2, 3, 3), routed=True),
    # with this seed the last token of a prompt, whose states give the vectors, is run in every loop
    "mor-expert": Family(
        lambda dtype: tiny_recursive(dtype=dtype, routing="expert", seed=1), loops=(1, 2, 3, 3), routed=True
    ),
    "hrm": Family(tiny_hrm_text, loops=(4, 8, 8, 12)),
    **{
        each: Family(lambda dtype, each=each: tiny_feedforward(each, dtype=dtype), loops=(1,))
        for each in ("llama", "gpt2", "gpt_neox", "qwen3", "gemma3_text")
    },
    **{
        f"{each}@{layers}-{step}": Family(
            lambda dtype, each=each, layers=layers, step=step: tiny_training_free(each, step, layers, dtype),
            looped={"loop_layers": layers, "loop_step": step},
        )
        for each, layers, step in (
            ("llama", "1-2", "damped"),
            ("gemma3_text", "1-2", "plain"),
            ("gpt2", "0-3", "damped"),
        )
    },
    "raven-zero": Family(lambda dtype: tiny_raven(dtype=dtype, state_init="zero", qk_bias=False)),
    "retrofit-llama": Family(tiny_retrofit),
    "retrofit-skip": Family(lambda dtype: tiny_retrofit(dtype=dtype, initial_state_mode="skip-adapter")),
    "retrofit-olmo": Family(lambda dtype: tiny_retrofit(dtype=dtype, norm_eps=1e-6)),
    "parcae": Family(tiny_parcae),
    "ponder": Family(tiny_ponder),
    "ponder-scaled": Family(lambda dtype: tiny_ponder(dtype=dtype, scale_embeds=True, use_parallel_residual=False)),
    "loopus": Family(tiny_loopus),
    "loopus-phi": Family(lambda dtype: tiny_loopus(dtype=dtype, base="phi3")),
    "ponderlm2": Family(tiny_ponderlm2),
    "ponderlm2-mixed": Family(
        lambda dtype: tiny_ponderlm2(dtype=dtype, interpolation=True, interpolation_use_topk=True, interpolation_topk=9)
    ),
    "loopformer": Family(tiny_loopformer),
    "cotformer": Family(lambda dtype: tiny_cotformer(dtype=dtype, depth_embedding="linear_learned")),
    "cotformer-learned": Family(
        lambda dtype: tiny_cotformer(dtype=dtype, depth_embedding="learned", bias=True), loops=(1, 2, 3, 3)
    ),
    "but": Family(lambda dtype: tiny_cotformer(dtype=dtype, architecture="but", disable_ln_mid=True, n_layer_end=0)),
    "tah": Family(tiny_tah, routed=True),
    "nanbeige": Family(tiny_nanbeige),
    "nanochat": Family(tiny_nanochat),
    "nanochat-random": Family(lambda dtype: tiny_nanochat(dtype=dtype, input_injection="inject_init_random")),
}

VARIANTS = {
    *("recursive-middle", "relaxed", "mor-expert", "raven-zero", "retrofit-skip", "retrofit-olmo", "ponder-scaled"),
    *("loopus-phi", "ponderlm2-mixed", "cotformer-learned", "but", "nanochat-random"),
    *("gpt_neox", "qwen3", "gemma3_text", "gemma3_text@1-2-plain", "gpt2@0-3-damped"),
}
"""Second variants, which take as long as the first: `make slow` runs them."""
