"""A foreign checkpoint before anything of it is believed: its config.json, and what its files are.

Takes the fields of config.json and the folder, if it is one here. Raises InputError: what is checked holds whatever
the family, so that no family's own class meets a field of the wrong type or size.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers.activations import ACT2FN

from introspect.errors import InputError
from introspect.selection import shown

COUNT = re.compile(
    r"(n|num)_(hidden_layers|layers?|blocks?|embd|heads?|attention_heads|key_value_heads|kv_heads?)|n_layers_in_\w+"
    r"|(hidden|intermediate|vocab|padded_vocab|embedding|ffn|head)_(size|dim)|d_model|ffn_dim|block_size|max_position_\w+"
    r"|total_ut_steps|mean_recurrence|n_positions|n_inner|n_repeat|max_loops?"
)
"""Fields that count something, in the names of all families."""
LAYERS = re.compile(r"(n|num)_(hidden_layers|layers?|blocks?)|n_layers_in_\w+")
_LOOPS = ("total_ut_steps", "mean_recurrence", "n_repeat", "max_loops", "max_loop")
MOST_LAYERS, _MOST_LOOPS, _MOST = 2_000, 10_000, 2**24
"""Of layers, of loops, and of everything else that is counted; no published model has a tenth of it."""
POSITIVE = re.compile(r"\w*(norm|layer_norm|layernorm)_(eps|epsilon)|rope_theta|rope_base")
_DTYPES = re.compile(r"(torch\.)?(float(16|32|64)|bfloat16|auto)")
_RUNS = {
    "bitsandbytes": "bitsandbytes (transformers on a GPU)",
    "gptq": "gptqmodel, vLLM",
    "awq": "autoawq, vLLM",
    "compressed-tensors": "vLLM",
    "fp8": "vLLM, transformers on a GPU",
}
"""What would run weights that are quantised so."""
POINTER = b"version https://git-lfs"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def check_settings(settings: object, name: str) -> dict[str, Any]:  # Any: JSON
    """Return the fields of config.json. Raises InputError for fields whose types or sizes no model has."""
    if not isinstance(settings, dict) or not settings:
        raise InputError(f"model {name!r}: its config.json holds no fields, it should be a JSON object")
    _check_quantisation(settings, name)
    kind = settings.get("model_type")
    if kind is not None and not isinstance(kind, str):
        raise _wrong(name, "model_type", kind, "a name")
    for field, value in settings.items():
        if value is not None and (needed := _needed(field, value)):
            raise _wrong(name, field, value, needed)
    return settings


def check_pointers(source: str, name: str) -> None:
    """Raise InputError for a folder whose files are pointers of git-lfs, which is what a clone without it leaves."""
    folder = Path(source)
    if not folder.is_dir():
        return
    for path in _files(folder):
        with path.open("rb") as file:
            if file.read(len(POINTER)) == POINTER:
                raise InputError(f"model {name!r}: {path.name} is a pointer of git-lfs and not the file; git lfs pull")


def _files(folder: Path) -> Iterator[Path]:
    for pattern in ("config.json", "tokenizer.json", "*.safetensors", *PICKLES):
        yield from sorted(folder.glob(pattern))


def _check_quantisation(settings: Mapping[str, Any], name: str) -> None:
    config = settings.get("quantization_config")
    if config is None:
        return
    method = str(config.get("quant_method", "unknown")) if isinstance(config, dict) else "unknown"
    runs = _RUNS.get(method, "the software that made them")
    raise InputError(
        f"model {name!r}: its weights are quantised (quant_method {method}), which {runs} would run; here "
        "models are run as published before that, or as a GGUF file"
    )


def _needed(field: str, value: Any) -> str:  # Any: JSON
    """Say what a field must be instead; nothing where it is as it must be."""
    if COUNT.fullmatch(field):
        most = MOST_LAYERS if LAYERS.fullmatch(field) else _MOST_LOOPS if field in _LOOPS else _MOST
        least = 0 if field.startswith("n_layers_in_") else 1
        fits = type(value) is int and least <= value <= most
        return "" if fits else f"a whole number from {least} to {most}"
    if POSITIVE.fullmatch(field):
        fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12
        return "" if fits else "a number above 0"
    if field in ("hidden_act", "activation_function"):
        return (
            "" if isinstance(value, str) and value in ACT2FN else "an activation that transformers knows, such as silu"
        )
    if field in ("dtype", "torch_dtype"):
        return "" if isinstance(value, str) and _DTYPES.fullmatch(value) else "float32, bfloat16, float16 or float64"
    return ""


def _wrong(name: str, field: str, value: object, needed: str) -> InputError:
    return InputError(f"model {name!r}: its config.json has {field} {shown(repr(value))}, which must be {needed}")
