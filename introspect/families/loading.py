"""load_model: from a hub id, a folder, a GGUF file or `organism:NAME` to a LoopedModel that is known to be complete.

What cannot be used is refused in one line, as early as it can be seen: the family before the weights are read, then
tensors that are missing, left over, of another shape or not finite, which would otherwise be made up in silence.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedTokenizerFast

from introspect.errors import InputError
from introspect.families.config_fields import check_fields
from introspect.families.extra_files import check_files
from introspect.families.feedforward.foreign import OwnCodeLooped, foreign
from introspect.families.foreign_config import check_pointers, check_settings
from introspect.families.gguf import checkpoint
from introspect.families.placement import device_named, dtype_named
from introspect.families.quiet import quiet
from introspect.families.registry import family_of
from introspect.families.think_at_hard import checkpoint as published
from introspect.families.tokenizer import read_tokenizer
from introspect.families.training_free.model import looping
from introspect.families.weight_checks import align, check_size, check_tensors
from introspect.models.looped_layers import LOOP_STEPS
from introspect.models.looped_model import LoopedModel
from introspect.models.named import is_gguf, place_of
from introspect.records.site import Stage

_POSITIONS = ("max_position_embeddings", "n_positions", "block_size", "sequence_len")
"""What families call the length of the longest text."""
UNFORESEEN = (ValueError, TypeError, KeyError, AttributeError, RuntimeError, ArithmeticError, RecursionError)
"""What libraries raise at a checkpoint that is not as they expect."""


@dataclass(frozen=True)
class Outline:
    """What is known of a model before its weights are loaded."""

    n_loops: int
    """Loops as trained."""
    layers: dict[Stage, int]
    """Layers in each stage."""
    tokenizer: PreTrainedTokenizerFast
    check_loops: Callable[[int], None]
    """Raises InputError for a number of loops that cannot be run."""
    positions: int | None = None
    """Longest text in tokens, as the config says; None where it says nothing."""
    by_token: bool = False
    """Whether a token runs all its loops before the next one begins."""


def load_model(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
    loop_layers: str | None = None,
    loop_step: str = LOOP_STEPS[0],
    tokenizer: str | None = None,
) -> LoopedModel:
    """Load a looped model.

    Args:
        name: a hub id (`ByteDance/Ouro-1.4B`), a folder, a GGUF file, or `organism:aware`.
        device: `auto` is cuda, else mps, else cpu.
        dtype: `auto` is bfloat16 on a GPU and float32 on a CPU.
        revision: branch, tag or commit of a hub id.
        trust_remote_code: run the code that a checkpoint brings along, if its type is unknown here, with all the
            rights of the user; the model is then one without loops. Code of known families is never run.
        loop_layers: of a model without loops, the layers that are run several times, such as `10-19`; the loops as
            trained are then one, the model as it was.
        loop_step: `damped`, in each of K loops a layer adds 1/K of its update, or `plain`.
        tokenizer: hub id, folder, GGUF file or `organism:NAME` that holds the tokenizer, where that is not the model's
            own. Chats are written as it says, and it is part of the weights hash.

    Raises InputError for what cannot be used, a tokenizer with ids that the embedding has no row for included.
    """
    where, version = device_named(device), revision or "main"
    number_format = dtype_named(dtype, where)
    source = place_of(name, revision)
    with quiet():
        settings = _settings(name, source, version)
        family = looping(_family(name, settings, source, version, trust_remote_code), loop_layers, loop_step, name)
        config = _config(
            family, settings, name, source, version
        )  # refuses what cannot be computed before anything large is read
        words = read_tokenizer(name, source, version, tokenizer, config)
        model = _weights(family, name, source, version, config, number_format)
    _correct_ids(model, words)
    check_tensors(model, family.computed_buffers(model), name)
    model = model.to(where).eval()
    align(model)
    looped = family(name, model, words)
    if is_gguf(source):
        looped.file_hash = checkpoint.file_hash(source)
    return looped


def peek(
    name: str,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    loop_layers: str | None = None,
    loop_step: str = LOOP_STEPS[0],
    tokenizer: str | None = None,
) -> Outline:
    """Read what can be known of a model without its weights, so that bad input is refused before they are loaded.

    The arguments are those of `load_model`.
    """
    source, version = place_of(name, revision), revision or "main"
    with quiet():
        settings = _settings(name, source, version)
        family = looping(_family(name, settings, source, version, trust_remote_code), loop_layers, loop_step, name)
        config = _config(family, settings, name, source, version)
        (n_loops, n_layers), (before, behind) = family.counts(config), family.outside(config)
        layers: dict[Stage, int] = {"prelude": before, "core": n_layers, "coda": behind}
        words = read_tokenizer(name, source, version, tokenizer, config)
        check = partial(family.check_loops, config)
        return Outline(n_loops, layers, words, check, positions=_positions(config), by_token=family.by_token)


def _settings(name: str, source: str, revision: str) -> dict[str, Any]:
    """Read config.json, from the hub where need be, or what stands for it in a GGUF file."""
    if is_gguf(source):
        return checkpoint.gguf_settings(source)
    check_pointers(source, name)
    try:
        found: dict[str, Any] = PreTrainedConfig.get_config_dict(source, revision=revision)[0]
        return check_settings(
            published.tah_settings(source, found, name) if published.is_folder(source) else found, name
        )
    except InputError:
        raise
    except UNFORESEEN as error:
        raise InputError(f"model {name!r}: its config.json cannot be read ({_first_line(error)})") from error
    except OSError as error:
        if source != name or Path(source).is_dir():
            raise InputError(f"model {name!r}: {_first_line(error)}") from error
        raise InputError(
            f"model {name!r} is no folder here and could not be fetched from the hub: {_first_line(error)}"
        ) from error


def _family(name: str, settings: dict[str, Any], source: str, revision: str, trusting: bool) -> type[LoopedModel]:
    """Find the adapter; a checkpoint's own code gets one for itself."""
    family = family_of(settings, name=name, trust_remote_code=trusting)
    return family.of(settings, name, source, revision) if issubclass(family, OwnCodeLooped) else family


def _config(family: type[LoopedModel], settings: dict[str, Any], name: str, source: str, revision: str) -> Any:
    """Make the config; InputError for a field that is missing and for what the family cannot compute."""
    missing = [
        field for field in family.required if not any(settings.get(each) is not None for each in field.split("|"))
    ]
    if missing:
        listed = ", ".join(field.replace("|", " or ") for field in missing)
        raise InputError(f"model {name!r}: its config.json lacks {listed}, which no weight shows")
    try:
        config = family.config_of(settings)
    except InputError:
        raise
    except Exception as error:  # the classes of 30 families say in their own ways that fields contradict one another
        raise InputError(f"model {name!r}: its config.json cannot be used ({_first_line(error)})") from error
    if not issubclass(family, OwnCodeLooped):  # which knows its own fields
        check_fields(settings, config, family, name)
    if not is_gguf(source):
        check_files(source, revision, family.files, name)
    return config


def _positions(config: Any) -> int | None:  # Any: the family's own
    found = [getattr(config, name, None) for name in _POSITIONS]
    return next((each for each in found if isinstance(each, int)), None)


def _weights(family: type[LoopedModel], name: str, source: str, revision: str, config: Any, dtype: torch.dtype) -> Any:
    """Load the weights on the CPU; InputError unless the files hold exactly the model's tensors."""
    try:
        if is_gguf(source):
            return _complete(name, *checkpoint.unpacked_gguf(family.model_class, source, config, dtype))
        if published.is_folder(source):
            return _complete(name, *published.unpacked_tah(family.model_class, source, config, dtype, name))
        with foreign(name) if issubclass(family, OwnCodeLooped) else nullcontext():
            if not issubclass(family, OwnCodeLooped):  # whose code runs once only, watched
                check_size(family.model_class, config, source, name)
            how: dict[str, Any] = {"output_loading_info": True, "ignore_mismatched_sizes": True}
            if family.renamed:
                how["key_mapping"] = dict(family.renamed)
            loaded: Any = family.model_class.from_pretrained(source, revision=revision, dtype=dtype, **how)
    except InputError:
        raise
    except Exception as error:  # files are read by safetensors, torch and transformers, each with errors of its own
        raise InputError(f"model {name!r}: its weights cannot be read: {_first_line(error)}") from error
    return _complete(name, *loaded)


def _complete(name: str, model: Any, report: dict[str, Any]) -> Any:
    """Return the model; InputError unless the files hold exactly its tensors."""
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[what]:
            tensors = sorted(entry if isinstance(entry, str) else str(entry[0]) for entry in report[what])
            more = f" and {len(tensors) - 3} more" if len(tensors) > 3 else ""
            kind = what.removesuffix("_keys").replace("mismatched", "misshapen")
            raise InputError(f"model {name!r}: {kind} weights: {', '.join(tensors[:3])}{more}")
    return model


def _correct_ids(model: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    """Set the special-token ids from the chat format, which knows better than the published configs."""
    vocabulary = tokenizer.get_vocab()
    ids = {"bos_token_id": vocabulary.get("<|im_start|>"), "eos_token_id": vocabulary.get("<|im_end|>")}
    ids["pad_token_id"] = vocabulary.get("<|endoftext|>", tokenizer.pad_token_id)
    for field, token in ids.items():
        if token is not None:
            setattr(model.config, field, token)
            setattr(model.generation_config, field, token)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
