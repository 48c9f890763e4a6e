"""A Think-at-Hard folder as it is published: a base model whose config.json says qwen3, and three more beside it.

`tah_config.json` holds the settings of the loop, `lora/` the adapter of the later iterations, `iter_decider.bin` the
decider. Goes in: such a folder. Come out: the settings and tensors of a model of this package. Nothing is unpickled but
tensors and plain values.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from introspect.errors import InputError
from introspect.families.think_at_hard.config import PROJECTIONS

MARK, ADAPTER, DECIDER = "tah_config.json", "lora", "iter_decider.bin"
FILES = frozenset((MARK, ADAPTER, DECIDER))
_BASES = ("qwen3",)
ONLY: dict[str, tuple[object, ...]] = {
    "embedding_key": (None, "model.embed_tokens"),
    "iter_decider": ("MLPIterDecider",),
    "eval_iter_decider": (None, "iter_decider", "MLPIterDecider"),
    "adapter": (None, "lora"),
    "input_updater": (None, "TrivialUpdater"),
    "output_updater": (None, "AdditiveLogitsUpdater"),
    "iter_attention_mode": (None, "duo"),
}
"""Settings of tah_config.json that are known at these values alone."""
LORA_NEUTRAL = ("use_dora", "rank_pattern", "alpha_pattern", "layers_to_transform", "modules_to_save", "fan_in_fan_out")
"""Settings of an adapter that must be absent, null, false or empty."""


def is_folder(source: str) -> bool:
    """Say whether a model's folder is one of Think-at-Hard."""
    return (Path(source) / MARK).is_file()


def tah_settings(source: str, base: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the fields of a TahConfig, from the base model's and those beside it; InputError for what is not known."""
    settings, lora = _json(source, MARK, name), _json(source, f"{ADAPTER}/adapter_config.json", name)
    if base.get("model_type") not in _BASES:
        raise InputError(f"model {name!r}: Think-at-Hard on {base.get('model_type')!r}: only {_BASES[0]!r} is known")
    for field, known in ONLY.items():
        if settings.get(field) not in known:
            raise InputError(f"model {name!r}: {MARK}: {field} {settings.get(field)!r}: only {known[-1]!r} is known")
    update, decider = settings.get("input_updater_kwargs") or {}, settings.get("iter_decider_kwargs") or {}
    if update.get("use_hidden_states"):
        raise InputError(f"model {name!r}: {MARK}: use_hidden_states is true: only the mean embedding is known")
    for field in LORA_NEUTRAL:
        if lora.get(field):
            raise InputError(f"model {name!r}: its adapter sets {field} {lora[field]!r}, which is not known here")
    if lora.get("bias", "none") != "none":
        raise InputError(f"model {name!r}: its adapter has bias {lora['bias']!r}: only 'none' is known")
    rank = lora["r"]
    return base | {
        "model_type": "think_at_hard",
        "max_iter": settings.get("max_iter"),
        "input_topk": update.get("topk", 100),
        "lora_rank": rank,
        "lora_alpha": lora["lora_alpha"] * (rank**0.5 if lora.get("use_rslora") else 1),
        "lora_targets": sorted(lora["target_modules"], key=_place),
        "decider_topk": decider.get("topk", 100),
        "decider_layers": decider.get("hidden_states_layer_nums", [16, 20, 24, 28]),
        "decider_dims": decider.get("hidden_dims", [256, 512, 256]),
        "decider_expansion": decider.get("expansion_factor", 4),
        "decider_normalizes": decider.get("normalize_input", False),
    }


def tensors_of(source: str, name: str) -> dict[str, Tensor]:
    """Return all weights under the names of TahForCausalLM, on the CPU; InputError for files that cannot be read."""
    folder = Path(source)
    shards = sorted(folder.glob("model*.safetensors"))
    if not shards:
        raise InputError(f"model {name!r}: the folder holds no model.safetensors")
    base = {key: tensor for shard in shards for key, tensor in load_file(shard).items()}
    base.setdefault("lm_head.weight", base["model.embed_tokens.weight"])
    lora = {}
    for key, tensor in load_file(folder / ADAPTER / "adapter_model.safetensors").items():
        lora[key.removeprefix("base_model.model.").removesuffix(".weight").replace(".default", "")] = tensor
    decider, given = _decider(folder / DECIDER, name), _json(source, MARK, name).get("iter_decider_kwargs") or {}
    if "threshold" in given:  # as the published loader: what the settings say goes before what was trained
        decider["threshold"] = torch.as_tensor(float(given["threshold"]))
    return base | lora | {f"iter_decider.{key}": tensor for key, tensor in decider.items()}


def unpacked_tah(
    model_class: Any, source: str, config: Any, dtype: torch.dtype, name: str
) -> tuple[Any, dict[str, Any]]:
    """Return the model with the folder's weights, and what the loading has to report, as transformers would.

    Any: the class and config of Think-at-Hard, which import this file.
    """
    model, found = model_class(config).to(dtype), tensors_of(source, name)
    wanted = model.state_dict()
    apart = [key for key in wanted.keys() & found.keys() if wanted[key].shape != found[key].shape]
    kept = {key: tensor.to(dtype) for key, tensor in found.items() if key in wanted and key not in apart}
    model.load_state_dict(kept, strict=False)
    model.tie_weights()
    missing, left = [*(wanted.keys() - found.keys())], [*(found.keys() - wanted.keys())]
    return model, {"missing_keys": missing, "unexpected_keys": left, "mismatched_keys": apart}


def _decider(file: Path, name: str) -> dict[str, Tensor]:
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of its own, of zip files and of unpickling
        raise InputError(f"model {name!r}: {file.name} cannot be read as tensors alone, or is not there") from error
    state: dict[str, Tensor] = saved["state_dict"]
    return state


def _place(projection: str) -> int:
    return PROJECTIONS.index(projection) if projection in PROJECTIONS else len(PROJECTIONS)


def _json(source: str, file: str, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((Path(source) / file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"model {name!r}: {file}, a part of Think-at-Hard, cannot be read") from error
    if not isinstance(found, dict):
        raise InputError(f"model {name!r}: {file} holds no object of fields")
    return found
