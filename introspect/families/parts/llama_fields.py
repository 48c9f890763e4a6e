"""What configurations in Llama's layout have in common: fields that follow from others, and those that contradict."""

from typing import Any

from introspect.errors import InputError


def fill_llama_fields(config: Any, given: dict[str, Any], *, theta: float) -> None:  # Any: a config of some family
    """Fill heads of keys and values, the size of a head and the rotary settings, where a config leaves them out.

    `given` are the fields that the class does not declare; the older names of the rotary settings are taken from there.
    """
    config.num_key_value_heads = config.num_key_value_heads or config.num_attention_heads
    config.head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
    base, scaling = given.pop("rope_theta", None), given.pop("rope_scaling", None)
    if config.rope_parameters is None:
        config.rope_parameters = {"rope_type": "default", "rope_theta": base or theta} | (scaling or {})


def check_llama_fields(config: Any, family: str) -> None:
    """Raise InputError for rotary angles other than the default ones, and for heads that cannot be grouped."""
    rope = config.rope_parameters or {}
    rope_type = rope.get("type", rope.get("rope_type", "default"))
    if rope_type != "default":
        raise InputError(f"rope type {rope_type!r}: {family} has 'default' only")
    if config.num_attention_heads % (config.num_key_value_heads or 1):
        raise InputError(
            f"num_attention_heads {config.num_attention_heads} is no multiple of "
            f"num_key_value_heads {config.num_key_value_heads}"
        )
