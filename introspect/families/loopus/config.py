"""The configuration of LoopUS, read from the published `config.json` files as they stand."""

from collections.abc import Mapping
from typing import Any, ClassVar

from transformers import AutoConfig, PreTrainedConfig

from introspect.errors import InputError
from introspect.families.config_fields import check_fields
from introspect.families.feedforward.model import FeedForwardLooped

_BASES = ("qwen3", "phi3")
"""Layouts of layers that are known: Qwen3's, and that of Phi-4."""


class LoopUsConfig(PreTrainedConfig):
    """Describe a pretrained model cut into encoder, looped middle and decoder (arXiv 2605.11011).

    What the layers are stands in `base_config_dict`, the config of the pretrained model.
    """

    model_type = "lds"
    attribute_map = {"n_embd": "hidden_size"}  # noqa: RUF012 (read by transformers)

    base_model_name_or_path: str = ""
    base_config_dict: dict[str, Any] | None = None
    encoder_layer_indices: list[int] | None = None
    reasoning_layer_indices: list[int] | None = None
    """Absent: all layers that are in neither of the others."""
    decoder_layer_indices: list[int] | None = None
    """One negative number -n alone: the layers from n on."""
    N: int = 6
    """Loops."""
    hidden_size: int = 0
    vocab_size: int = 0
    lma_window: int = 0
    """Earlier loops that a loop attends to, in a variant that is not known here."""
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    """Of these three, those of the pretrained model where they are absent."""
    tie_word_embeddings: bool = False

    shapes: ClassVar[tuple[str, ...]] = (
        *("num_attention_heads", "num_key_value_heads", "head_dim", "rms_norm_eps", "hidden_act"),
        *("attention_bias", "rope_parameters"),
    )
    """Of the pretrained model's config, what determines what its layers compute."""

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for what contradicts or is not known."""
        base = self.base
        self.hidden_size, self.vocab_size = int(base["hidden_size"]), int(base["vocab_size"])
        self.decoder_layer_indices = self._expanded(self.decoder_layer_indices or [])
        self.encoder_layer_indices = self._expanded(self.encoder_layer_indices or [])
        outside = {*self.encoder_layer_indices, *self.decoder_layer_indices}
        if self.reasoning_layer_indices is None:
            self.reasoning_layer_indices = sorted(set(range(base["num_hidden_layers"])) - outside)
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            if getattr(self, name) is None:
                setattr(self, name, base.get(name))
        self._check(outside)
        super().__post_init__(**kwargs)

    @property
    def base(self) -> Mapping[str, Any]:
        """Return the fields of the pretrained model's config, those of an older transformers under their new names."""
        if not isinstance(self.base_config_dict, dict):
            raise InputError("base_config_dict is missing: what the layers are follows from it")
        kind = self.base_config_dict.get("model_type")
        if kind not in _BASES:
            raise InputError(f"base_config_dict has model_type {kind!r}: LoopUS is known on {', '.join(_BASES)} only")
        given = {name: value for name, value in self.base_config_dict.items() if name != "model_type"}
        config = AutoConfig.for_model(kind).from_dict(given)
        check_fields(self.base_config_dict, config, FeedForwardLooped, self.base_model_name_or_path)
        fields: dict[str, Any] = config.to_dict()
        heads = fields["num_attention_heads"]
        fields["head_dim"] = fields.get("head_dim") or fields["hidden_size"] // heads
        fields["num_key_value_heads"] = fields.get("num_key_value_heads") or heads
        return fields

    @property
    def stage_sizes(self) -> tuple[int, int, int]:
        """Return the layers of encoder, looped middle and decoder."""
        parts = (self.encoder_layer_indices, self.reasoning_layer_indices, self.decoder_layer_indices)
        before, looped, behind = (len(part or ()) for part in parts)
        return before, looped, behind

    def _expanded(self, indices: list[int]) -> list[int]:
        if len(indices) == 1 and indices[0] < 0:
            return list(range(-indices[0], self.base["num_hidden_layers"]))
        return sorted(indices)

    def _check(self, outside: set[int]) -> None:
        base, (before, looped, _) = self.base, self.stage_sizes
        if len(outside) + looped != base["num_hidden_layers"] or outside & set(self.reasoning_layer_indices or ()):
            raise InputError(
                f"encoder, reasoning and decoder layers are not the {base['num_hidden_layers']} layers, each once"
            )
        if not before or not looped:
            raise InputError(f"{before} encoder and {looped} reasoning layers: LoopUS has at least one of each")
        if self.N < 1:
            raise InputError(f"N {self.N}: a looped model runs at least one loop")
        if self.lma_window:
            raise InputError(f"lma_window {self.lma_window}: loops that attend to earlier loops are not known here")
        rope = base["rope_parameters"]
        if rope.get("rope_type", "default") != "default" or rope.get("partial_rotary_factor", 1.0) != 1.0:
            raise InputError(f"rope_parameters {rope}: LoopUS is known with the default rotary angles of whole heads")
        if base.get("sliding_window") and base.get("use_sliding_window", True):
            raise InputError(f"sliding_window {base['sliding_window']}: LoopUS is known with full attention only")
        if self.hidden_size < 1 or base["num_attention_heads"] % base["num_key_value_heads"]:
            raise InputError(
                f"num_attention_heads {base['num_attention_heads']} is no multiple of "
                f"num_key_value_heads {base['num_key_value_heads']}"
            )
