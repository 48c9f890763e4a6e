"""GPT-NeoX's layout, for the families that ponder on it: its config, its blocks, and what surrounds them.

Goes in: the residual stream `(batch, position, d_model)` and what all blocks of one forward share. Comes out: the same
after a block. Weight names are those of the published checkpoints.
"""

from typing import Any, ClassVar

from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast
from transformers.activations import ACT2FN
from transformers.models.gpt_neox import GPTNeoXConfig

from introspect.errors import InputError
from introspect.families.parts.layers import Attention, Shared, rotary_angles, rotate
from introspect.families.parts.looped_lm import LoopedCausalLM
from introspect.models.looped_model import LoopedModel

NEOX_DESCRIBED = (
    *("num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps"),
    *("use_parallel_residual", "rope_parameters"),
)
"""Settings of the layout that determine what the weights compute."""


TWINS = {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"}
"""What transformers 4 wrote beside the fields that the published code reads, with the same values."""


class NeoxConfig(GPTNeoXConfig):
    """Describe a GPT-NeoX whose rotary angles are the default ones."""

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill what follows from other fields; raise InputError for fields that contradict one another."""
        for twin, name in TWINS.items():
            value = kwargs.pop(twin, None)
            if value is not None and kwargs.setdefault(name, value) != value:
                raise InputError(f"{name} {kwargs[name]} and {twin} {value}: two names of one number")
        super().__post_init__(**kwargs)
        if self.rope.get("rope_type", "default") != "default":
            raise InputError(f"rope type {self.rope['rope_type']!r}: only 'default' is known in this layout")
        if self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"hidden_size {self.hidden_size} is no multiple of num_attention_heads {self.num_attention_heads}"
            )
        if self.rotary_size % 2:
            raise InputError(f"partial_rotary_factor: {self.rotary_size} of a head's numbers turn, which is odd")

    @property
    def head_dim(self) -> int:
        """Return the size of a head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def rotary_size(self) -> int:
        """Return how many numbers of each head the rotary angles turn."""
        return int(self.head_dim * self.rope["partial_rotary_factor"])

    @property
    def rope(self) -> dict[str, Any]:
        """Return the settings of the rotary angles."""
        assert self.rope_parameters is not None, "GPT-NeoX fills them in"
        return dict(self.rope_parameters)


class NeoxAttention(Attention):
    """Attention of GPT-NeoX's layout, of which the first numbers of every head are turned."""

    def __init__(self, config: NeoxConfig) -> None:
        super().__init__(config, config.num_attention_heads, config.num_attention_heads, config.head_dim)
        size, bias = config.hidden_size, config.attention_bias
        self.turned = config.rotary_size
        self.query_key_value, self.dense = nn.Linear(size, 3 * size, bias=bias), nn.Linear(size, size, bias=bias)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Attend over what this slot has seen; `h` is `(batch, position, d_model)`."""
        read = self.query_key_value(h).unflatten(-1, (-1, 3 * self.head_dim)).transpose(1, 2)
        q, k, v = read.chunk(3, dim=-1)
        return self.dense(self.attend(self._turn(q, shared), self._turn(k, shared), v, shared, slot))

    def _turn(self, x: Tensor, shared: Shared) -> Tensor:
        assert shared.angles is not None, "rotary attention without angles"
        x = x.clone()
        x[..., : self.turned] = rotate(x[..., : self.turned], *shared.angles)
        return x


class NeoxMLP(nn.Module):
    """The feed-forward part."""

    def __init__(self, config: NeoxConfig) -> None:
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, config.intermediate_size)
        self.dense_4h_to_h = nn.Linear(config.intermediate_size, config.hidden_size)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, h: Tensor) -> Tensor:
        """Transform each position alone."""
        return self.dense_4h_to_h(self.activation(self.dense_h_to_4h(h)))


class NeoxBlock(nn.Module):
    """One block of GPT-NeoX; by default both parts read the same stream."""

    attention_class: ClassVar[type[NeoxAttention]] = NeoxAttention

    def __init__(self, config: NeoxConfig) -> None:
        super().__init__()
        self.parallel = config.use_parallel_residual
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention, self.mlp = self.attention_class(config), NeoxMLP(config)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Return the residual stream after the block, `(batch, position, d_model)`."""
        attended = self.attention(self.input_layernorm(h), shared, slot)
        if self.parallel:
            return self.mlp(self.post_attention_layernorm(h)) + attended + h
        h = attended + h
        return self.mlp(self.post_attention_layernorm(h)) + h


class NeoxStack(nn.Module):
    """The embedding, the looped stack of blocks of one class, and its norm."""

    def __init__(self, config: NeoxConfig, block: type[NeoxBlock]) -> None:
        super().__init__()
        self.embed_in = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([block(config) for _ in range(config.num_hidden_layers)])
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class NeoxCausalLM(LoopedCausalLM):
    """A looped language model in this layout; a family adds `trained_loops`, `scale` and `run`."""

    config: NeoxConfig
    base_model_prefix = "gpt_neox"
    _tied_weights_keys = {"embed_out.weight": "gpt_neox.embed_in.weight"}  # noqa: RUF012 (read by transformers)
    _keys_to_ignore_on_load_unexpected = [  # noqa: RUF012 (read by transformers)
        r"^adapter\.",  # in the published files, and used by nothing
        r"\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$",  # computed here, never loaded
    ]

    def __init__(self, config: NeoxConfig, block: type[NeoxBlock] = NeoxBlock) -> None:
        super().__init__(config)
        self.gpt_neox = NeoxStack(config, block)
        self.embed_out = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of the tokens."""
        return self.gpt_neox.embed_in

    def get_output_embeddings(self) -> nn.Module:
        """Return the head."""
        return self.embed_out

    @property
    def scale(self) -> float:
        """Return the factor of the embedding."""
        raise NotImplementedError

    def embedded(self, input_ids: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (they are in the angles)
        """Return the residual stream before the first block, `(batch, position, d_model)`."""
        embedding: Tensor = self.gpt_neox.embed_in(input_ids)
        return embedding * self.scale

    def angles(self, positions: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosines and sines of the rotary angles."""
        return rotary_angles(positions, self.config.rotary_size, self.config.rope["rope_theta"], h.dtype)

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of a normed state."""
        return self.embed_out(state)


class NeoxLooped(LoopedModel):
    """A model in this layout: no blocks outside the loop. A family adds `counts` and `described`."""

    def __init__(self, name: str, model: NeoxCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self.n_loops, self.n_layers = self.counts(model.config)
        self.d_model = model.config.hidden_size
        self.blocks = tuple(model.gpt_neox.layers)

    def readout(self, state: Tensor, **_: Any) -> Tensor:
        """Return the logits `(..., vocabulary)` of what a loop's last block put out, `(..., d_model)`."""
        logits: Tensor = self.model.head(self.model.gpt_neox.final_layer_norm(state))
        return logits

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Return the slots of the cache, one a site, the heads of keys and values, and their size."""
        config = self.model.config
        return n_loops * self.n_layers, config.num_attention_heads, config.head_dim
