"""PonderLM (arXiv 2505.20674): GPT-NeoX's stack run again and again, each time on embeddings that were pondered over.

    x = E[tokens];   x = x + softmax(head(norm(stack(x)))) E   after every loop but the last

Goes in: token ids, a mask, a cache. Come out: logits of the last loop, and on demand the normed state after every loop.
Weight names are those of the published checkpoints, whose code has no cache; here every loop has slots of its own.
"""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast
from transformers.activations import ACT2FN

from introspect.families.parts.layers import Attention, Shared, at_least_float32, rotary_angles, rotate
from introspect.families.parts.looped_lm import LoopedCausalLM
from introspect.families.ponder.config import PonderConfig
from introspect.models.about import About, equal_to_published
from introspect.models.looped_model import LoopedModel
from introspect.records.trial import Site

DESCRIBED = (
    *("pondering_steps", "scale_embeds", "mutiply_pondering_steps", "num_hidden_layers", "num_attention_heads"),
    *("hidden_act", "layer_norm_eps", "use_parallel_residual", "rope_parameters"),
)
"""Settings that determine what the weights compute."""


class PonderAttention(Attention):
    """Attention of GPT-NeoX's layout, of which the first numbers of every head are turned."""

    def __init__(self, config: PonderConfig) -> None:
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


class PonderMLP(nn.Module):
    """The feed-forward part."""

    def __init__(self, config: PonderConfig) -> None:
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, config.intermediate_size)
        self.dense_4h_to_h = nn.Linear(config.intermediate_size, config.hidden_size)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, h: Tensor) -> Tensor:
        """Transform each position alone."""
        return self.dense_4h_to_h(self.activation(self.dense_h_to_4h(h)))


class PonderBlock(nn.Module):
    """One block of GPT-NeoX; by default both parts read the same stream."""

    def __init__(self, config: PonderConfig) -> None:
        super().__init__()
        self.parallel = config.use_parallel_residual
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention, self.mlp = PonderAttention(config), PonderMLP(config)

    def forward(self, h: Tensor, shared: Shared, slot: int) -> Tensor:
        """Give the residual stream after the block, `(batch, position, d_model)`."""
        attended = self.attention(self.input_layernorm(h), shared, slot)
        if self.parallel:
            return self.mlp(self.post_attention_layernorm(h)) + attended + h
        h = attended + h
        return self.mlp(self.post_attention_layernorm(h)) + h


class PonderModel(nn.Module):
    """The embedding, the looped stack and its norm."""

    def __init__(self, config: PonderConfig) -> None:
        super().__init__()
        self.embed_in = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([PonderBlock(config) for _ in range(config.num_hidden_layers)])
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class PonderForCausalLM(LoopedCausalLM):
    """The looped language model."""

    config_class = PonderConfig
    config: PonderConfig
    base_model_prefix = "gpt_neox"
    _no_split_modules = ["PonderBlock"]  # noqa: RUF012 (transformers reads a plain list)
    _tied_weights_keys = {"embed_out.weight": "gpt_neox.embed_in.weight"}  # noqa: RUF012 (read by transformers)
    _keys_to_ignore_on_load_unexpected = [  # noqa: RUF012 (read by transformers)
        r"^adapter\.",  # in the published files, and used by nothing
        r"\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$",  # computed here, never loaded
    ]

    def __init__(self, config: PonderConfig) -> None:
        super().__init__(config)
        self.gpt_neox = PonderModel(config)
        self.embed_out = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @property
    def trained_loops(self) -> int:
        """Give the loops as trained: one more than there are steps of pondering."""
        return self.config.pondering_steps + 1

    def get_input_embeddings(self) -> nn.Module:
        """Give the embedding of the tokens."""
        return self.gpt_neox.embed_in

    def get_output_embeddings(self) -> nn.Module:
        """Give the head."""
        return self.embed_out

    @property
    def scale(self) -> float:
        """Give the factor of the embedding."""
        return self.config.hidden_size**0.5 if self.config.scale_embeds else 1.0

    def embedded(self, input_ids: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (they are in the angles)
        """Give the residual stream before the first block, `(batch, position, d_model)`."""
        embedding: Tensor = self.gpt_neox.embed_in(input_ids)
        return embedding * self.scale

    def angles(self, positions: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Give the rotary angles."""
        return rotary_angles(positions, self.config.rotary_size, self.config.rope["rope_theta"], h.dtype)

    def run(
        self, h: Tensor, shared: Shared, n_loops: int, after: Site | None, **_: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the stack; the states are normed, and the head reads the last."""
        assert after is None, "what the stream began with is in no block's output, so nothing goes on behind one"
        layers, states, begun = self.gpt_neox.layers, list[Tensor](), h * self._times(n_loops)
        for loop in range(n_loops):
            if states:
                begun = begun + self._pondered(states[-1])
            h = begun
            for layer, block in enumerate(layers):
                h = block(h, shared, loop * len(layers) + layer)
            states.append(self.gpt_neox.final_layer_norm(h))
        return states[-1], tuple(states)

    def head(self, state: Tensor) -> Tensor:
        """Give the logits `(..., vocabulary)` of a normed state."""
        return self.embed_out(state)

    def _times(self, n_loops: int) -> int:
        """Give the factor of the stream's beginning: the steps in use, as published, if the config wants it."""
        return n_loops - 1 if self.config.mutiply_pondering_steps and n_loops > 1 else 1

    def _pondered(self, state: Tensor) -> Tensor:
        """Give the embedding `(batch, position, d_model)` in the mean over what the head says comes next."""
        logits = self.embed_out(state)
        weights = logits.softmax(-1, dtype=at_least_float32(logits.dtype)).to(logits.dtype)
        return weights @ self.gpt_neox.embed_in.weight * self.scale


class PonderLooped(LoopedModel):
    """PonderLM on GPT-NeoX: no blocks outside the loop; a site is the loop-th call of its block.

    The package goes on from tokens: behind a site, the embedding with which a loop began is no longer known.
    """

    about = About(
        name="PonderLM",
        loops="the whole stack, on embeddings to which the expected next one is added after each",
        source="arXiv 2505.20674",
        verified=f"{equal_to_published('November 2026', 1e-5)}; with one loop transformers' GPT-NeoX",
        checkpoints=("zeng123/PonderingPythia-1.4B", "zeng123/PonderingPythia-2.8B"),
    )
    model_class = PonderForCausalLM
    required = ("num_attention_heads", "layer_norm_eps")

    def __init__(self, name: str, model: PonderForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self.n_loops, self.n_layers = self.counts(model.config)
        self.d_model = model.config.hidden_size
        self.blocks = tuple(model.gpt_neox.layers)

    @staticmethod
    def counts(config: PonderConfig) -> tuple[int, int]:
        """Give the loops as trained and the layers, from a config alone."""
        return config.pondering_steps + 1, config.num_hidden_layers

    def readout(self, state: Tensor, **_: Any) -> Tensor:
        """Give the logits `(..., vocabulary)` of what a loop's last block put out, `(..., d_model)`."""
        logits: Tensor = self.model.head(self.model.gpt_neox.final_layer_norm(state))
        return logits

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Give the slots of the cache, one a site, the heads of keys and values, and their size."""
        config = self.model.config
        return n_loops * self.n_layers, config.num_attention_heads, config.head_dim

    def described(self) -> dict[str, Any]:
        """Give the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        return {"model_type": "ponder_gpt_neox", **{name: getattr(config, name) for name in DESCRIBED}}
