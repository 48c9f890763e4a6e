"""CoTFormer and block universal transformer (arXiv 2310.10845): the middle blocks are repeated.

    x = ln_mid(mid(x + depth))  in every repeat;  head(ln_f(end(x)))

In a CoTFormer a token attends, in each repeat, to itself and the tokens before it as they were in all repeats so far;
in a block universal transformer (`but`) in this one only. This is the architecture as far as the published code shows
it, without its routers and without halting; no checkpoint of it is known. Goes in: token ids, a mask, a cache, whose
slots of a repeat hold that repeat's keys and values alone.
"""

from typing import Any

from torch import Tensor, nn

from introspect.families.cotformer.blocks import EPS, CotformerBlock, Repeats
from introspect.families.cotformer.config import CotformerConfig
from introspect.families.parts.layers import Shared, rotary_angles
from introspect.families.parts.staged_adapter import StagedLooped
from introspect.families.parts.staged_lm import StagedCausalLM, StageModules
from introspect.models.about import About, equal_to_published
from introspect.models.looped_model import LoopedModel
from introspect.records.trial import Site


class CotformerModel(nn.Module):
    """The embedding, all blocks and their norms."""

    def __init__(self, config: CotformerConfig) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.h_begin, self.h_mid, self.h_end = (
            nn.ModuleList([CotformerBlock(config) for _ in range(n)])
            for n in (config.n_layer_begin, config.n_layer_mid, config.n_layer_end)
        )
        norm = nn.LayerNorm(config.n_embd, eps=EPS, bias=config.bias)
        self.ln_mid = nn.Identity() if config.disable_ln_mid else norm
        self.ln_f = nn.LayerNorm(config.n_embd, eps=EPS, bias=config.bias)


class DepthEmbedding(nn.Module):
    """What is added to the stream before each repeat."""

    def __init__(self, config: CotformerConfig) -> None:
        super().__init__()
        self.linear = config.depth_embedding == "linear_learned"
        self.embs = nn.Embedding(1 if self.linear else config.n_repeat, config.n_embd)

    def forward(self, left: int) -> Tensor:
        """Return the embedding of the repeats that are left behind this one, `(d_model,)`."""
        return self.embs.weight[0] * left if self.linear else self.embs.weight[left]


class CotformerForCausalLM(StagedCausalLM):
    """The looped language model."""

    config_class = CotformerConfig
    config: CotformerConfig
    base_model_prefix = "transformer"
    _no_split_modules = ["CotformerBlock"]  # noqa: RUF012 (transformers reads a plain list)
    _tied_weights_keys = {"lm_head.weight": "transformer.wte.weight"}  # noqa: RUF012 (read by transformers)
    _keys_to_ignore_on_load_unexpected = [r"(^|\.)attn\.bias$", r"(^|\.)freqs$"]  # noqa: RUF012 (mask and angles)

    def __init__(self, config: CotformerConfig) -> None:
        super().__init__(config)
        self.transformer = CotformerModel(config)
        if config.depth_embedding is not None:
            self.depth_emb = DepthEmbedding(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.post_init()

    @property
    def trained_loops(self) -> int:
        """Return the repeats as trained."""
        return self.config.n_repeat

    @property
    def stages(self) -> StageModules:
        """Return the blocks of prelude, core and coda."""
        return self.transformer.h_begin, self.transformer.h_mid, self.transformer.h_end

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of the tokens."""
        return self.transformer.wte

    def angles(self, positions: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rotary angles."""
        return rotary_angles(positions, self.config.head_dim, self.config.rope_base, h.dtype)

    def run(
        self, h: Tensor, shared: Shared, n_loops: int, after: Site | None, *given: Any, **more: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run all stages, the attention of each block remembering its repeats."""
        assert after is None, "the keys and values of earlier repeats are in no block's output"
        self.config.check_loops(n_loops)
        return super().run(h, Repeats(**vars(shared)), n_loops, after, *given, **more)

    def initial(self, refeed: Tensor, shared: Shared) -> Tensor:  # noqa: ARG002 (it is no noise)
        """Return the state before the first repeat: what the prelude put out."""
        return refeed

    def begun(self, state: Tensor, left: int) -> Tensor:
        """Add the depth embedding."""
        return state if self.config.depth_embedding is None else state + self.depth_emb(left)

    def entered(self, state: Tensor, refeed: Tensor) -> Tensor:  # noqa: ARG002 (nothing is fed anew)
        """Return the state as it is."""
        return state

    def left(self, h: Tensor) -> Tensor:
        """Norm the state behind a repeat."""
        return self.transformer.ln_mid(h)

    def closed(self, h: Tensor) -> Tensor:
        """Norm what the head reads."""
        return self.transformer.ln_f(h)

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of a normed state."""
        return self.lm_head(state)


class CotformerLooped(StagedLooped):
    """CoTFormer and block universal transformer: a site of the core is the loop-th call of its block.

    The package goes on from tokens: behind a site, what the repeats before it remember is no longer known.
    """

    about = About(
        name="CoTFormer, block universal transformer",
        loops="a repeat of the middle blocks, attending to all repeats so far or to itself",
        source="arXiv 2310.10845",
        verified=equal_to_published("November 2026", 6.7e-7, "epfml/CoTFormer 2723e30")
        + "; no published checkpoint is known",
    )
    model_class = CotformerForCausalLM
    required = ("architecture", "n_head", "n_repeat")

    @staticmethod
    def counts(config: CotformerConfig) -> tuple[int, int]:
        """Return the repeats as trained and the layers of the core, from a config alone."""
        return config.n_repeat, config.n_layer_mid

    @staticmethod
    def outside(config: CotformerConfig) -> tuple[int, int]:
        """Return the blocks before and behind the loops, from a config alone."""
        return config.n_layer_begin, config.n_layer_end

    @staticmethod
    def check_loops(config: CotformerConfig, n_loops: int) -> None:
        """Raise InputError for repeats whose number has no learned embedding."""
        LoopedModel.check_loops(config, n_loops)
        config.check_loops(n_loops)

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        names = ("architecture", "n_layer_begin", "n_layer_end", "n_layer", "n_head", "n_repeat", "depth_embedding")
        settings = {name: getattr(config, name) for name in (*names, "disable_ln_mid", "rope_base")}
        return {"model_type": config.model_type, **settings}
