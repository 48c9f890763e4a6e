"""The Parcae layout on transformers 5 (arXiv 2604.12946): a looped core whose input is re-fed by a stable linear map.

    e = norm(prelude(embedding));  x = noise;  x = core(decay * x + dt * B e) in every loop;  head(norm(coda(C x)))

Every other block adds to its values an embedding of the token itself, behind a gate; so each of these blocks, the coda
behind a read-out too, needs the tokens beside the residual stream. Published as SandyResearch/parcae-140m, -370m, -770m
and -1.3b. The parcae-lm on PyPI holds no code; what is here rests on public readings of the published one.
"""

from typing import Any

import torch
from torch import Tensor, nn

from introspect.families.parcae.blocks import DiagonalInjection, ParcaeBlock, ParcaeShared, every_other
from introspect.families.parcae.checkpoint import state_of
from introspect.families.parcae.config import PUBLISHED_FIELDS, ROPE_BASE, ParcaeConfig
from introspect.families.parts.layers import RMSNorm, Shared, at_least_float32
from introspect.families.parts.staged_adapter import StagedLooped
from introspect.families.parts.staged_lm import StagedCausalLM, StageModules, noise_at
from introspect.models.about import About, equal_to_published
from introspect.records.site import Site


class ParcaeModel(nn.Module):
    """All parts but the head and the value embeddings."""

    def __init__(self, config: ParcaeConfig) -> None:
        super().__init__()
        before, core, behind = config.n_layers_in_prelude, config.n_layers_in_recurrent_block, config.n_layers_in_coda
        wide, looped = config.intermediate_size, config.recurrent_intermediation_embedding_dimension or 0
        passed = before + core * config.mean_recurrence
        self.wte = nn.Embedding(config.padded_vocab_size or 0, config.n_embd)
        self.prelude = nn.ModuleList([ParcaeBlock(config, i, i, wide) for i in range(before)])
        self.adapter = DiagonalInjection(config.n_embd)
        self.core_block = nn.ModuleList([ParcaeBlock(config, i, i, looped) for i in range(before, before + core)])
        self.C = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.coda = nn.ModuleList([ParcaeBlock(config, before + core + i, passed + i, wide) for i in range(behind)])
        self.ln_f = RMSNorm(config.n_embd, config.norm_eps)
        if config.prelude_norm:
            self.ln_prelude = RMSNorm(config.n_embd, config.norm_eps)


class ParcaeForCausalLM(StagedCausalLM):
    """The looped language model; it keeps the tokens of its latest forward, for read-outs through the coda."""

    config_class = ParcaeConfig
    config: ParcaeConfig
    base_model_prefix = "transformer"
    _no_split_modules = ["ParcaeBlock"]  # noqa: RUF012 (transformers reads a plain list)
    _tied_weights_keys = {"lm_head.weight": "transformer.wte.weight"}  # noqa: RUF012 (read by transformers)
    _keys_to_ignore_on_load_unexpected = [r"^freqs_cis$"]  # noqa: RUF012 (computed here)

    def __init__(self, config: ParcaeConfig) -> None:
        super().__init__(config)
        self.transformer = ParcaeModel(config)
        size, rows, n = config.n_embd, config.padded_vocab_size or 0, config.num_hidden_layers
        self.value_embeds = nn.ModuleDict({str(i): nn.Embedding(rows, size) for i in range(n) if every_other(i, n)})
        self.lm_head = nn.Linear(size, rows, bias=False)
        self.tokens: Tensor | None = None
        self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *more: Any, revision: str = "main", **how: Any) -> Any:
        """Load as transformers does, from `model.pt` where that is all there is; Any: its arguments and results."""
        source = pretrained_model_name_or_path
        state = state_of(str(source), revision)
        if state is None:
            return super().from_pretrained(source, *more, revision=revision, **how)
        config = ParcaeConfig.from_pretrained(source, revision=revision)
        return super().from_pretrained(None, *more, config=config, state_dict=state, **how)

    @property
    def trained_loops(self) -> int:
        """Return the loops in the mean of training."""
        return self.config.mean_recurrence

    @property
    def stages(self) -> StageModules:
        """Return the blocks of prelude, core and coda."""
        return self.transformer.prelude, self.transformer.core_block, self.transformer.coda

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of the tokens."""
        return self.transformer.wte

    def embedded(self, input_ids: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 (positions are turned in)
        """Return the embedding, `(batch, position, d_model)`."""
        self.tokens = input_ids
        return self.transformer.wte(input_ids)

    def angles(self, positions: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosines and sines, `(batch, 1, position, head_dim / 2)` in float32 or better."""
        size, exact = self.config.head_dim, at_least_float32(h.dtype)
        steps = torch.arange(0, size, 2, device=positions.device, dtype=exact)
        angles = positions[:, None, :, None].to(exact) * ROPE_BASE ** (-steps / size)
        return angles.cos(), angles.sin()

    def run(
        self,
        h: Tensor,
        shared: Shared,
        n_loops: int,
        after: Site | None,
        refeed: Tensor | None = None,
        lens: int | None = None,
        **_: Any,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run prelude, loops and coda with the value embeddings of the tokens."""
        assert self.tokens is not None, "a state without the tokens it is of"
        assert self.tokens.shape == h.shape[:-1], f"{tuple(h.shape)}: not of the latest tokens {self.tokens.shape}"
        values = {number: embed(self.tokens) for number, embed in self.value_embeds.items()}
        return super().run(h, ParcaeShared(**vars(shared), values=values), n_loops, after, refeed, lens)

    def fed(self, h: Tensor) -> Tensor:
        """Norm the prelude's output."""
        return self.transformer.ln_prelude(h) if self.config.prelude_norm else h

    def initial(self, refeed: Tensor, shared: Shared) -> Tensor:
        """Return the state before the first loop: noise cut off at three deviations, or zeros."""
        if self.config.state_init == "zero":
            return torch.zeros_like(refeed)
        return noise_at(shared, refeed, self.config.state_seed, deviation=self.config.state_deviation)

    def entered(self, state: Tensor, refeed: Tensor) -> Tensor:
        """Let the state decay and add what is fed."""
        return self.transformer.adapter(state, refeed)

    def opened(self, h: Tensor) -> Tensor:
        """Map the last state into the coda."""
        return self.transformer.C(h)

    def closed(self, h: Tensor) -> Tensor:
        """Norm the coda's output."""
        return self.transformer.ln_f(h)

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of what the coda gave."""
        logits, cap = self.lm_head(state), self.config.logit_softcap
        return logits if cap is None else cap * torch.tanh(logits / cap)


class ParcaeLooped(StagedLooped):
    """The Parcae layout; forwards always begin with the tokens, which every other block needs."""

    about = About(
        name="Parcae",
        loops="the core between prelude and coda, whose state decays and is fed the prelude's output in each",
        source="arXiv 2604.12946",
        verified=equal_to_published("November 2026", 8.7e-7, "sandyresearch/parcae dee8363"),
        checkpoints=(
            *("SandyResearch/parcae-140m", "SandyResearch/parcae-370m"),
            *("SandyResearch/parcae-770m", "SandyResearch/parcae-1.3b"),
        ),
    )
    model_class = ParcaeForCausalLM
    required = ("mean_recurrence", "num_attention_heads", "norm_eps")
    passed_over = frozenset(
        (
            *PUBLISHED_FIELDS,  # and these two, checked by the config
            *("recurrent_embedding_dimension", "recurrent_num_attention_heads"),
            "rope_settings",  # which the published loader passes over too
            *("name", "hf_config", "padding_multiple", "attn_impl", "use_fused_head", "model_class_name"),
            *("init_orthogonal", "skip_initialization", "activation_checkpoint_impl", "sampling_scheme"),
            *("recurrent_iteration_method", "curriculum_target", "lockstep_n", "lockstep_k", "strategy"),
        )
    )

    @staticmethod
    def counts(config: ParcaeConfig) -> tuple[int, int]:
        """Return the loops in the mean of training and the layers of the core, from a config alone."""
        return config.mean_recurrence, config.n_layers_in_recurrent_block

    @staticmethod
    def outside(config: ParcaeConfig) -> tuple[int, int]:
        """Return the blocks of prelude and coda, from a config alone."""
        return config.n_layers_in_prelude, config.n_layers_in_coda

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        names = ("mean_recurrence", "mean_backprop_depth", "num_attention_heads", "norm_eps", "qk_norm")
        shape = ("n_layers_in_prelude", "n_layers_in_recurrent_block", "n_layers_in_coda", "prelude_norm")
        named = (*names, *shape, "logit_softcap", "state_init", "state_seed")
        read = {name: getattr(config, name) for name in named}
        return {"model_type": config.model_type, "rope_base": ROPE_BASE, **read}
