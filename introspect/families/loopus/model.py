"""LoopUS (arXiv 2605.11011): a pretrained model's layers as encoder, looped middle and decoder.

    x = encoder(embedding);  x = gate(middle(x), x) in every loop;  head(norm(decoder(x)))

Goes in: token ids, a mask, a cache with a slot for every site. Come out: logits, and on demand the state after every
loop, the gate included. The published model stops when a head of its own finds the answer of a whole text good enough;
here all loops are run, and that head is loaded and not asked.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from introspect.families.loopus.blocks import Gated, LoopUsBlock, SelectiveGate
from introspect.families.loopus.config import LoopUsConfig
from introspect.families.parts.layers import RMSNorm, Shared, rotary_angles
from introspect.families.parts.staged_adapter import StagedLooped
from introspect.families.parts.staged_lm import StagedCausalLM, StageModules
from introspect.models.about import About, equal_to_published
from introspect.records.site import PRELUDE, Site


class Encoder(nn.Module):
    """The embedding and the first layers."""

    def __init__(self, config: LoopUsConfig, base: dict[str, Any]) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([LoopUsBlock(config, base) for _ in range(config.stage_sizes[0])])


class Reasoning(nn.Module):
    """The looped layers and the gate."""

    def __init__(self, config: LoopUsConfig, base: dict[str, Any]) -> None:
        super().__init__()
        n = config.stage_sizes[1]
        self.layers = nn.ModuleList([LoopUsBlock(config, base, opens=i == 0, closes=i == n - 1) for i in range(n)])
        self.gate = SelectiveGate(config.hidden_size)


class Decoder(nn.Module):
    """The last layers, the norm and the head."""

    def __init__(self, config: LoopUsConfig, base: dict[str, Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([LoopUsBlock(config, base) for _ in range(config.stage_sizes[2])])
        self.norm = RMSNorm(config.hidden_size, base["rms_norm_eps"])
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)


class LoopUsForCausalLM(StagedCausalLM):
    """The looped language model."""

    config_class = LoopUsConfig
    config: LoopUsConfig
    _no_split_modules = ["LoopUsBlock"]  # noqa: RUF012 (transformers reads a plain list)

    def __init__(self, config: LoopUsConfig) -> None:
        super().__init__(config)
        base = dict(config.base)
        self.head_dim, self.theta = base["head_dim"], base["rope_parameters"]["rope_theta"]
        self.encoder, self.reasoning = Encoder(config, base), Reasoning(config, base)
        self.decoder = Decoder(config, base)
        self.q_head = nn.Sequential(nn.LayerNorm(config.hidden_size), nn.Linear(config.hidden_size, 1))
        self.post_init()

    @property
    def trained_loops(self) -> int:
        """Return the loops that the config names."""
        return self.config.N

    @property
    def stages(self) -> StageModules:
        """Return the layers of encoder, looped middle and decoder."""
        return self.encoder.layers, self.reasoning.layers, self.decoder.layers

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of the tokens."""
        return self.encoder.embed_tokens

    def get_output_embeddings(self) -> nn.Module:
        """Return the head."""
        return self.decoder.lm_head

    def angles(self, positions: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosines and sines of the rotary angles."""
        return rotary_angles(positions, self.head_dim, self.theta, h.dtype)

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
        """Run all stages; `refeed` is the state with which the loop of `after` began."""
        gated = Gated(**vars(shared), gate=self.reasoning.gate, began=[] if refeed is None else [refeed])
        return super().run(h, gated, n_loops, after, refeed, lens)

    def initial(self, refeed: Tensor, shared: Shared) -> Tensor:  # noqa: ARG002 (it is no noise)
        """Return the state before the first loop: what the encoder put out."""
        return refeed

    def entered(self, state: Tensor, refeed: Tensor) -> Tensor:  # noqa: ARG002 (nothing is fed anew)
        """Return the state as it is."""
        return state

    def closed(self, h: Tensor) -> Tensor:
        """Norm what the head reads."""
        return self.decoder.norm(h)

    def head(self, state: Tensor) -> Tensor:
        """Return the logits `(..., vocabulary)` of a normed state."""
        return self.decoder.lm_head(state)


class LoopUsLooped(StagedLooped):
    """LoopUS: the site of the loop's last layer is the state behind the gate."""

    about = About(
        name="LoopUS",
        loops="the middle layers of a pretrained model; a gate mixes the end of each loop with its beginning",
        source="arXiv 2605.11011",
        verified=equal_to_published("November 2026", 1.8e-6, "Thrillcrazyer/LoopUS 349669d")
        + "; with the gate open and one loop transformers' Qwen3 and Phi-3",
        checkpoints=("Thrillcrazyer/Qwen3_1.7B_LoopUS", "Thrillcrazyer/Phi4_LoopUS"),
        licence="not known",
    )
    model_class = LoopUsForCausalLM
    required = ("base_config_dict", "encoder_layer_indices", "decoder_layer_indices", "N")
    renamed: ClassVar = {r"^plateau\.": "reasoning."}  # as in older files
    passed_over = frozenset(
        # of the head that stops early, which is not asked
        ("q_threshold", "q_eval_interval", "halting_strategy", "convergence_epsilon", "lma_heads")
    )

    def __init__(self, name: str, model: LoopUsForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(name, model, tokenizer)
        self._base = model.config.base

    @staticmethod
    def counts(config: LoopUsConfig) -> tuple[int, int]:
        """Return the loops that the config names and the layers of the loop, from a config alone."""
        return config.N, config.stage_sizes[1]

    @staticmethod
    def outside(config: LoopUsConfig) -> tuple[int, int]:
        """Return the layers of encoder and decoder, from a config alone."""
        return config.stage_sizes[0], config.stage_sizes[2]

    def resume_arguments(self, site: Site, states: Mapping[Site, Tensor]) -> dict[str, Any]:
        """Return the forward arguments that go on behind a site; inside a loop also the state with which it began."""
        arguments: dict[str, Any] = {"inputs_embeds": states[site], "after": site}
        if site.stage != "core":
            return arguments
        before = Site(site.loop - 1, self.n_layers - 1) if site.loop else Site(PRELUDE, len(self.prelude) - 1)
        return arguments | {"refeed": states[before]}

    def cache_shape(self, n_loops: int) -> tuple[int, int, int]:
        """Return the slots of the cache, one a site and those for read-outs, its heads, and their size."""
        slots = len(self.sites(n_loops)) + (n_loops - 1) * len(self.coda)
        return slots, self._base["num_key_value_heads"], self._base["head_dim"]

    def described(self) -> dict[str, Any]:
        """Return the settings that determine what the weights compute, for the hash."""
        config = self.model.config
        settings = {name: self._base.get(name) for name in ("model_type", *config.shapes)}
        return {"model_type": config.model_type, "N": config.N, "stages": config.stage_sizes, "base": settings}
