"""Which fields of a config.json are known: one that no family reads may change the computation, so it is refused.

Goes in: the file's fields and the config made from them. Comes out: nothing, or one line that names the fields. A
field is known if the config class has it or takes it, if the family lists it as `passed_over` or `only`, or if it is
one of those that change nothing in any model. Any other field must be at a neutral value: absent, null, false, 0 or
empty.
"""

import re
from collections.abc import Iterator, Mapping
from reprlib import repr as short
from typing import Any

from introspect.errors import InputError
from introspect.models.looped_model import LoopedModel

_WITHOUT_EFFECT = frozenset(
    (
        *("architectures", "auto_map", "model_type", "transformers_version", "dtype", "torch_dtype", "torchscript"),
        *("use_cache", "cache_implementation", "attn_implementation", "gradient_checkpointing", "use_bfloat16"),
        *("tokenizer_class", "task_specific_params", "finetuning_task", "problem_type", "num_labels", "prefix"),
        *("initializer_range", "transformers.js_config", "is_llama_config", "model_max_length", "n_ctx", "n_special"),
        *("predict_special_tokens", "unsloth_fixed", "unsloth_version", "pretraining_tp", "tf_legacy_loss"),
        *("output_hidden_states", "return_dict", "license", "model_name", "dropout"),
        # by which transformers asks for what some families call otherwise; the shapes of the weights tell them
        *("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
        *("intermediate_size", "head_dim"),
    )
)
"""Fields of training, saving and generating: nothing that a forward pass computes depends on them."""
KINDS_WITHOUT_EFFECT = re.compile(r"_.*|.*(_token|_token_ids?|_dropout|_pdrop|_dropout_prob)$")
"""Private notes of libraries, special tokens, and dropout, which is off."""
ROPE = ("rope_theta", "rope_scaling", "rope_parameters")
"""Read by transformers into `rope_parameters`, and by nobody where a config has no such field."""


def check_fields(settings: Mapping[str, Any], config: Any, family: type[LoopedModel], name: str) -> None:
    """Raise InputError for fields that are not known and for values that the family does not compute with.

    Args:
        settings: config.json as it was read.
        config: what the family's config class made of it; fields that it did not take lie on it as plain attributes.
        family: the adapter, whose `passed_over` and `only` are read.
        name: what the user calls the model.
    """
    for field, known in family.only.items():
        if not all(value in (None, *known) for value in _each(settings.get(field))):
            listed = ", ".join(repr(value) for value in known)
            raise InputError(f"model {name!r}: {field} {short(settings[field])}: only {listed} is known")
    strangers = [field for field in _unread(settings, config, family) if settings[field]]
    if strangers:
        named = ", ".join(f"{field} {short(settings[field])}" for field in sorted(strangers))
        raise InputError(
            f"model {name!r}: its config.json has fields that are not known here ({named}): what they change would be "
            f"left out, so they may only be absent, null, false, 0 or empty"
        )


def _unread(settings: Mapping[str, Any], config: Any, family: type[LoopedModel]) -> Iterator[str]:
    """List the fields that neither the config class nor anything else here reads."""
    fields = {*type(config).__dataclass_fields__, *config.attribute_map, *family.passed_over, *family.only}
    rope = getattr(config, "rope_parameters", None) or {}
    for field in settings:
        if field == "rope_theta" and settings[field] == rope.get("rope_theta"):
            continue  # transformers 4 wrote it for GPT-NeoX too, beside the field that is read
        left = field in vars(config) or (field in ROPE and "rope_parameters" not in fields)
        known = field in fields or field in _WITHOUT_EFFECT or KINDS_WITHOUT_EFFECT.fullmatch(field)
        if left and not known:
            yield field


def _each(value: Any) -> list[Any]:  # Any: a value of JSON
    return value if isinstance(value, list) else [value]
